//! `autoloss search` and `autoloss resume`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use autoloss_search::{
    Earlier, End, Folder, FolderError, Measured, NewRun, Plan, Recorder, RunReport, Runner,
    SearchError, Space, StoreError, Task, start_losses,
};
use autoloss_vision::tasks::TaskName;
use toml::Value;

use super::{interrupt_on_ctrl_c, print, show};
use crate::args::{Resume, Search};
use crate::config::Config;
use crate::crew::Crew;
use crate::exit::usage;
use crate::output::say;
use crate::progress::Progress;
use crate::shell;

/// The usual budget of a search that is given none: the whole run within ten minutes.
const DEFAULT_TIME: Duration = Duration::from_secs(570);

pub(crate) fn search(arguments: &Search) -> Result<()> {
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

/// The budget of a search that is given none, where it needs so many seconds at the least.
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

/// Minutes and seconds.
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn flags(arguments: &Search) -> Result<Vec<(String, Option<Value>)>> {
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

pub(crate) fn resume(arguments: &Resume) -> Result<()> {
    let mut recorder = Recorder::resume(&arguments.dir)?;
    let info = recorder.store().info()?;
    let mut settings = info.settings.clone();
    if arguments.evaluations.is_some() {
        settings.search.evaluations = arguments.evaluations;
    }
    if let Some(time) = arguments.time {
        settings.search.time = Some(time.as_secs_f64());
    }
    settings.validate().map_err(usage)?;
    if settings != info.settings {
        recorder.change_settings(&settings)?;
    }
    let mut config = Config::of_run(&arguments.dir, &info)?;
    config.search = settings;
    let task = config.open_task()?;
    let crew = config.crew(&*task)?;
    let task = (&*task as &dyn Task, None);
    go_on(&arguments.dir, task, &crew, recorder, arguments.json)
}

/// Runs a new or resumed run to its end and prints what it found.
fn go_on(
    dir: &Path,
    (task, plan): (&dyn Task, Option<&Plan>),
    crew: &Crew,
    mut recorder: Recorder,
    json: bool,
) -> Result<()> {
    let interrupt = interrupt_on_ctrl_c("nothing evaluated is lost")?;
    let info = recorder.store().info()?;
    let search = &info.settings.search;
    let mut progress = Progress::new(dir, &info, recorder.store().tally()?)?;
    let runner = Runner {
        task,
        workers: crew.workers(),
        plan,
        interrupt: &interrupt,
    };
    let report = runner.run(&mut recorder, &mut |event| progress.on_event(event));
    progress.finish(report.is_ok());
    if let Some(remark) = task.remark() {
        say!("warning: {remark}");
    }
    let report = report?;
    let store = recorder.store();
    let top = search.shown_losses();
    let result = match json {
        true => format!("{:#}\n", show::as_json(store, top)?),
        false => show::as_text(store, top)?,
    };
    let in_place = recorder.check_folder();
    // The run is whole and free for others before anybody reads the result.
    drop(recorder);
    print(&result)?;
    in_place?;
    ended(dir, &report)
}

fn ended(dir: &Path, report: &RunReport) -> Result<()> {
    let folder = shell::path(dir);
    anyhow::ensure!(
        report.end != End::Interrupted,
        "interrupted; go on with `autoloss resume {folder}`"
    );
    let best = match report.tally.best {
        Some(_) => {
            let loss = shell::word(&format!("@{}", dir.display()));
            format!("; the recommended loss is `--loss {loss}`")
        }
        None => String::new(),
    };
    say!("more: `autoloss show {folder}`{best}");
    show::ensure_scored(&report.comparisons)
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
