//! The thread that called a search: it shows progress and takes signals, while others work.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use autoloss_search::{Event, Interrupt, SearchError, Tally};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::guard::internal;
use crate::task::UserTask;

/// Time between two looks at signals.
const TICK: Duration = Duration::from_millis(50);

/// Time between two lines of progress.
const SHOW: Duration = Duration::from_millis(200);

/// Progress of work on another thread.
pub(super) enum Progress {
    /// An event of a search.
    Event(Box<Event>),
    /// The stage that begins, in words.
    Stage(String),
}

/// Result of work on another thread, which tells its progress and ends early when the interrupt is set.
///
/// # Errors
/// Those of the work; a signal such as Ctrl-C, or an exception of the progress, which end it.
pub(super) fn attended<T: Send>(
    py: Python<'_>,
    task: &UserTask,
    progress: &Bound<'_, PyAny>,
    work: impl FnOnce(&Interrupt, &dyn Fn(Progress)) -> Result<T, SearchError> + Send,
) -> PyResult<T> {
    let shown = progress.clone().unbind();
    let interrupt = Interrupt::default();
    let (ended, raised) = py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, events) = channel();
            let interrupt = &interrupt;
            // The other end outlives the work.
            let working = scope.spawn(move || work(interrupt, &|told| drop(sender.send(told))));
            let raised = attend(&events, interrupt, &shown);
            (working.join(), raised)
        })
    });
    let ended = ended.map_err(|panic| internal(&*panic))?;
    if let Some(remark) = task.remark() {
        task.bridge(py).call_method1("warn", (remark,))?;
    }
    progress.call_method1("end", (ended.is_ok() && raised.is_none(),))?;
    match raised {
        Some(error) => Err(error),
        None => ended.map_err(|error| task.search_error(py, &error)),
    }
}

/// Shows progress until the search ends; a signal such as Ctrl-C, or an exception of the progress, ends it.
fn attend(
    events: &Receiver<Progress>,
    interrupt: &Interrupt,
    progress: &Py<PyAny>,
) -> Option<PyErr> {
    let mut raised = None;
    let mut tally = Tally::default();
    let (mut stage, mut shown) = (None, Instant::now());
    loop {
        let told = match events.recv_timeout(TICK) {
            Ok(told) => Some(told),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                let last = || Python::attach(|py| show(py, progress, &tally, stage.as_deref()));
                return raised.or_else(|| last().err());
            }
        };
        let is_quiet = told.is_none();
        match told {
            Some(Progress::Event(event)) => {
                tally.add(&event);
                if let Event::StageStarted {
                    stage: begun,
                    missing,
                } = *event
                {
                    stage = Some(format!("{begun}: {missing} full trainings"));
                }
            }
            Some(Progress::Stage(begun)) => stage = Some(begun),
            None => {}
        }
        let due = shown.elapsed() >= SHOW;
        if !is_quiet && !due {
            continue;
        }
        let attended = Python::attach(|py| {
            py.check_signals()?;
            match due && raised.is_none() {
                true => show(py, progress, &tally, stage.as_deref()),
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

fn show(py: Python<'_>, progress: &Py<PyAny>, tally: &Tally, stage: Option<&str>) -> PyResult<()> {
    let counts = PyDict::new(py);
    counts.set_item("screened", tally.drawn)?;
    counts.set_item("passed", tally.passed())?;
    counts.set_item("trained", tally.evaluations)?;
    counts.set_item("stopped", tally.stopped)?;
    counts.set_item("failed", tally.failed)?;
    counts.set_item("lost", tally.lost)?;
    counts.set_item("best", tally.best.as_ref().map(|best| best.score))?;
    counts.set_item("reference", tally.reference.clone())?;
    counts.set_item("stage", stage)?;
    progress.bind(py).call_method1("update", (counts,))?;
    Ok(())
}
