//! `autoloss search`: a loss for a task and its metric.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use autoloss_search::{
    Earlier, Folder, FolderError, Measured, NewRun, Plan, Recorder, SearchError, Space, StoreError,
    Task, start_losses,
};
use autoloss_vision::tasks::TaskName;
use clap::Args;
use toml::Value;

use crate::args::{Preset, ProgramArguments, TaskArguments, WorkerArguments};
use crate::config::Config;
use crate::duration::{clock, duration};
use crate::exit::usage;
use crate::output::{print, say};
use crate::run::go_on;
use crate::shell;

/// Search a loss for a task and its metric.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss search
  autoloss search --task digits --metric bf1 --time 30m --run runs/bf1
  autoloss search --task voc --data VOC2012 --evaluations 200 --set screening.threshold=0.5
  autoloss search --task digits-detection --fix rpn_box=zoo:smooth_l1 --fix rcnn_box=zoo:smooth_l1")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    #[command(flatten)]
    program: ProgramArguments,
    /// Folder of the run, which must not hold one yet; default: a new one under runs/.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Seed of the run.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// End after this many proxy trainings.
    #[arg(long, value_name = "N")]
    evaluations: Option<u64>,
    /// End after about this long, the full trainings at the end included: 10m, 2h. Default, where no number
    /// of evaluations is given either: 9m30s, or one and a half times that of those full trainings where
    /// they leave less than a tenth of it.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    #[command(flatten)]
    workers: WorkerArguments,
    /// Settings to start from in place of the task's: paper is the published configuration of
    /// AutoLoss-Zero. A file of settings and flags change it.
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,
    /// Hold a branch of the task fixed to a loss, as in rpn_box=zoo:smooth_l1. May be repeated.
    #[arg(long, value_name = "BRANCH=LOSS", allow_hyphen_values = true)]
    fix: Vec<String>,
    /// A loss that the population begins with, or zoo for all hand-written ones that fit. May be repeated.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    start: Vec<String>,
    /// Folder of an earlier run whose losses have the same branches, for another metric or data set, say:
    /// predictions of scores are made from its trainings, too.
    #[arg(long, value_name = "DIR")]
    learn_from: Option<PathBuf>,
    /// Print the defaults of the task (--task) as a commented file of settings, and end.
    #[arg(long)]
    print_config: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The usual budget of a search that is given none: the whole run within ten minutes.
const DEFAULT_TIME: Duration = Duration::from_secs(570);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.print_config {
        let name = arguments
            .task
            .task
            .as_deref()
            .unwrap_or(TaskName::Digits.name());
        let name: TaskName = name.parse().map_err(usage)?;
        return print(&name.commented_preset());
    }
    let mut config = Config::read_with(&arguments.task, arguments.preset, flags(arguments)?)?;
    let task = config.open_to_screen()?;
    let mut settings = config.search.clone();
    Space::new(&settings.search, task.branches()).map_err(usage)?;
    start_losses(&settings.search, &*task).map_err(usage)?;
    let earlier = match &arguments.learn_from {
        Some(dir) => Some(earlier(dir, &*task)?),
        None => None,
    };
    let workers = settings.search.training_count();
    let plan = Plan::new(&*task, &settings.search, workers)?;
    if settings.search.time.is_none() && settings.search.evaluations.is_none() {
        settings.search.time = Some(default_time(plan.least_seconds()));
    }
    plan.check(settings.search.time).map_err(usage)?;
    say!("{}", planned(&plan, settings.search.time));
    let crew = config.crew(&*task)?;
    let folder = match &arguments.run {
        Some(dir) => Folder::claim(dir).map_err(StoreError::Folder)?,
        None => free_folder(&*task)?,
    };
    let dir = folder.path().to_owned();
    let mut recorder = Recorder::create_in(
        folder,
        &NewRun {
            task: task.name(),
            metric: task.metric(),
            settings: &settings,
            task_settings: &config.task.to_toml(),
        },
    )?;
    if let Some(earlier) = earlier {
        earlier.teach(&mut recorder)?;
    }
    say!(
        "run {} (ends early with Ctrl-C; go on with `autoloss resume {}`)",
        dir.display(),
        shell::path(&dir)
    );
    go_on(&dir, (&*task, Some(&plan)), &crew, recorder, arguments.json)
}

/// The trained losses of an earlier run.
fn earlier(dir: &Path, task: &dyn Task) -> Result<Earlier> {
    let earlier = Earlier::of_run(dir, task).map_err(|error| match error {
        SearchError::Unlearnable { .. } => usage(error),
        error => error.into(),
    })?;
    let count = earlier.count();
    say!(
        "predictions begin with {count} trainings of {}",
        dir.display()
    );
    Ok(earlier)
}

/// The budget of a search that is given none, where it needs `least` seconds at the least.
fn default_time(least: f64) -> f64 {
    let usual = DEFAULT_TIME.as_secs_f64();
    match least < 0.9 * usual {
        true => usual,
        false => (1.5 * least).ceil(),
    }
}

/// The expected cost of a run, and the time that is left for its search.
fn planned(plan: &Plan, time: Option<f64>) -> String {
    let about = |seconds: Option<f64>| match seconds {
        Some(seconds) if seconds < 10.0 => format!("about {seconds:.1} s"),
        Some(seconds) => format!("about {seconds:.0} s"),
        None => "of unknown duration".to_owned(),
    };
    let mut text = format!("a proxy training: {}", about(plan.proxy));
    let trainings = plan.full_trainings();
    if trainings == 0 {
        return text + "; no full training at the end";
    }
    text.push_str(&format!(
        "; a full training: {}, {trainings} of them at the end",
        about(plan.full)
    ));
    let last = plan.final_seconds(&Measured::default());
    if let (Some(proxy), Some(time), true) = (plan.proxy, time, last > 0.0) {
        let left = (time - last) * plan.workers as f64 / proxy.max(1e-3);
        text.push_str(&format!(
            ", which take {} of {}: the rest holds some {:.0} evaluations",
            clock(last),
            clock(time),
            left.max(1.0).floor()
        ));
    }
    text
}

fn flags(arguments: &Arguments) -> Result<Vec<(String, Option<Value>)>> {
    let time = arguments.time.map(|t| Value::Float(t.as_secs_f64()));
    let mut flags = vec![
        Config::integer("seed", arguments.seed)?,
        Config::integer("evaluations", arguments.evaluations)?,
        ("search.time".to_owned(), time),
    ];
    flags.extend(Config::of_program(&arguments.program));
    flags.extend(Config::of_workers(&arguments.workers)?);
    flags.extend(Config::fixed(&arguments.fix)?);
    if !arguments.start.is_empty() {
        let losses = arguments.start.iter().cloned().map(Value::String);
        flags.push((
            "search.start".to_owned(),
            Some(Value::Array(losses.collect())),
        ));
    }
    Ok(flags)
}

/// Whether a character of a program's names has no place in that of a folder.
fn unsafe_in_names(c: char) -> bool {
    !(c.is_alphanumeric() || "-_.".contains(c))
}

/// The first folder `runs/TASK-METRIC-N` that is not there yet, made and claimed.
fn free_folder(task: &dyn Task) -> Result<Folder> {
    for number in 1..100_000 {
        let name = format!("{}-{}", task.name(), task.metric()).replace(unsafe_in_names, "-");
        let name = format!("runs/{name}-{number}");
        match Folder::claim_new(Path::new(&name)) {
            // Taken by another process before or at this moment.
            Err(FolderError::Exists(_) | FolderError::InUse(_)) => {}
            claimed => return Ok(claimed?),
        }
    }
    anyhow::bail!("runs/ is full: name a folder with --run DIR")
}
