//! Worker processes: the interpreter that trains for a search in another process.

use std::io::{BufReader, Write, stdin};
use std::path::PathBuf;
use std::time::Duration;

use autoloss_search::{ProcessSettings, Processes, SearchError, Task, Workers};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::guard::guarded;
use crate::run::search_error;
use crate::task::{PyTask, with_traceback};

/// The processes that a search is to train in: program, arguments, settings of each, seconds that a training may
/// take, and whether trainings take the cores of this machine.
pub(crate) type Crew = (PathBuf, Vec<String>, Vec<String>, Option<f64>, bool);

/// Starts the processes of a search that is to have some.
///
/// # Errors
/// If the first of them does not start.
pub(crate) fn processes(
    py: Python<'_>,
    task: &PyTask,
    crew: Option<Crew>,
) -> PyResult<Option<Processes>> {
    let processes = crew.map(|crew| py.detach(|| start(task, crew))).transpose();
    processes.map_err(|error| search_error(py, task, &error))
}

/// The processes, or else one thread.
pub(crate) fn workers(processes: Option<&Processes>) -> Workers<'_> {
    processes.map_or(Workers::Threads(1), Workers::Processes)
}

fn start(task: &PyTask, crew: Crew) -> Result<Processes, SearchError> {
    let (program, arguments, settings, limit, shares_cores) = crew;
    Processes::start(ProcessSettings {
        program,
        arguments: arguments.into_iter().map(Into::into).collect(),
        folder: None,
        settings,
        fingerprint: task.fingerprint(),
        limit: limit.map(Duration::from_secs_f64),
        shares_cores,
    })
}

/// An output that Python writes.
struct Output(Py<PyAny>);

impl Output {
    fn call(&self, call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>) -> std::io::Result<()> {
        Python::attach(|py| call(self.0.bind(py))).map_err(|e| std::io::Error::other(e.to_string()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.call(|output| {
            let bytes = PyBytes::new(output.py(), bytes);
            output.call_method1("write", (bytes,)).map(|_| ())
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.call(|output| output.call_method0("flush").map(|_| ()))
    }
}

/// Trains for the search that speaks on the standard input, until that ends. `open` makes the bridge to the task from
/// the search's settings; `output` is a binary file for the answers.
///
/// # Errors
/// If the answers cannot be written.
#[pyfunction]
pub(crate) fn serve(
    py: Python<'_>,
    open: &Bound<'_, PyAny>,
    output: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (open, output) = (open.clone().unbind(), Output(output.clone().unbind()));
    let begin = move |settings: &str| {
        Python::attach(|py| {
            let bridge = open.bind(py).call1((settings,));
            let task = bridge.and_then(|bridge| PyTask::new(&bridge));
            let task = task.map_err(|error| with_traceback(py, &error))?;
            Ok(Box::new(task) as Box<dyn Task>)
        })
    };
    guarded(|| {
        let served = py.detach(|| autoloss_search::serve(begin, BufReader::new(stdin()), output));
        served.map_err(|error| PyOSError::new_err(error.to_string()))
    })
}
