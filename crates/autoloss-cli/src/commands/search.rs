//! `autoloss search` and `autoloss resume`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use autoloss_search::{
    End, Folder, FolderError, NewRun, Recorder, RunReport, Space, StoreError, Task, parse_toml, run,
};
use autoloss_vision::tasks::{TaskName, TaskSettings};
use toml::Value;

use super::{interrupt_on_ctrl_c, print, show};
use crate::args::{Resume, Search};
use crate::config::{Config, default_file, open_task};
use crate::exit::usage;
use crate::output::say;
use crate::progress::Progress;
use crate::shell;

/// The budget of a search that is given none: the whole run within five minutes.
const DEFAULT_TIME: Duration = Duration::from_secs(285);

pub(crate) fn search(arguments: &Search) -> Result<()> {
    if arguments.print_config {
        let name = arguments
            .task
            .task
            .as_deref()
            .unwrap_or(TaskName::Digits.name());
        return print(&default_file(name.parse().map_err(usage)?));
    }
    let config = Config::read(&arguments.task, flags(arguments)?)?;
    let mut settings = config.search.clone();
    if settings.search.time.is_none() && settings.search.evaluations.is_none() {
        settings.search.time = Some(DEFAULT_TIME.as_secs_f64());
    }
    let task = config.open_task()?;
    Space::new(&settings.search, task.branches()).map_err(usage)?;
    let folder = match &arguments.run {
        Some(dir) => Folder::claim(dir).map_err(StoreError::Folder)?,
        None => free_folder(&config.task)?,
    };
    let dir = folder.path().to_owned();
    let recorder = Recorder::create_in(
        folder,
        &NewRun {
            task: config.task.name().name(),
            metric: config.task.metric(),
            settings: &settings,
            task_settings: &config.task.to_toml(),
        },
    )?;
    say!(
        "run {} (ends early with Ctrl-C; go on with `autoloss resume {}`)",
        dir.display(),
        shell::path(&dir)
    );
    go_on(&dir, &*task, recorder, arguments.json)
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
    let table = parse_toml(&info.task_settings).map_err(|error| {
        anyhow::anyhow!(
            "{}: the stored settings of the task: {error}",
            arguments.dir.display()
        )
    })?;
    let task = open_task(TaskSettings::from_table(&table)?)?;
    go_on(&arguments.dir, &*task, recorder, arguments.json)
}

/// Runs a new or resumed run to its end and prints what it found.
fn go_on(dir: &Path, task: &dyn Task, mut recorder: Recorder, json: bool) -> Result<()> {
    let interrupt = interrupt_on_ctrl_c("nothing evaluated is lost")?;
    let info = recorder.store().info()?;
    let search = &info.settings.search;
    let mut progress = Progress::new(dir, &info, recorder.store().tally()?)?;
    let report = run(task, &mut recorder, &interrupt, &mut |event| {
        progress.on_event(event);
    });
    progress.finish(report.is_ok());
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
            format!("; the best loss is `--loss {loss}`")
        }
        None => String::new(),
    };
    say!("more: `autoloss show {folder}`{best}");
    show::ensure_scored(&report.comparisons)
}

/// The first folder `runs/TASK-METRIC-N` that is not there yet, made and claimed.
fn free_folder(task: &TaskSettings) -> Result<Folder> {
    for number in 1..100_000 {
        let name = format!("runs/{}-{}-{number}", task.name(), task.metric());
        match Folder::claim_new(Path::new(&name)) {
            // Taken by another process before or at this moment.
            Err(FolderError::Exists(_) | FolderError::InUse(_)) => {}
            claimed => return Ok(claimed?),
        }
    }
    anyhow::bail!("runs/ is full: name a folder with --run DIR")
}
