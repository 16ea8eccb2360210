//! `autoloss retrain`: full training with one loss.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use autoloss_expr::Loss;
use autoloss_search::{EvaluationSet, Folder, Interrupt, Job, Outcome, SEARCH_SCORE, Schedule};
use autoloss_vision::tasks::{Keeping, VisionTask};
use serde_json::{Map, Value, json};

use super::{check_seeds, interrupt_on_ctrl_c, print, print_json};
use crate::args::{Keep, Retrain};
use crate::config::Config;
use crate::exit::usage;
use crate::files::write_json;
use crate::formula::for_task;
use crate::output::say;
use crate::table::Table;

/// How often progress is reported.
const EVERY: Duration = Duration::from_secs(10);

/// What a folder of a training was begun with; it goes on only with the same.
const BEGUN: &str = "training.json";

pub(crate) fn retrain(arguments: &Retrain) -> Result<()> {
    check_seeds(arguments.seeds)?;
    let last = arguments.seed.checked_add(arguments.seeds - 1);
    let last = last.ok_or_else(|| {
        usage(format!(
            "--seed {} --seeds {}: expected seeds of at most {}",
            arguments.seed,
            arguments.seeds,
            u64::MAX
        ))
    })?;
    let config = Config::read(&arguments.task, Vec::new())?;
    let task = config.open_task()?;
    let named = for_task(&arguments.loss, &*task)?;
    let dir = &arguments.out;
    let folder = claim(arguments)?;
    let training = Retraining {
        arguments,
        config: &config,
        task: &*task,
        loss: &named.loss,
        interrupt: &*interrupt_on_ctrl_c("go on with --resume")?,
    };
    let mut results = Vec::new();
    for seed in arguments.seed..=last {
        let dir = match arguments.seeds {
            1 => dir.clone(),
            _ => dir.join(format!("seed-{seed}")),
        };
        results.push(training.run(&dir, seed)?);
    }
    folder.check()?;
    drop(folder);
    let several = json!({ "trainings": results });
    if arguments.json {
        return print_json(if arguments.seeds == 1 {
            &results[0]
        } else {
            &several
        });
    }
    print(&format!(
        "{}\n\n{}\nnetwork.safetensors, result.json in {}{}\n",
        named.loss,
        table(&results),
        dir.display(),
        if arguments.seeds == 1 {
            ""
        } else {
            ", a folder a seed"
        }
    ))
}

/// Claims the folder of a training: one without files, or with `resume` one that a training began.
fn claim(arguments: &Retrain) -> Result<Folder> {
    let (dir, resume) = (&arguments.out, arguments.resume);
    let wrong = |what: &str| Err(usage(format!("--out {}: {what}", dir.display())));
    if resume && !dir.exists() {
        return wrong("there is nothing to resume");
    }
    let folder = Folder::claim(dir)?;
    let empty = folder.is_empty()?;
    if !empty && !resume {
        return wrong("exists already; name a new folder, or go on with --resume");
    }
    let seeds = fs::read_dir(dir).into_iter().flatten().flatten();
    let seeds = seeds.filter(|entry| entry.file_name().to_string_lossy().starts_with("seed-"));
    let several = seeds
        .map(|entry| entry.path().join(BEGUN))
        .any(|begun| begun.exists());
    match (arguments.seeds, dir.join(BEGUN).exists(), several) {
        _ if empty => Ok(folder),
        (1, true, _) | (2.., false, true) => Ok(folder),
        (1, false, true) => wrong("holds trainings with several seeds; give --seeds as before"),
        (2.., true, _) => wrong("holds a training with one seed; name a new folder"),
        _ => wrong("holds no training to resume; name a new folder"),
    }
}

/// The metrics, mean and standard deviation where there are several trainings.
fn table(results: &[Value]) -> Table {
    let numbers = match results.len() {
        1 => "score",
        _ => "mean ± std",
    };
    let numbers = format!(">{numbers} on the {}", EvaluationSet::Validation);
    let mut table = Table::new(&["metric", &numbers]);
    let metrics = results[0]["metrics"].as_object();
    for name in metrics.into_iter().flat_map(Map::keys) {
        let values = results.iter().filter_map(|r| r["metrics"][name].as_f64());
        let values: Vec<f64> = values.collect();
        let (mean, std) = autoloss_search::mean_and_std(&values);
        let cell = match values.len() {
            1 => format!("{mean:.4}"),
            _ => format!("{mean:.4} ± {std:.4}"),
        };
        let name = match name.as_str() {
            SEARCH_SCORE => format!("on the {}", EvaluationSet::Search),
            name => name.to_owned(),
        };
        table.row([name, cell]);
    }
    table
}

/// What trainings with several seeds have in common.
struct Retraining<'a> {
    arguments: &'a Retrain,
    config: &'a Config,
    task: &'a dyn VisionTask,
    loss: &'a Loss,
    interrupt: &'a Interrupt,
}

impl Retraining<'_> {
    /// One training in its folder; one that was finished before is read.
    fn run(&self, dir: &Path, seed: u64) -> Result<Value> {
        let path = dir.join("result.json");
        // The whole folder is claimed already where there is one seed.
        let folder = match self.arguments.seeds {
            1 => None,
            _ => Some(Folder::claim(dir)?),
        };
        self.begin(dir, seed)?;
        if let Ok(text) = fs::read(&path) {
            let result = serde_json::from_slice(&text);
            return result.with_context(|| format!("{}: is damaged; delete it", path.display()));
        }
        let steps = self.config.task.training(Schedule::Full).steps;
        let every = self.arguments.checkpoint_every;
        let keeping = Keeping {
            dir,
            every: every.unwrap_or(steps.div_ceil(10)).max(1),
            best: self.arguments.keep == Keep::Best,
        };
        let job = Job {
            schedule: Schedule::Full,
            set: EvaluationSet::Validation,
            seed,
            stop_on_invalid: self.config.search.search.stop_on_invalid,
            ..Job::default()
        };
        let start = Instant::now();
        let mut reported = Instant::now();
        let mut on_update = |update: usize, loss_value: f64| {
            if reported.elapsed() >= EVERY || update == steps {
                reported = Instant::now();
                let seconds = start.elapsed().as_secs();
                say!(
                    "seed {seed}, update {update} of {steps}: loss value {loss_value:.5}, {seconds} s"
                );
            }
        };
        let retrained = self
            .task
            .retrain(self.loss, &job, keeping, self.interrupt, &mut on_update);
        let evaluation = retrained?;
        if let Outcome::Stopped { update, what } = &evaluation.outcome {
            anyhow::bail!("the training was stopped at update {update}: {what}");
        }
        let metrics = evaluation.metrics.iter();
        let metrics: Map<String, Value> = metrics.map(|(n, v)| (n.clone(), json!(v))).collect();
        let result = json!({
            "loss": self.loss.to_string(),
            "seed": seed,
            "seconds": evaluation.seconds,
            "set": job.set,
            "checkpoint_chosen_on": keeping.best.then_some(EvaluationSet::Search),
            "metrics": metrics,
            "curve": evaluation.curve,
            "settings": self.config.task.to_toml(),
        });
        write_json(&path, &result)?;
        drop(folder);
        Ok(result)
    }

    /// Marks the folder as that of this training, or checks that it was begun with the same loss, seed and settings.
    fn begin(&self, dir: &Path, seed: u64) -> Result<()> {
        let path = dir.join(BEGUN);
        let wanted = json!({
            "loss": self.loss.to_string(), "seed": seed, "keep": format!("{:?}", self.arguments.keep),
            "settings": self.config.task.to_toml(),
        });
        match fs::read(&path) {
            Ok(text) => {
                let begun: Value = serde_json::from_slice(&text).unwrap_or_default();
                let other = ["loss", "seed", "keep", "settings"].into_iter();
                match other.into_iter().find(|key| begun[key] != wanted[key]) {
                    None => Ok(()),
                    Some(key) => Err(usage(format!(
                        "--out {}: was begun with another {key}; name a new folder",
                        dir.display()
                    ))),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_json(&path, &wanted)
            }
            Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        }
    }
}
