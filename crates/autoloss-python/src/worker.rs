//! Worker processes: the interpreter that trains for a search in another process.

use std::io::{BufReader, Write, stdin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use autoloss_search::{
    Ear, ProcessSettings, Processes, SearchError, Task, Worker, WorkerSettings, Workers, Workplace,
};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::with_traceback;
use crate::guard::{guarded, lock};
use crate::task::{PyTask, UserTask};

/// The workers that a search is to train with.
#[derive(FromPyObject)]
pub(crate) enum Crew {
    /// Processes of this machine: program and arguments, the folder that they run in, settings of each, seconds that a
    /// training may take, and whether trainings take the cores of this machine.
    Local((Vec<String>, Option<PathBuf>, Vec<String>, Option<f64>, bool)),
    /// Workers elsewhere: an object of the methods of [`PyWorkplace`], settings, and seconds that a training may take.
    Elsewhere((Py<PyAny>, Vec<String>, Option<f64>)),
}

/// Starts the processes of a search that is to have some.
///
/// # Errors
/// If the first of them does not start.
pub(crate) fn processes(
    py: Python<'_>,
    task: &UserTask,
    crew: Option<Crew>,
) -> PyResult<Option<Processes>> {
    let processes = crew.map(|crew| py.detach(|| start(task, crew))).transpose();
    processes.map_err(|error| task.search_error(py, &error))
}

/// The processes, or else one thread.
pub(crate) fn workers(processes: Option<&Processes>) -> Workers<'_> {
    processes.map_or(Workers::Threads(1), Workers::Processes)
}

fn start(task: &UserTask, crew: Crew) -> Result<Processes, SearchError> {
    let fingerprint = task.fingerprint();
    match crew {
        Crew::Local((command, folder, settings, limit, shares_cores)) => {
            let mut words = command.into_iter();
            Processes::start(ProcessSettings {
                program: words.next().unwrap_or_default().into(),
                arguments: words.map(Into::into).collect(),
                folder,
                settings,
                fingerprint,
                limit: limit.map(Duration::from_secs_f64),
                shares_cores,
            })
        }
        Crew::Elsewhere((place, settings, limit)) => {
            let about = WorkerSettings {
                settings,
                fingerprint,
                limit: limit.map(Duration::from_secs_f64),
            };
            Processes::at(Arc::new(PyWorkplace(place)), about)
        }
    }
}

/// A workplace whose methods are Python: `count()`, and `start(place, ear)`, which gives an object with `send(line)`,
/// `kill()` and `end()`.
struct PyWorkplace(Py<PyAny>);

impl Workplace for PyWorkplace {
    fn count(&self) -> usize {
        // One that cannot say has none.
        Python::attach(|py| {
            let count = self.0.bind(py).call_method0("count");
            count.and_then(|count| count.extract()).unwrap_or(0)
        })
    }

    fn shares_cores(&self) -> bool {
        false
    }

    fn start(&self, place: usize, ear: Ear) -> Result<Box<dyn Worker>, SearchError> {
        Python::attach(|py| {
            let ear = PyEar(Mutex::new(Some(ear)));
            let worker = self.0.bind(py).call_method1("start", (place, ear));
            let worker = worker
                .map_err(|error| SearchError::Worker(with_traceback(py, &error)))?
                .unbind();
            Ok(Box::new(PyWorker(worker)) as Box<dyn Worker>)
        })
    }
}

/// A worker whose methods are Python. What goes wrong in them is the worker's end, which its ear is told.
struct PyWorker(Py<PyAny>);

impl PyWorker {
    fn call(&self, name: &str, line: Option<&str>) {
        Python::attach(|py| {
            let worker = self.0.bind(py);
            let called = match line {
                Some(line) => worker.call_method1(name, (line,)),
                None => worker.call_method0(name),
            };
            if let Err(error) = called {
                error.write_unraisable(py, Some(worker));
            }
        });
    }
}

impl Worker for PyWorker {
    fn send(&mut self, line: &str) {
        self.call("send", Some(line));
    }

    fn kill(&mut self) {
        self.call("kill", None);
    }

    fn end(&mut self) {
        self.call("end", None);
    }
}

/// Hears a worker: told its lines and its end.
#[pyclass(frozen, name = "Ear", module = "autoloss._core")]
pub(crate) struct PyEar(Mutex<Option<Ear>>);

impl PyEar {
    fn ear(&self) -> MutexGuard<'_, Option<Ear>> {
        lock(&self.0)
    }
}

#[pymethods]
impl PyEar {
    /// Takes a line of the worker's; False where the worker is of no more use and is to be ended.
    fn line(&self, py: Python<'_>, text: &str) -> bool {
        py.detach(|| self.ear().as_mut().is_some_and(|ear| ear.line(text)))
    }

    /// Takes the worker's end, for the reason in words; once.
    fn ended(&self, py: Python<'_>, reason: &str) {
        py.detach(|| {
            if let Some(ear) = self.ear().take() {
                ear.ended(reason);
            }
        });
    }
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
