//! `autoloss compare`: the same training with several losses.

use anyhow::Result;
use autoloss_search::{
    Comparison, Ended, EvaluationSet, Job, Schedule, comparison_seeds, entries, summarise,
};
use serde_json::json;

use super::show::{comparisons_json, comparisons_text, ensure_scored};
use super::{check_seeds, interrupt_on_ctrl_c, print, print_json};
use crate::args::Compare;
use crate::config::Config;
use crate::exit::usage;
use crate::formula::for_task;
use crate::kept::{Kept, train};
use crate::output::say;

pub(crate) fn compare(arguments: &Compare) -> Result<()> {
    check_seeds(arguments.seeds as u64)?;
    let mut flags = Config::of_program(&arguments.program);
    flags.extend(Config::of_workers(&arguments.workers)?);
    let config = Config::read(&arguments.task, flags)?;
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
    let kept = kept.map(|dir| Kept::new(dir, config.task.to_toml()));
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

/// One line about a training that ended.
pub(crate) fn in_words(ended: &Ended) -> String {
    match ended {
        Ok(training) => {
            let note = training.note.as_ref();
            let note = note.map_or_else(String::new, |note| format!(" ({note})"));
            let (name, score, seconds) = (&training.name, training.score, training.seconds);
            format!("{name} {score:.4} in {seconds:.1} s{note}")
        }
        Err(failed) => failed.to_string(),
    }
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
