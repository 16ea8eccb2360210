//! The trainings of a table, kept one by one.

use std::path::Path;

use anyhow::Result;
use autoloss_expr::Loss;
use autoloss_search::{
    Comparison, Ended, Entry, EvaluationSet, Interrupt, Job, Schedule, Store, reproduction_seeds,
    summarise,
};

use super::plan::{Plan, Row, Setup};
use super::searches::{folder, worker_setting};
use crate::comparisons::in_words;
use crate::formula::for_task;
use crate::output::say;
use crate::trainings::{self, TrainingFolder};

/// The trainings of one setup, a comparison a row; `None` for a search that found nothing.
pub(super) type OfSetup = Vec<Option<Comparison>>;

/// Makes the trainings that are not made yet.
///
/// # Errors
/// An interrupt, data that cannot be read, or files that cannot be written.
pub(super) fn train(
    plan: &Plan,
    out: &Path,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Vec<OfSetup>> {
    let setups = plan.setups.iter();
    setups
        .map(|setup| of_setup(plan, setup, out, workers, interrupt))
        .collect()
}

fn of_setup(
    plan: &Plan,
    setup: &Setup,
    out: &Path,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<OfSetup> {
    let config = setup.config(&[worker_setting(workers)])?;
    let dir = out.join("trainings").join(setup.key);
    let kept = TrainingFolder::new(&dir, config.task.to_toml())?;
    let task = config.open_task()?;
    let crew = config.crew(&*task)?;
    let seeds = reproduction_seeds(plan.seeds);
    let mut entries = Vec::new();
    for row in &plan.rows {
        let Some((name, loss)) = loss_of(row, plan, out, &*task)? else {
            continue;
        };
        entries.extend(seeds.iter().map(|seed| Entry {
            name: name.clone(),
            loss: loss.clone(),
            job: Job {
                schedule: Schedule::Full,
                set: EvaluationSet::Validation,
                seed: *seed,
                stop_on_invalid: true,
                all_metrics: true,
                ..Job::default()
            },
        }));
    }
    let mut tell = |ended: &Ended, (made, total): (usize, usize)| {
        say!("{}: {made} of {total}: {}", setup.key, in_words(ended));
    };
    let made = trainings::train(
        Some(&kept),
        &*task,
        &entries,
        crew.workers(),
        interrupt,
        &mut tell,
    )?;
    anyhow::ensure!(
        made.len() == entries.len(),
        "interrupted; the same command goes on"
    );
    let comparisons = summarise(made);
    let of_row = |row: &Row| comparisons.iter().find(|c| c.name == row.name()).cloned();
    Ok(plan.rows.iter().map(of_row).collect())
}

/// A row's loss for a task; `None` for a search that found nothing.
fn loss_of(
    row: &Row,
    plan: &Plan,
    out: &Path,
    task: &dyn autoloss_search::Task,
) -> Result<Option<(String, Loss)>> {
    let text = match row {
        Row::Written(_, text) => text.clone(),
        Row::Found { search, .. } => {
            let store = Store::open(&folder(out, plan.search(search)?))?;
            match store.best_found()? {
                Some(best) => best.candidate.formula,
                None => return Ok(None),
            }
        }
    };
    Ok(Some((row.name().to_owned(), for_task(&text, task)?.loss)))
}
