//! `autoloss compare`: the same training with several losses.

use anyhow::Result;
use autoloss_search::seed::final_seeds;
use autoloss_search::{Comparison, Event, compare as compare_losses};
use serde_json::json;

use super::show::{comparison_table, comparisons_json};
use super::{interrupt_on_ctrl_c, print, print_json};
use crate::args::Compare;
use crate::config::Config;
use crate::exit::usage;
use crate::formula::for_task;

pub(crate) fn compare(arguments: &Compare) -> Result<()> {
    if arguments.seeds == 0 {
        return Err(usage("--seeds 0: expected at least 1"));
    }
    let config = Config::read(&arguments.task, vec![Config::workers(arguments.workers)?])?;
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
    let interrupt = interrupt_on_ctrl_c("what is done is printed")?;
    let seeds = final_seeds(arguments.seed, arguments.seeds);
    let total = losses.len() * seeds.len();
    let mut done = 0;
    let mut on_event = |event: &Event| {
        if let Event::Compared(training) = event {
            done += 1;
            let note = training
                .note
                .as_deref()
                .map_or_else(String::new, |n| format!(" ({n})"));
            eprintln!(
                "{done} of {total}: {} {:.4} in {:.1} s{note}",
                training.name, training.score, training.seconds
            );
        }
    };
    let comparisons = compare_losses(
        &*task,
        &losses,
        &seeds,
        config.search.search.stop_on_invalid,
        config.search.search.worker_count(),
        &interrupt,
        &mut on_event,
    )?;
    let settings = &config.task;
    if arguments.json {
        print_json(&json!({
            "task": settings.name().name(),
            "metric": settings.metric(),
            "comparisons": comparisons_json(&comparisons),
        }))?;
        return complete(&comparisons, total);
    }
    print(&format!(
        "task {}, metric {}, {} updates with {}\n\n{}",
        settings.name(),
        settings.metric(),
        settings.training().steps,
        settings.network(),
        comparison_table(&comparisons, None)
    ))?;
    complete(&comparisons, total)
}

/// An interrupted comparison has failed, whatever of it was printed.
fn complete(comparisons: &[Comparison], total: usize) -> Result<()> {
    let done: usize = comparisons.iter().map(|c| c.trainings.len()).sum();
    anyhow::ensure!(
        done == total,
        "interrupted: {done} of {total} trainings were made"
    );
    Ok(())
}
