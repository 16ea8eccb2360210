//! Searches that run in Rust, while the thread that called them shows progress and takes signals.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use autoloss_search::{
    Event, Folder, FolderError, Interrupt, NewRun, Recorder, RunReport, Runner, SearchError,
    Settings, StoreError, Tally, Workers,
};
use pyo3::create_exception;
use pyo3::exceptions::{
    PyFileExistsError, PyFileNotFoundError, PyOSError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::guard::{guarded, internal};
use crate::settings::of_task;
use crate::task::PyTask;
use crate::worker::{Crew, start};

create_exception!(
    autoloss,
    SearchFailed,
    PyRuntimeError,
    "A search that could not go on; its cause is the exception of the user's code, where there is one."
);

/// Time between two looks at signals.
const TICK: Duration = Duration::from_millis(50);

/// Time between two lines of progress.
const SHOW: Duration = Duration::from_millis(200);

/// Begins a run and searches: the run's folder, and why the search ended.
///
/// `settings` are pairs of names and values in TOML. `progress` is called with a dictionary of counts now and then.
///
/// # Errors
/// What is wrong with task, settings or folder; an exception that ended the search.
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
        let task = PyTask::new(bridge)?;
        let settings = of_task(py, &task, given)?;
        let recorder = py.detach(|| begin(&task, &settings, folder, about));
        let recorder = recorder.map_err(|e| store_error(&e))?;
        progress.call_method1("begin", (recorder.1.clone(),))?;
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
        let task = PyTask::new(bridge)?;
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
        progress.call_method1("begin", (folder,))?;
        drive(py, &task, recorder, progress, crew)
    })
}

/// Makes the folder of a run: the one given, or the first `runs/TASK-N` that is free.
pub(crate) fn begin(
    task: &PyTask,
    settings: &Settings,
    folder: Option<PathBuf>,
    about: &str,
) -> Result<(Recorder, PathBuf), StoreError> {
    use autoloss_search::Task;
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
    task: &PyTask,
    mut recorder: Recorder,
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<String> {
    let processes = crew.map(|crew| py.detach(|| start(task, crew))).transpose();
    let processes = processes.map_err(|error| search_error(py, task, &error))?;
    let workers = processes
        .as_ref()
        .map_or(Workers::Threads(1), Workers::Processes);
    let progress = progress.clone().unbind();
    let interrupt = Interrupt::default();
    let (ended, raised) = py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, events) = channel();
            let (interrupt, recorder) = (&interrupt, &mut recorder);
            let searching = scope.spawn(move || {
                let runner = Runner {
                    task,
                    workers,
                    plan: None,
                    interrupt,
                };
                // The other end outlives the search.
                runner.run(recorder, &mut |event| drop(sender.send(event.clone())))
            });
            let raised = attend(&events, interrupt, &progress);
            (searching.join(), raised)
        })
    });
    let ended = ended.map_err(|panic| internal(&*panic))?;
    py.detach(|| drop((recorder, processes)));
    if let Some(remark) = task.remark(py) {
        task.bridge(py).call_method1("warn", (remark,))?;
    }
    progress
        .bind(py)
        .call_method1("end", (ended.is_ok() && raised.is_none(),))?;
    match (raised, ended) {
        (Some(error), _) => Err(error),
        (None, Ok(RunReport { end, .. })) => Ok(end.to_string()),
        (None, Err(error)) => Err(search_error(py, task, &error)),
    }
}

/// Shows progress until the search ends; a signal such as Ctrl-C, or an exception of the progress, ends it.
fn attend(events: &Receiver<Event>, interrupt: &Interrupt, progress: &Py<PyAny>) -> Option<PyErr> {
    let mut raised = None;
    let mut tally = Tally::default();
    let (mut stage, mut shown) = (None, Instant::now());
    loop {
        let event = match events.recv_timeout(TICK) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                let last = || Python::attach(|py| show(py, progress, &tally, stage.as_ref()));
                return raised.or_else(|| last().err());
            }
        };
        if let Some(event) = &event {
            tally.add(event);
            if let Event::StageStarted {
                stage: begun,
                missing,
            } = event
            {
                stage = Some((begun.to_string(), *missing));
            }
        }
        let due = shown.elapsed() >= SHOW;
        if event.is_some() && !due {
            continue;
        }
        let attended = Python::attach(|py| {
            py.check_signals()?;
            match due && raised.is_none() {
                true => show(py, progress, &tally, stage.as_ref()),
                false => Ok(()),
            }
        });
        if due {
            shown = Instant::now();
        }
        if let Err(error) = attended {
            interrupt.set();
            raised.get_or_insert(error);
        }
    }
}

fn show(
    py: Python<'_>,
    progress: &Py<PyAny>,
    tally: &Tally,
    stage: Option<&(String, usize)>,
) -> PyResult<()> {
    let counts = PyDict::new(py);
    counts.set_item("screened", tally.drawn)?;
    counts.set_item("passed", tally.passed())?;
    counts.set_item("trained", tally.evaluations)?;
    counts.set_item("stopped", tally.stopped)?;
    counts.set_item("failed", tally.failed)?;
    counts.set_item("lost", tally.lost)?;
    counts.set_item("best", tally.best.as_ref().map(|best| best.score))?;
    counts.set_item("reference", tally.reference.clone())?;
    counts.set_item("stage", stage.cloned())?;
    progress.bind(py).call_method1("update", (counts,))?;
    Ok(())
}

/// An exception for an error of the search, caused by the last one of the user's code.
pub(crate) fn search_error(py: Python<'_>, task: &PyTask, error: &SearchError) -> PyErr {
    let raised = match error {
        SearchError::Settings(_)
        | SearchError::Budget { .. }
        | SearchError::NoSurrogate { .. }
        | SearchError::OtherTask { .. } => PyValueError::new_err(error.to_string()),
        SearchError::Store(error) => store_error(error),
        _ => SearchFailed::new_err(error.to_string()),
    };
    let by_user = matches!(
        error,
        SearchError::EvaluationsFail { .. }
            | SearchError::Baseline { .. }
            | SearchError::Samples { .. }
            | SearchError::Training { .. }
    );
    if by_user && let Some(cause) = task.take_error() {
        raised.set_cause(py, Some(cause));
    }
    raised
}

/// An exception for an error of a run on disk.
pub(crate) fn store_error(error: &StoreError) -> PyErr {
    let text = error.to_string();
    match error {
        StoreError::NoRun(_) => PyFileNotFoundError::new_err(text),
        StoreError::Exists(_) | StoreError::Folder(FolderError::Exists(_)) => {
            PyFileExistsError::new_err(text)
        }
        StoreError::Settings { .. } => PyValueError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}
