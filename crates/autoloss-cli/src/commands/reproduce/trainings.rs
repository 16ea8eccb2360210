//! The trainings of a table. Each is kept in a file of its own as soon as it is made, so that an
//! interrupted table goes on where it was.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use autoloss_expr::Loss;
use autoloss_search::{
    Comparison, Entry, Interrupt, Job, Store, Training, final_seeds, summarise, train_all,
};
use serde_json::{Value, json};

use super::plan::{Plan, Row, Setup};
use super::searches::folder;
use crate::config::open_task;
use crate::files::write_aside;
use crate::formula::for_task;

/// The trainings of one setup, a comparison a row; `None` for a search that found nothing.
pub(super) type OfSetup = Vec<Option<Comparison>>;

/// Seeds of the tables' trainings are drawn from this number: no search uses it, so no loss was chosen
/// by them.
const SEED: u64 = 0x7AB1E;

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
    let config = setup.config(&[])?;
    let settings = config.task.to_toml();
    let task = open_task(config.task)?;
    let dir = out.join("trainings").join(setup.key);
    std::fs::create_dir_all(&dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let seeds = final_seeds(SEED, plan.seeds);
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for row in &plan.rows {
        let Some((name, loss)) = loss_of(row, plan, out, &*task)? else {
            continue;
        };
        for seed in &seeds {
            let entry = Entry {
                name: name.clone(),
                loss: loss.clone(),
                job: Job {
                    seed: *seed,
                    stop_on_invalid: true,
                    all_metrics: true,
                    ..Job::default()
                },
            };
            match read(&file(&dir, &name, *seed), &entry, &settings) {
                Some(training) => done.push(training),
                None => missing.push(entry),
            }
        }
    }
    let (mut made, total) = (0, missing.len());
    let new = train_all(&*task, &missing, workers, interrupt, &mut |training| {
        made += 1;
        eprintln!(
            "{}: {made} of {total}: {} {:.4} in {:.1} s",
            setup.key, training.name, training.score, training.seconds
        );
        let path = file(&dir, &training.name, training.seed);
        write(&path, training, &settings).map_err(|error| {
            autoloss_search::SearchError::Worker(format!("{}: {error:#}", path.display()))
        })
    })?;
    anyhow::ensure!(new.len() == total, "interrupted; the same command goes on");
    done.extend(new);
    let comparisons = summarise(done);
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
            let store = Store::open(&folder(out, &plan.searches[*search]))?;
            match store.best_found()? {
                Some(best) => best.candidate.formula,
                None => return Ok(None),
            }
        }
    };
    Ok(Some((row.name().to_owned(), for_task(&text, task)?.loss)))
}

fn file(dir: &Path, name: &str, seed: u64) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    dir.join(format!("{name}-{seed}.json"))
}

/// A training made before, if it was made with this loss and these settings.
fn read(path: &Path, entry: &Entry, settings: &str) -> Option<Training> {
    let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let same = value["loss"] == entry.loss.to_string() && value["settings"] == settings;
    let number = |value: &Value| value.as_f64();
    let metrics = value["metrics"].as_object()?.iter();
    let metrics = metrics.filter_map(|(name, value)| Some((name.clone(), number(value)?)));
    same.then_some(Training {
        name: entry.name.clone(),
        formula: entry.loss.to_string(),
        seed: entry.job.seed,
        score: number(&value["score"])?,
        seconds: number(&value["seconds"])?,
        note: value["note"].as_str().map(str::to_owned),
        curve: Vec::new(),
        metrics: metrics.collect(),
        pictures: Vec::new(),
    })
}

fn write(path: &Path, training: &Training, settings: &str) -> Result<()> {
    let metrics = training.metrics.iter();
    let metrics: serde_json::Map<String, Value> = metrics
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let value = json!({
        "name": training.name, "loss": training.formula, "seed": training.seed,
        "score": training.score, "seconds": training.seconds, "note": training.note,
        "metrics": metrics, "settings": settings,
    });
    write_aside(path, |file| {
        Ok(file.write_all(format!("{value:#}\n").as_bytes())?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_expr::Tree;

    #[test]
    fn a_kept_training_is_taken_only_for_its_loss_and_settings() {
        let dir = tempfile::tempdir().unwrap();
        let tree = |text| Tree::parse(text, &["yhat", "y"]).unwrap();
        let entry = |text| Entry {
            name: "Lovász".to_owned(),
            loss: Loss::single("s", tree(text)),
            job: Job {
                seed: 7,
                ..Job::default()
            },
        };
        let training = Training {
            name: "Lovász".to_owned(),
            formula: entry("yhat - y").loss.to_string(),
            seed: 7,
            score: 0.25,
            seconds: 1.5,
            note: None,
            curve: Vec::new(),
            metrics: vec![("miou".to_owned(), 0.25)],
            pictures: Vec::new(),
        };
        let path = file(dir.path(), &training.name, 7);
        write(&path, &training, "steps = 1").unwrap();
        assert_eq!(read(&path, &entry("yhat - y"), "steps = 1"), Some(training));
        assert_eq!(read(&path, &entry("yhat + y"), "steps = 1"), None);
        assert_eq!(read(&path, &entry("yhat - y"), "steps = 2"), None);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path, &entry("yhat - y"), "steps = 1"), None);
    }
}
