//! The tasks of the package's users: the search's trait over an object of Python, or a program.

mod derived;
mod faults;
mod gather;
mod job;
mod sample;
mod scorer;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use autoloss_expr::Loss;
use autoloss_program::ProgramTask;
use autoloss_search::{
    BranchSpec, Evaluation, InputSpec, Interrupt, Job, Outcome, Reporter, Role, Sample, Schedule,
    SearchError, Settings, Task, TaskError, identity, resolve, seed::samples_seed,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use toml::Table;

use crate::errors::{SearchFailed, search_error, with_traceback};
use crate::guard::lock;
use crate::loss::PyLoss;
use crate::program::PyProgram;
use faults::Faults;
use gather::Gatherer;
pub(crate) use job::{Interrupted, NotFinite, PyJob};

/// A task of the package's user, with its bridge: the object through which Python's side and this one talk of it.
pub(crate) struct UserTask {
    bridge: Py<PyAny>,
    kind: Kind,
}

/// Where network, data and metric of a task are.
enum Kind {
    /// In methods of an object of Python.
    Python(Box<PyTask>),
    /// In a program.
    Program(Arc<ProgramTask>),
}

impl Deref for UserTask {
    type Target = dyn Task;

    fn deref(&self) -> &Self::Target {
        match &self.kind {
            Kind::Python(task) => &**task,
            Kind::Program(task) => &**task,
        }
    }
}

impl UserTask {
    /// Takes a bridge; one to a program has it as its `program`.
    ///
    /// # Errors
    /// As [`PyTask::new`].
    pub(crate) fn new(bridge: &Bound<'_, PyAny>) -> PyResult<Self> {
        let kind = match bridge.getattr_opt("program")? {
            Some(program) => Kind::Program(program.cast::<PyProgram>()?.get().task()),
            None => Kind::Python(Box::new(PyTask::new(bridge)?)),
        };
        let bridge = bridge.clone().unbind();
        Ok(Self { bridge, kind })
    }

    /// Tries the task with the samples that a search asks for, and tells a person of a slow metric.
    ///
    /// # Errors
    /// Results of the user's methods that cannot be used, and their own exceptions; a program that gives no samples.
    pub(crate) fn check(&self, py: Python<'_>, settings: &Settings) -> PyResult<()> {
        let (count, seed) = (
            settings.screening.samples,
            samples_seed(settings.search.seed),
        );
        match &self.kind {
            Kind::Python(_) => {
                let bridge = self.bridge.bind(py);
                let remark = bridge.call_method1("check", (count, seed))?;
                if !remark.is_none() {
                    bridge.call_method1("warn", (remark,))?;
                }
            }
            Kind::Program(task) => {
                let samples = py.detach(|| task.samples(count, seed));
                samples.map_err(|error| SearchFailed::new_err(error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Settings that the task has for a search, by the tables `search` and `screening`.
    pub(crate) fn search_settings(&self) -> Table {
        match &self.kind {
            Kind::Python(_) => Table::new(),
            Kind::Program(task) => task.search_settings().clone(),
        }
    }

    /// The bridge to the user's object.
    pub(crate) fn bridge<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.bridge.bind(py)
    }

    /// Exception for an error of a search with this task, caused by the last exception of the user's code.
    pub(crate) fn search_error(&self, py: Python<'_>, error: &SearchError) -> PyErr {
        search_error(py, error, || match &self.kind {
            Kind::Python(task) => task.take_error(),
            Kind::Program(_) => None,
        })
    }

    /// A loss of the task as the user sees it.
    ///
    /// # Errors
    /// Never of losses of the task.
    pub(crate) fn loss(&self, py: Python<'_>, loss: &Loss) -> PyResult<PyLoss> {
        loss_of(self.branches(), self.bridge.bind(py), loss)
    }
}

/// A loss of a task as the user sees it.
fn loss_of(branches: &[BranchSpec], bridge: &Bound<'_, PyAny>, loss: &Loss) -> PyResult<PyLoss> {
    let mut offered: Vec<String> = Vec::new();
    for input in branches.iter().flat_map(|branch| &branch.inputs) {
        if !offered.contains(&input.name) {
            offered.push(input.name.clone());
        }
    }
    let of_task = bridge.getattr("of_task")?;
    PyLoss::new(loss.clone(), offered, Some(of_task.unbind()))
}

/// A user's task behind its bridge, the object that checks what the user's methods return.
pub(crate) struct PyTask {
    bridge: Py<PyAny>,
    name: String,
    metric: String,
    device: String,
    branches: Vec<BranchSpec>,
    baselines: Vec<(String, Loss)>,
    /// The user's own fingerprint of the data.
    fingerprint: String,
    labels: bool,
    /// The last exception of a training.
    last_error: Mutex<Option<PyErr>>,
    /// Exceptions of the metric during screening.
    faults: Faults,
    /// Exceptions of calls for several predictions, which the metric then scored one by one.
    batch_faults: Faults,
}

impl PyTask {
    /// Takes a bridge.
    ///
    /// # Errors
    /// Faults of the task that the bridge finds; a baseline that cannot be read.
    pub(crate) fn new(bridge: &Bound<'_, PyAny>) -> PyResult<Self> {
        let branches: Vec<(String, usize, bool, Vec<String>)> =
            bridge.getattr("branches")?.extract()?;
        let branches = branches
            .into_iter()
            .map(|(name, _, softmax, derived)| BranchSpec {
                name,
                inputs: inputs(softmax, &derived),
            });
        let mut task = Self {
            name: bridge.getattr("name")?.extract()?,
            metric: bridge.getattr("metric_name")?.extract()?,
            device: bridge.getattr("device")?.extract()?,
            labels: bridge.getattr("metric_input")?.extract::<String>()? == "labels",
            branches: branches.collect(),
            baselines: Vec::new(),
            fingerprint: bridge.getattr("fingerprint")?.extract()?,
            bridge: bridge.clone().unbind(),
            last_error: Mutex::default(),
            faults: Faults::default(),
            batch_faults: Faults::default(),
        };
        let baselines: Vec<(String, String)> = bridge.getattr("baselines")?.extract()?;
        for (name, text) in baselines {
            let named = resolve::resolve(&text, &task).map_err(|error| {
                PyValueError::new_err(format!("{}.baselines: {error}", task.name))
            })?;
            task.baselines.push((name, named.loss));
        }
        Ok(task)
    }

    fn take_error(&self) -> Option<PyErr> {
        let mut error = lock(&self.last_error);
        error.take().or_else(|| self.faults.take())
    }

    /// An exception of a training; the two of ours are no failures.
    fn failed(&self, py: Python<'_>, error: PyErr) -> Ended {
        if error.is_instance_of::<Interrupted>(py) {
            return Ended::Failed(TaskError::Interrupted);
        }
        if error.is_instance_of::<NotFinite>(py) {
            return Ended::NotFinite(error.value(py).to_string());
        }
        let text = with_traceback(py, &error);
        let mut last = lock(&self.last_error);
        *last = Some(error);
        Ended::Failed(TaskError::Failed(text))
    }
}

/// The end of a training by an exception.
enum Ended {
    /// By the loss value, in words.
    NotFinite(String),
    /// By anything else.
    Failed(TaskError),
}

fn inputs(softmax: bool, derived: &[String]) -> Vec<InputSpec> {
    let mut inputs = match softmax {
        true => InputSpec::probabilities_and_target(),
        false => InputSpec::numbers_and_target(),
    };
    inputs.extend(
        derived
            .iter()
            .map(|name| InputSpec::new(name, Role::Derived)),
    );
    inputs
}

/// Result of a training by a bridge: score, metrics, and the curve where the user gave one.
type Trained = (f64, BTreeMap<String, f64>, Option<Vec<(usize, f64)>>);

impl Task for PyTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn metric(&self) -> &str {
        &self.metric
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        Python::attach(|py| {
            let make = || -> PyResult<Vec<Sample>> {
                let bridge = self.bridge.bind(py);
                let stored = bridge.call_method1("samples", (count, seed))?;
                let stored = stored.cast::<PyList>()?;
                let batch = bridge.getattr("batch")?;
                let gatherer = (!batch.is_none())
                    .then(|| Arc::new(Gatherer::new(batch.unbind(), &self.batch_faults)));
                let gatherer = gatherer.as_ref();
                let make = |sample| sample::stored(&sample, self.labels, gatherer, &self.faults);
                stored.iter().map(make).collect()
            };
            make().map_err(|error| TaskError::Failed(with_traceback(py, &error)))
        })
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let start = Instant::now();
        let (state, reports) = job::state(job);
        let trained = job::relayed(&state, reports, interrupt, report, || {
            Python::attach(|py| {
                let train = || -> PyResult<Trained> {
                    state.begin(py)?;
                    let job = PyJob::new(job, &self.device, &state);
                    let bridge = self.bridge.bind(py);
                    let loss = loss_of(&self.branches, bridge, loss)?;
                    let trained = bridge.call_method1("evaluate", (loss, job));
                    state.end();
                    trained?.extract()
                };
                train().map_err(|error| self.failed(py, error))
            })
        });
        let curve = state.curve();
        let evaluation = |score, outcome, curve, metrics| Evaluation {
            score,
            outcome,
            curve,
            metrics,
            pictures: Vec::new(),
            seconds: start.elapsed().as_secs_f64(),
        };
        match trained {
            Ok((score, metrics, own)) => {
                let curve = own.unwrap_or(curve);
                Ok(evaluation(
                    score,
                    Outcome::Finished,
                    curve,
                    metrics.into_iter().collect(),
                ))
            }
            Err(Ended::Failed(error)) => Err(error),
            Err(Ended::NotFinite(what)) => {
                let update = state.last_step() + 1;
                let outcome = Outcome::Stopped { update, what };
                Ok(evaluation(0.0, outcome, curve, Vec::new()))
            }
        }
    }

    fn fingerprint(&self) -> String {
        match self.fingerprint.as_str() {
            "" => identity(self),
            own => format!("{} {own}", identity(self)),
        }
    }

    fn remark(&self) -> Option<String> {
        let invalid = |count| {
            format!(
                "the metric or a derived input failed for {count} predictions that screening came to, whose losses \
                 count as invalid"
            )
        };
        let alone = |count| {
            format!(
                "`metric_batch` failed {count} times, and `metric` scored the predictions one by one"
            )
        };
        Python::attach(|py| {
            let remarks = [
                self.batch_faults.remark(py, alone),
                self.faults.remark(py, invalid),
            ];
            let remarks: Vec<String> = remarks.into_iter().flatten().collect();
            (!remarks.is_empty()).then(|| remarks.join("\n"))
        })
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.baselines.clone()
    }

    fn expected_seconds(&self, schedule: Schedule) -> Result<Option<f64>, TaskError> {
        let name = match schedule {
            Schedule::Proxy => "proxy",
            Schedule::Full => "full",
        };
        Python::attach(|py| {
            let bridge = self.bridge.bind(py);
            let seconds = bridge.call_method1("expected_seconds", (name,));
            let seconds = seconds.and_then(|seconds| seconds.extract());
            seconds.map_err(|error| TaskError::Failed(with_traceback(py, &error)))
        })
    }
}
