//! The job that a training is given, and its ways back to the search.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autoloss_search::{EvaluationSet, Interrupt, Job, Report, Reporter, Schedule};
use pyo3::create_exception;
use pyo3::exceptions::{PyBaseException, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::guard::lock;

create_exception!(
    autoloss,
    Interrupted,
    PyBaseException,
    "The search asks a training to end; not to be caught. A `BaseException`, so that `except Exception` lets it pass."
);
create_exception!(
    autoloss,
    NotFinite,
    PyBaseException,
    "The loss value of a training is not finite, see `Job.check`; not to be caught."
);

/// Time between two looks at the search's wishes.
const LOOK: Duration = Duration::from_millis(20);

/// Time that a training is given to end by itself, before an exception is raised in it.
const GRACE: Duration = Duration::from_secs(1);

/// Most points of a curve; of more, every other is left out.
const POINTS: usize = 1000;

/// A running training, shared by its thread and the search's.
pub(crate) struct State {
    interrupted: AtomicBool,
    /// `None` once the training has ended.
    reports: Mutex<Option<Sender<Report>>>,
    /// Loss values by step.
    curve: Mutex<BTreeMap<usize, f64>>,
    /// Shares of the updates at which a score is wanted; those told are taken out.
    shares: Mutex<Vec<f64>>,
    /// The thread in which Python trains, while it does.
    thread: Mutex<Option<u64>>,
}

/// The state of a training that begins, and its reports.
pub(super) fn state(job: &Job) -> (Arc<State>, Receiver<Report>) {
    let (sender, receiver) = channel();
    let state = State {
        interrupted: AtomicBool::new(false),
        reports: Mutex::new(Some(sender)),
        curve: Mutex::default(),
        shares: Mutex::new(job.reports.clone()),
        thread: Mutex::default(),
    };
    (Arc::new(state), receiver)
}

impl State {
    /// Notes the thread that trains; called there, attached to Python.
    pub(super) fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let ident = py.import("threading")?.call_method0("get_ident")?;
        *lock(&self.thread) = Some(ident.extract()?);
        Ok(())
    }

    /// Ends the training's ways back; called where it trained, attached to Python.
    pub(super) fn end(&self) {
        *lock(&self.thread) = None;
        *lock(&self.reports) = None;
    }

    /// Loss values by step.
    pub(super) fn curve(&self) -> Vec<(usize, f64)> {
        lock(&self.curve)
            .iter()
            .map(|(step, value)| (*step, *value))
            .collect()
    }

    /// The last step that was told.
    pub(super) fn last_step(&self) -> usize {
        lock(&self.curve)
            .last_key_value()
            .map_or(0, |(step, _)| *step)
    }

    fn note(&self, step: usize, loss_value: f64) {
        let mut curve = lock(&self.curve);
        curve.insert(step, loss_value);
        if curve.len() > POINTS {
            let mut keep = false;
            curve.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }

    /// Raises [`Interrupted`] in the thread that trains, at the next line of Python there.
    fn raise(&self) {
        Python::attach(|py| {
            // Attached, no training can end meanwhile.
            if let Some(ident) = *lock(&self.thread) {
                let exception = py.get_type::<Interrupted>();
                let ident = ident as std::ffi::c_long;
                // SAFETY: attached to Python, and the exception is a class that outlives the call.
                unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident, exception.as_ptr()) };
            }
        });
    }
}

/// Trains, while another thread passes the search's wishes in and the training's reports out. A training that is to
/// end and does not say so in time has an exception raised in it.
pub(super) fn relayed<T: Send>(
    state: &State,
    reports: Receiver<Report>,
    interrupt: &Interrupt,
    report: Reporter<'_>,
    train: impl FnOnce() -> T,
) -> T {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut asked: Option<Instant> = None;
            loop {
                match reports.recv_timeout(LOOK) {
                    Ok(told) => report(told),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if interrupt.is_set() {
                    state.interrupted.store(true, Ordering::Relaxed);
                    let since = *asked.get_or_insert_with(Instant::now);
                    if since.elapsed() > GRACE {
                        state.raise();
                        asked = Some(Instant::now());
                    }
                }
            }
        });
        let _ends = Ends(state);
        train()
    })
}

/// Ends the relay of a training that panics, too.
struct Ends<'a>(&'a State);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The training that a search asks for.
///
/// `check` and `report` are to be called in the training's loop: they end it when the loss is not finite, when
/// another candidate is to be trained instead, when the time is over, and on Ctrl-C.
#[pyclass(frozen, name = "Job", module = "autoloss")]
pub(crate) struct PyJob {
    job: Job,
    device: String,
    state: Arc<State>,
}

impl PyJob {
    pub(super) fn new(job: &Job, device: &str, state: &Arc<State>) -> Self {
        Self {
            job: job.clone(),
            device: device.to_owned(),
            state: state.clone(),
        }
    }

    fn stop_if_asked(&self) -> PyResult<()> {
        match self.state.interrupted.load(Ordering::Relaxed) {
            true => Err(Interrupted::new_err("the search asks this training to end")),
            false => Ok(()),
        }
    }

    /// Tells the score at the shares that the training has reached with a step.
    fn tell_score(&self, step: usize, of: Option<usize>, score: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(of) = of.filter(|of| *of > 0) else {
            return Err(PyValueError::new_err(
                "Job.report: `score` is given without `of`, expected the number of steps of the whole training",
            ));
        };
        let made = (step + 1) as f64 / of as f64;
        let due: Vec<f64> = {
            let mut shares = lock(&self.state.shares);
            let due = shares
                .iter()
                .copied()
                .filter(|share| *share <= made)
                .collect();
            shares.retain(|share| *share > made);
            due
        };
        if due.is_empty() {
            return Ok(());
        }
        let score = match score.is_callable() {
            true => number("score", &score.call0()?)?,
            false => number("score", score)?,
        };
        if !score.is_finite() {
            return Err(PyValueError::new_err(format!(
                "Job.report: `score` is {score}, expected a finite number"
            )));
        }
        if let Some(sender) = &*lock(&self.state.reports) {
            for share in due {
                // A search that has ended needs no news.
                let _ = sender.send(Report::Score { share, score });
            }
        }
        Ok(())
    }
}

#[pymethods]
impl PyJob {
    /// Seed of initialisation, order and augmentation. Candidates of one search share it.
    #[getter]
    const fn seed(&self) -> u64 {
        self.job.seed
    }

    /// The set to score on: "search" for choosing losses, "test" for the final comparison alone.
    #[getter]
    const fn split(&self) -> &'static str {
        match self.job.set {
            EvaluationSet::Search => "search",
            EvaluationSet::Validation => "test",
        }
    }

    /// The training to make: "proxy", the cheap one that a search makes many of, or "full", for the final comparison.
    #[getter]
    const fn schedule(&self) -> &'static str {
        match self.job.schedule {
            Schedule::Proxy => "proxy",
            Schedule::Full => "full",
        }
    }

    /// The device to train on, such as "cpu" or "cuda:1".
    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    /// Shares of the training, between 0 and 1, after which a score is still wanted, see `report`.
    #[getter]
    fn shares(&self) -> Vec<f64> {
        lock(&self.state.shares).clone()
    }

    /// True if the training is to end.
    #[getter]
    fn interrupted(&self) -> bool {
        self.state.interrupted.load(Ordering::Relaxed)
    }

    /// Ends the training as "stopped" if the loss value is not finite; a number or a tensor of one element.
    fn check(&self, loss: &Bound<'_, PyAny>) -> PyResult<()> {
        self.stop_if_asked()?;
        let value = number("loss", loss)?;
        match value.is_finite() || !self.job.stop_on_invalid {
            true => Ok(()),
            false => Err(NotFinite::new_err(format!("the loss value is {value}"))),
        }
    }

    /// Tells of a step of the training, counted from 0: its loss value for the curve, and the score on the search
    /// set where one is wanted by then.
    ///
    /// `score` is a number or a function without arguments, which is called only when a score is wanted; `of` is the
    /// number of steps of the whole training. Raises `autoloss.Interrupted` when the training is to end.
    #[pyo3(signature = (step, loss=None, *, score=None, of=None))]
    fn report(
        &self,
        step: usize,
        loss: Option<&Bound<'_, PyAny>>,
        score: Option<&Bound<'_, PyAny>>,
        of: Option<usize>,
    ) -> PyResult<()> {
        if let Some(loss) = loss {
            self.state.note(step, number("loss", loss)?);
        }
        if let Some(score) = score {
            self.tell_score(step, of, score)?;
        }
        self.stop_if_asked()
    }

    fn __repr__(&self) -> String {
        let (schedule, split, seed) = (self.schedule(), self.split(), self.job.seed);
        format!(
            "Job(schedule='{schedule}', split='{split}', seed={seed}, device='{}')",
            self.device
        )
    }
}

/// A number, or the element of a tensor.
fn number(name: &str, given: &Bound<'_, PyAny>) -> PyResult<f64> {
    let detached = match given.hasattr("detach")? {
        true => given.call_method0("detach")?,
        false => given.clone(),
    };
    let number = detached.extract::<f64>().or_else(|_| {
        let float = given.py().get_type::<pyo3::types::PyFloat>();
        float.call1((&detached,))?.extract()
    });
    number.map_err(|_| {
        let found = crate::arrays::described(given);
        PyTypeError::new_err(format!(
            "Job: `{name}` is {found}, expected a number or a tensor of one element"
        ))
    })
}
