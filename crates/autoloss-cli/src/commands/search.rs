//! `autoloss search` and `autoloss resume`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use autoloss_search::{End, NewRun, Recorder, RunReport, Space, Task, run};
use autoloss_vision::tasks::{TaskName, TaskSettings};
use toml::Value;

use super::{interrupt_on_ctrl_c, print, print_json, show};
use crate::args::{Resume, Search};
use crate::config::{Config, default_file, open_task};
use crate::exit::usage;
use crate::progress::Progress;

/// The budget of a search that is given none: the whole run within five minutes.
const DEFAULT_TIME: Duration = Duration::from_secs(285);

pub(crate) fn search(arguments: Search) -> Result<()> {
    if arguments.print_config {
        let name = arguments
            .task
            .task
            .as_deref()
            .unwrap_or(TaskName::Digits.name());
        return print(&default_file(name.parse().map_err(usage)?));
    }
    let config = Config::read(&arguments.task, flags(&arguments)?)?;
    let mut settings = config.search.clone();
    if settings.search.time.is_none() && settings.search.evaluations.is_none() {
        settings.search.time = Some(DEFAULT_TIME.as_secs_f64());
    }
    let task = config.open_task()?;
    Space::new(&settings.search, task.branches()).map_err(usage)?;
    let dir = match arguments.run {
        Some(dir) => dir,
        None => free_dir(&config.task)?,
    };
    let mut recorder = Recorder::create(
        &dir,
        &NewRun {
            task: config.task.name().name(),
            metric: config.task.metric(),
            settings: &settings,
            task_settings: &config.task.to_toml(),
        },
    )?;
    eprintln!(
        "run {} (ends early with Ctrl-C; go on with `autoloss resume`)",
        dir.display()
    );
    go_on(&dir, &*task, &mut recorder, arguments.json)
}

fn flags(arguments: &Search) -> Result<Vec<(String, Option<Value>)>> {
    let time = arguments.time.map(|t| Value::Float(t.as_secs_f64()));
    let mut flags = vec![
        Config::integer("seed", arguments.seed)?,
        Config::integer("evaluations", arguments.evaluations)?,
        Config::workers(arguments.workers)?,
        ("search.time".to_owned(), time),
    ];
    flags.extend(Config::fixed(&arguments.fix)?);
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
    let table = toml::from_str(&info.task_settings).with_context(|| {
        format!(
            "{}: the stored settings of the task",
            arguments.dir.display()
        )
    })?;
    let task = open_task(TaskSettings::from_table(&table)?)?;
    go_on(&arguments.dir, &*task, &mut recorder, arguments.json)
}

/// Runs a new or resumed run to its end and prints what it found.
fn go_on(dir: &Path, task: &dyn Task, recorder: &mut Recorder, json: bool) -> Result<()> {
    let interrupt = interrupt_on_ctrl_c("nothing evaluated is lost")?;
    let info = recorder.store().info()?;
    let search = &info.settings.search;
    let mut progress = Progress::new(dir, search.time, search.evaluations, info.elapsed)?;
    let report = run(task, recorder, &interrupt, &mut |event| {
        progress.on_event(event);
    });
    progress.finish();
    let report = report?;
    let store = recorder.store();
    if json {
        print_json(&show::as_json(store, search.shown_losses())?)?;
    } else {
        print(&show::as_text(store, search.shown_losses())?)?;
    }
    ended(dir, &report)
}

fn ended(dir: &Path, report: &RunReport) -> Result<()> {
    let dir = dir.display();
    match report.end {
        End::Interrupted => {
            anyhow::bail!("interrupted; go on with `autoloss resume {dir}`");
        }
        _ => {
            eprintln!("more: `autoloss show {dir}`; the best loss is `--loss @{dir}`");
            show::ensure_scored(&report.comparisons)
        }
    }
}

/// The first folder `runs/TASK-METRIC-N` that is not there yet.
fn free_dir(task: &TaskSettings) -> Result<PathBuf> {
    (1..100_000)
        .map(|n| PathBuf::from(format!("runs/{}-{}-{n}", task.name(), task.metric())))
        .find(|dir| !dir.exists())
        .context("runs/ is full: name a folder with --run DIR")
}
