//! Ask and tell: a search that Python drives.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use autoloss_search::study::{
    Context, Failure, Next, Plan, Record, Study, Told, Trained, Trial, TrialId, TrialOutcome,
};
use autoloss_search::{Event, Fate, Interrupt, Recorder, Scratch, SearchError, Task, parse_loss};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::store_error;
use crate::guard::{guarded, lock};
use crate::loss::PyLoss;
use crate::run::begin;
use crate::settings::of_task;
use crate::task::UserTask;

/// The state of a search that is driven by ask and tell, and its record on disk.
#[pyclass(frozen, name = "Study", module = "autoloss._core")]
pub(crate) struct PyStudy {
    task: UserTask,
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    study: Study,
    context: Context,
    recorder: Recorder,
    scratch: Scratch,
    /// Seconds of the earlier parts of the run.
    before: f64,
    start: Instant,
    /// When each trial was given out.
    given: HashMap<TrialId, Instant>,
    ended: bool,
}

/// The next thing for the caller.
enum Asked {
    Trial(Box<Trial>),
    /// Trials in training, of which one must be told first.
    Wait(usize),
    Done,
}

impl State {
    /// The search of a run as far as it came.
    fn new(task: &dyn Task, mut recorder: Recorder) -> Result<Self, SearchError> {
        let info = recorder.store().info()?;
        recorder.discard_unfinished()?;
        recorder.describe(task.branches())?;
        let settings = &info.settings;
        let rows = recorder.store().candidates()?;
        let context = Context::new(task, settings)?;
        let past = Record::read(task, &context, recorder.store(), rows)?;
        let plan = Plan::new(task, &settings.search, 1)?;
        let study = Study::restore(task, settings, plan, &context, &past)?;
        Ok(Self {
            study,
            context,
            recorder,
            scratch: Scratch::default(),
            before: info.elapsed,
            start: Instant::now(),
            given: HashMap::new(),
            ended: false,
        })
    }

    fn elapsed(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// Writes what happened.
    fn record(&mut self) -> Result<(), SearchError> {
        let elapsed = self.elapsed();
        for event in self.study.drain() {
            self.recorder.note(&event, elapsed)?;
        }
        Ok(self.recorder.tick(elapsed)?)
    }

    fn ask(&mut self, stop: impl Fn() -> PyResult<()>) -> PyResult<Result<Asked, SearchError>> {
        loop {
            stop()?;
            let elapsed = self.elapsed();
            let next = self.study.propose(elapsed, 0);
            let step = match next {
                Next::Find(finder) => {
                    let interrupt = Interrupt::default();
                    let finding = finder.run(&self.context, &mut self.scratch, &interrupt);
                    self.study.admit(finding, self.elapsed()).map(|()| None)
                }
                Next::Train(trial) => {
                    self.given.insert(trial.id, Instant::now());
                    Ok(Some(Asked::Trial(Box::new(trial))))
                }
                Next::Wait => Ok(Some(Asked::Wait(self.study.in_training()))),
                Next::Done(end) => {
                    let ended = Event::SearchEnded { end };
                    let first = !std::mem::replace(&mut self.ended, true);
                    let recorded = match first {
                        true => self.recorder.record(&ended, elapsed),
                        false => Ok(()),
                    };
                    recorded
                        .map(|()| Some(Asked::Done))
                        .map_err(SearchError::from)
                }
            };
            match step.and_then(|asked| self.record().map(|()| asked)) {
                Ok(None) => {}
                Ok(Some(asked)) => return Ok(Ok(asked)),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    fn tell(&mut self, id: TrialId, outcome: TrialOutcome) -> Result<Told, SearchError> {
        let told = self.study.tell(id, outcome, self.elapsed());
        self.given.remove(&id);
        self.record()?;
        told
    }

    /// Seconds since a trial was given out.
    fn seconds(&self, id: TrialId) -> f64 {
        self.given
            .get(&id)
            .map_or(0.0, |since| since.elapsed().as_secs_f64())
    }
}

impl PyStudy {
    /// The state, waited for without the interpreter's lock: whoever has it may need that lock.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> T + Send) -> T {
        py.detach(|| work(&mut lock(&self.state)))
    }

    fn tell(&self, py: Python<'_>, id: TrialId, outcome: TrialOutcome) -> PyResult<bool> {
        let told = self.with(py, |state| state.tell(id, outcome));
        let told = told.map_err(|error| self.task.search_error(py, &error))?;
        Ok(told == Told::Counted)
    }
}

#[pymethods]
impl PyStudy {
    /// Begins a run, or goes on with the one in the folder.
    #[new]
    fn py_new(
        py: Python<'_>,
        bridge: &Bound<'_, PyAny>,
        given: Vec<(String, String)>,
        folder: Option<PathBuf>,
        about: &str,
    ) -> PyResult<Self> {
        guarded(|| {
            let task = UserTask::new(bridge)?;
            let old = folder
                .as_ref()
                .filter(|folder| folder.join("run.sqlite").exists());
            let (recorder, folder) = match old {
                Some(folder) => {
                    if !given.is_empty() {
                        return Err(PyValueError::new_err(format!(
                            "Study: {} holds a run, which has its settings already, but settings are given; leave \
                             them out to go on, or name another folder",
                            folder.display()
                        )));
                    }
                    let recorder = py.detach(|| Recorder::resume(folder));
                    (recorder.map_err(|e| store_error(&e))?, folder.clone())
                }
                None => {
                    let settings = of_task(py, &task, given)?;
                    let begun = py.detach(|| begin(&task, &settings, folder, about));
                    begun.map_err(|e| store_error(&e))?
                }
            };
            let state = py.detach(|| State::new(&*task, recorder));
            let state = state.map_err(|error| task.search_error(py, &error))?;
            Ok(Self {
                task,
                folder,
                state: Mutex::new(state),
            })
        })
    }

    /// The folder of the run.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Number, attempt, loss and seed of the next training; `None` when the search has ended.
    fn ask(&self, py: Python<'_>) -> PyResult<Option<(TrialId, u32, PyLoss, u64)>> {
        guarded(|| {
            let signals = || -> PyResult<()> {
                Python::attach(|py| {
                    py.check_signals()?;
                    Ok(())
                })
            };
            let asked = self.with(py, |state| state.ask(signals))?;
            match asked.map_err(|error| self.task.search_error(py, &error))? {
                Asked::Done => Ok(None),
                Asked::Wait(count) => Err(PyRuntimeError::new_err(format!(
                    "Study.ask: {count} trainings are under way and nothing else is to be trained before one of them \
                     ends: tell one first"
                ))),
                Asked::Trial(trial) => {
                    let loss = parse_loss(&*self.task, &trial.loss);
                    let loss = loss.map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
                    Ok(Some((
                        trial.id,
                        trial.attempt,
                        self.task.loss(py, &loss)?,
                        trial.job.seed,
                    )))
                }
            }
        })
    }

    /// Tells the score of a training; whether it counts.
    #[pyo3(signature = (id, score, metrics, curve, seconds=None))]
    fn tell_score(
        &self,
        py: Python<'_>,
        id: TrialId,
        score: f64,
        metrics: Vec<(String, f64)>,
        curve: Vec<(usize, f64)>,
        seconds: Option<f64>,
    ) -> PyResult<bool> {
        guarded(|| {
            let seconds = seconds.unwrap_or_else(|| self.with(py, |state| state.seconds(id)));
            let trained = Trained {
                fate: Fate::Scored,
                score,
                reason: None,
                seconds,
                curve,
                metrics,
                pictures: Vec::new(),
            };
            self.tell(py, id, TrialOutcome::Trained(trained))
        })
    }

    /// Tells that a training was stopped by a value that is not finite; whether it counts.
    fn tell_stopped(&self, py: Python<'_>, id: TrialId, reason: String) -> PyResult<bool> {
        guarded(|| {
            let trained = Trained {
                fate: Fate::Stopped,
                score: 0.0,
                reason: Some(reason),
                seconds: self.with(py, |state| state.seconds(id)),
                curve: Vec::new(),
                metrics: Vec::new(),
                pictures: Vec::new(),
            };
            self.tell(py, id, TrialOutcome::Trained(trained))
        })
    }

    /// Tells that a training failed; whether it counts.
    fn tell_failed(&self, py: Python<'_>, id: TrialId, message: String) -> PyResult<bool> {
        guarded(|| {
            let seconds = self.with(py, |state| state.seconds(id));
            self.tell(py, id, TrialOutcome::Failed(Failure { message, seconds }))
        })
    }

    /// Tells that the worker of a training was lost: it is given out again; whether it counts.
    fn tell_lost(&self, py: Python<'_>, id: TrialId, reason: String) -> PyResult<bool> {
        guarded(|| self.tell(py, id, TrialOutcome::Lost(reason)))
    }

    /// Tells the score of a training on its way; whether it is to go on.
    fn report(&self, py: Python<'_>, id: TrialId, share: f64, score: f64) -> PyResult<bool> {
        guarded(|| {
            let verdict = self.with(py, |state| {
                let verdict = state.study.report(id, share, score);
                state.record().map(|()| verdict)
            });
            let verdict = verdict.map_err(|error| self.task.search_error(py, &error))?;
            Ok(verdict == autoloss_search::study::Decision::Continue)
        })
    }
}
