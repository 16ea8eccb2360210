//! `autoloss compare`: the same training with several losses.

use std::path::PathBuf;

use anyhow::Result;
use autoloss_search::{
    Comparison, Ended, EvaluationSet, Job, Schedule, comparison_seeds, entries, summarise,
};
use clap::Args;
use serde_json::json;

use crate::args::{ProgramArguments, TaskArguments, WorkerArguments, check_seeds};
use crate::comparisons::{comparisons_json, comparisons_text, ensure_scored, in_words};
use crate::config::Config;
use crate::exit::usage;
use crate::formula::for_task;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::output::{print, print_json, say};
use crate::trainings::{TrainingFolder, train};

/// Train with several losses alike, in full, over several seeds, and compare the scores.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss compare --task digits --loss @runs/digits-miou-1 --loss zoo:cross_entropy --loss zoo:dice")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    #[command(flatten)]
    program: ProgramArguments,
    /// A loss; give several.
    #[arg(
        long = "loss",
        value_name = "LOSS",
        required = true,
        allow_hyphen_values = true
    )]
    losses: Vec<String>,
    /// Number of seeds.
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: usize,
    /// The seed that the seeds are drawn from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Train by the proxy of the task, as a search does, in place of full training.
    #[arg(long)]
    proxy: bool,
    /// Keep each training in this folder, with all metrics; trainings in the folder are not made again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    workers: WorkerArguments,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    check_seeds(arguments.seeds as u64)?;
    let config = Config::of_trainings(&arguments.task, &arguments.program, &arguments.workers)?;
    let task = config.open_task()?;
    let losses = arguments
        .losses
        .iter()
        .map(|text| for_task(text, &*task).map(|named| (named.name, named.loss)))
        .collect::<Result<Vec<_>>>()?;
    for (i, (name, _)) in losses.iter().enumerate() {
        if losses[..i].iter().any(|(other, _)| other == name) {
            return Err(usage(format!("--loss {name}: given twice")));
        }
    }
    let interrupt = interrupt_on_ctrl_c(match arguments.out {
        Some(_) => "the same command goes on",
        None => "what is done is printed",
    })?;
    let seeds = comparison_seeds(arguments.seed, arguments.seeds);
    let schedule = match arguments.proxy {
        true => Schedule::Proxy,
        false => Schedule::Full,
    };
    let base = Job {
        schedule,
        set: EvaluationSet::Validation,
        stop_on_invalid: config.search.search.stop_on_invalid,
        all_metrics: arguments.out.is_some(),
        ..Job::default()
    };
    let entries = entries(&losses, &seeds, &base, 0);
    let total = entries.len();
    let mut tell = |ended: &Ended, (made, of): (usize, usize)| {
        say!("{made} of {of}: {}", in_words(ended));
    };
    let crew = config.crew(&*task)?;
    let kept = arguments.out.as_ref();
    let kept = kept.map(|dir| TrainingFolder::new(dir, config.task.to_toml()));
    let (kept, workers) = (kept.transpose()?, crew.workers());
    let trainings = train(
        kept.as_ref(),
        &*task,
        &entries,
        workers,
        &interrupt,
        &mut tell,
    )?;
    let comparisons = summarise(trainings);
    if arguments.json {
        print_json(&json!({
            "task": task.name(),
            "metric": task.metric(),
            "schedule": schedule,
            "set": EvaluationSet::Validation,
            "comparisons": comparisons_json(&comparisons),
        }))?;
        return complete(&comparisons, total);
    }
    let training = config.task.vision().map_or_else(String::new, |settings| {
        let (steps, network) = (
            settings.training(schedule).steps,
            settings.network(schedule),
        );
        format!(", {steps} updates with {network}")
    });
    print(&format!(
        "task {}, {schedule}, {} on the {}{training}\n\n{}",
        task.name(),
        task.metric(),
        EvaluationSet::Validation,
        comparisons_text(&comparisons, None)
    ))?;
    complete(&comparisons, total)
}

/// A comparison has failed that was interrupted or has a loss without a score, whatever of it was
/// printed.
fn complete(comparisons: &[Comparison], total: usize) -> Result<()> {
    let ended = |c: &Comparison| c.trainings.len() + c.failed.len();
    let done: usize = comparisons.iter().map(ended).sum();
    anyhow::ensure!(
        done == total,
        "interrupted: {done} of {total} trainings were made"
    );
    ensure_scored(comparisons)
}
