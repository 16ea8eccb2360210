//! `autoloss retrain`: full training with one loss.

use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use autoloss_expr::Loss;
use autoloss_search::{
    Ended, Entry, EvaluationSet, Folder, Interrupt, Job, Keeping, News, Report, SEARCH_SCORE,
    Schedule, Task, TaskError, train_all,
};
use autoloss_vision::tasks::TaskSettings;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::args::{TaskArguments, WorkerArguments, check_seeds};
use crate::config::Config;
use crate::exit::usage;
use crate::files::write_json;
use crate::formula::for_task;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::output::{print, print_json, say};
use crate::table::Table;

/// Time between two reports of progress.
const EVERY: Duration = Duration::from_secs(10);

/// File with the loss, the seed and the settings that the training of a folder was begun with.
const BEGUN: &str = "training.json";

/// Train with one loss in full: checkpoints, final network, all metrics.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss retrain --task voc --data VOC2012 --net deeplabv3plus-resnet50 --loss @runs/voc-miou-1 \\
      --set task.full.longest_side=0 --set task.full.training.crop=513 \\
      --set task.full.training.steps=30000 --out trained")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    /// The loss.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    loss: String,
    /// Folder for checkpoints, the network and the metrics; must be empty or new, except with --resume.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from the last checkpoint in --out; the result equals that of a training that was not
    /// interrupted.
    #[arg(long)]
    resume: bool,
    /// Seed of the training; of several, the first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of trainings with a seed each, each in a folder of its own in --out.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Network that is kept: that after the last update, or that of the checkpoint with the best score
    /// on the search set, which is held out of the training data. Results are of the validation set.
    #[arg(long, value_enum, default_value_t = Keep::Last)]
    keep: Keep,
    /// Updates between two checkpoints; default: a tenth of all.
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<usize>,
    #[command(flatten)]
    workers: WorkerArguments,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Choice of the network of a training that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Keep {
    Last,
    Best,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
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
    let config = Config::read(&arguments.task, Config::of_workers(&arguments.workers)?)?;
    let settings = config.task.need_vision("retrain")?;
    let task = config.open_task()?;
    let named = for_task(&arguments.loss, &*task)?;
    let dir = &arguments.out;
    let folder = claim(arguments)?;
    let training = Retraining {
        arguments,
        config: &config,
        settings,
        loss: &named.loss,
    };
    let interrupt = interrupt_on_ctrl_c("go on with --resume")?;
    let results = training.run(arguments.seed..=last, &*task, &interrupt)?;
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
fn claim(arguments: &Arguments) -> Result<Folder> {
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

/// Tells the progress of a training now and then: `reported` has the time of the last report of each seed.
fn tell(entry: &Entry, report: Report, reported: &mut HashMap<u64, (Instant, Instant)>) {
    let Report::Update {
        update,
        of,
        loss_value,
    } = report
    else {
        return;
    };
    let now = Instant::now();
    let (start, last) = reported.entry(entry.job.seed).or_insert((now, now));
    if last.elapsed() >= EVERY || update == of {
        *last = now;
        let (name, seconds) = (&entry.name, start.elapsed().as_secs());
        say!("{name}, update {update} of {of}: loss value {loss_value:.5}, {seconds} s");
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

/// A training with one of the seeds.
struct OfSeed {
    seed: u64,
    dir: PathBuf,
    /// The folder, where there are several; one alone is that of the command.
    _claimed: Option<Folder>,
    /// The result of a training that was finished before.
    result: Option<Value>,
}

impl OfSeed {
    fn result_file(&self) -> PathBuf {
        self.dir.join("result.json")
    }
}

/// Common parts of trainings with several seeds.
struct Retraining<'a> {
    arguments: &'a Arguments,
    config: &'a Config,
    settings: &'a TaskSettings,
    loss: &'a Loss,
}

impl Retraining<'_> {
    /// The results of all seeds, those that are missing trained by the workers.
    fn run(
        &self,
        seeds: RangeInclusive<u64>,
        task: &dyn Task,
        interrupt: &Interrupt,
    ) -> Result<Vec<Value>> {
        let of_seeds = seeds.map(|seed| self.of_seed(seed));
        let mut all = of_seeds.collect::<Result<Vec<_>>>()?;
        let missing = all.iter().filter(|of_seed| of_seed.result.is_none());
        let entries: Vec<Entry> = missing.map(|of_seed| self.entry(of_seed)).collect();
        let mut reported = HashMap::new();
        let crew = self.config.crew(task)?;
        let mut first_error = None;
        train_all(task, &entries, crew.workers(), interrupt, &mut |told| {
            match told {
                News::Reported(entry, report) => tell(entry, report, &mut reported),
                News::Ended(entry, ended) => {
                    let of_seed = all.iter_mut().find(|other| other.seed == entry.job.seed);
                    let of_seed = of_seed.expect("each entry is that of a seed");
                    match self.end(of_seed, ended) {
                        Ok(result) => of_seed.result = Some(result),
                        Err(error) => {
                            say!("seed {}: {error:#}", entry.job.seed);
                            first_error.get_or_insert(error);
                        }
                    }
                }
            }
            Ok(())
        })?;
        if let Some(error) = first_error {
            return Err(error);
        }
        let results = all.into_iter().map(|of_seed| of_seed.result);
        let results: Option<Vec<Value>> = results.collect();
        results.ok_or_else(|| TaskError::Interrupted.into())
    }

    /// The folder of a seed, marked as that of its training, and the result where it was finished before.
    fn of_seed(&self, seed: u64) -> Result<OfSeed> {
        let out = &self.arguments.out;
        let (dir, claimed) = match self.arguments.seeds {
            1 => (out.clone(), None),
            _ => {
                let dir = out.join(format!("seed-{seed}"));
                let claimed = Folder::claim(&dir)?;
                (dir, Some(claimed))
            }
        };
        self.begin(&dir, seed)?;
        let mut of_seed = OfSeed {
            seed,
            dir,
            _claimed: claimed,
            result: None,
        };
        let path = of_seed.result_file();
        if let Ok(text) = fs::read(&path) {
            let result = serde_json::from_slice(&text);
            let result =
                result.with_context(|| format!("{}: is damaged; delete it", path.display()));
            of_seed.result = Some(result?);
        }
        Ok(of_seed)
    }

    fn entry(&self, of_seed: &OfSeed) -> Entry {
        let steps = self.settings.training(Schedule::Full).steps;
        let every = self.arguments.checkpoint_every;
        Entry {
            name: format!("seed {}", of_seed.seed),
            loss: self.loss.clone(),
            job: Job {
                schedule: Schedule::Full,
                set: EvaluationSet::Validation,
                seed: of_seed.seed,
                stop_on_invalid: self.config.search.search.stop_on_invalid,
                all_metrics: true,
                keeping: Some(Keeping {
                    dir: of_seed.dir.clone(),
                    every: every.unwrap_or(steps.div_ceil(10)).max(1),
                    best: self.arguments.keep == Keep::Best,
                }),
                ..Job::default()
            },
        }
    }

    /// Writes the result of a training that was finished.
    fn end(&self, of_seed: &OfSeed, ended: &Ended) -> Result<Value> {
        let training = match ended {
            Ok(training) => training,
            Err(failed) => anyhow::bail!("{}", failed.message),
        };
        if let Some(note) = &training.note {
            anyhow::bail!("the training was stopped: {note}");
        }
        let metrics = training.metrics.iter();
        let metrics: Map<String, Value> = metrics.map(|(n, v)| (n.clone(), json!(v))).collect();
        let best = self.arguments.keep == Keep::Best;
        let result = json!({
            "loss": training.formula,
            "seed": training.seed,
            "seconds": training.seconds,
            "set": training.set,
            "checkpoint_chosen_on": best.then_some(EvaluationSet::Search),
            "metrics": metrics,
            "curve": training.curve,
            "settings": self.config.task.to_toml(),
        });
        write_json(&of_seed.result_file(), &result)?;
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
