//! Searches and comparisons that run in Rust, while the thread that called them shows progress and takes signals.

mod attend;
mod batch;
pub(crate) mod compare;
pub(crate) mod fidelity;

use std::path::PathBuf;

use autoloss_search::{
    Folder, FolderError, NewRun, Recorder, RunReport, Runner, Settings, StoreError,
};
use pyo3::prelude::*;

use crate::errors::store_error;
use crate::guard::guarded;
use crate::settings::of_task;
use crate::task::UserTask;
use crate::worker::{Crew, processes, workers};
use attend::{Progress, attended};

/// Begins a run and searches: the run's folder, and why the search ended.
///
/// `settings` are pairs of names and values in TOML. `progress` is called with a dictionary of counts now and then.
///
/// # Errors
/// Faults of task, settings or folder; an exception that ended the search.
#[pyfunction]
pub(crate) fn search(
    py: Python<'_>,
    bridge: &Bound<'_, PyAny>,
    given: Vec<(String, String)>,
    folder: Option<PathBuf>,
    about: &str,
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<(PathBuf, String)> {
    guarded(|| {
        let task = UserTask::new(bridge)?;
        let settings = of_task(py, &task, given)?;
        let recorder = py.detach(|| begin(&task, &settings, folder, about));
        let recorder = recorder.map_err(|e| store_error(&e))?;
        let forecast = bridge.getattr("forecast")?;
        progress.call_method1("begin", (recorder.1.clone(), forecast))?;
        let end = drive(py, &task, recorder.0, progress, crew)?;
        Ok((recorder.1, end))
    })
}

/// Goes on with a run in a folder: why the search ended.
///
/// # Errors
/// As [`search`]; a folder without a run.
#[pyfunction]
pub(crate) fn resume(
    py: Python<'_>,
    bridge: &Bound<'_, PyAny>,
    folder: PathBuf,
    evaluations: Option<u64>,
    time: Option<f64>,
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<String> {
    guarded(|| {
        let task = UserTask::new(bridge)?;
        let recorder = py.detach(|| {
            let mut recorder = Recorder::resume(&folder)?;
            let old = recorder.store().info()?.settings;
            let mut settings = old.clone();
            settings.search.evaluations = evaluations.or(settings.search.evaluations);
            settings.search.time = time.or(settings.search.time);
            if settings != old {
                recorder.change_settings(&settings)?;
            }
            Ok((recorder, settings))
        });
        let (recorder, settings) = recorder.map_err(|e: StoreError| store_error(&e))?;
        task.check(py, &settings)?;
        progress.call_method1("begin", (folder, bridge.getattr("forecast")?))?;
        drive(py, &task, recorder, progress, crew)
    })
}

/// Makes the folder of a run: the one given, or the first `runs/TASK-N` that is free.
pub(crate) fn begin(
    task: &UserTask,
    settings: &Settings,
    folder: Option<PathBuf>,
    about: &str,
) -> Result<(Recorder, PathBuf), StoreError> {
    let folder = match folder {
        Some(folder) => Folder::claim(&folder)?,
        None => free_folder(task.name())?,
    };
    let path = folder.path().to_owned();
    let run = NewRun {
        task: task.name(),
        metric: task.metric(),
        settings,
        task_settings: about,
    };
    Ok((Recorder::create_in(folder, &run)?, path))
}

fn free_folder(task: &str) -> Result<Folder, StoreError> {
    let mut number = 1_u32;
    loop {
        match Folder::claim_new(&PathBuf::from(format!("runs/{task}-{number}"))) {
            // Taken by another process before or at this moment.
            Err(FolderError::Exists(_) | FolderError::InUse(_)) => number += 1,
            claimed => return Ok(claimed?),
        }
    }
}

/// Searches on other threads; this one shows progress and takes signals.
fn drive(
    py: Python<'_>,
    task: &UserTask,
    mut recorder: Recorder,
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<String> {
    let processes = processes(py, task, crew)?;
    let ended = attended(py, task, progress, |interrupt, tell| {
        let runner = Runner {
            task: &**task,
            workers: workers(processes.as_ref()),
            plan: None,
            interrupt,
        };
        runner.run(&mut recorder, &mut |event| {
            tell(Progress::Event(Box::new(event.clone())));
        })
    });
    py.detach(|| drop((recorder, processes)));
    let RunReport { end, .. } = ended?;
    Ok(end.to_string())
}
