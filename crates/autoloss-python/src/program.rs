//! Programs as tasks, which speak the messages of `docs/worker.md`.

use std::path::PathBuf;
use std::sync::Arc;

use autoloss_program::{ProgramError, ProgramSettings, ProgramTask};
use autoloss_search::Task;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::SearchFailed;
use crate::guard::guarded;

/// Name, channels, whether it is a softmax, the ignored class, and the names of further inputs of a branch.
type About = (String, usize, bool, Option<i64>, Vec<String>);

/// A running program that has described its task.
#[pyclass(frozen, name = "ProgramTask", module = "autoloss._core")]
pub(crate) struct PyProgram(Arc<ProgramTask>);

impl PyProgram {
    /// The task.
    pub(crate) fn task(&self) -> Arc<ProgramTask> {
        self.0.clone()
    }
}

#[pymethods]
impl PyProgram {
    /// Starts the program, whose command is split into words as a shell does, and takes its description.
    #[new]
    fn py_new(
        py: Python<'_>,
        command: String,
        folder: Option<PathBuf>,
        answer_time: f64,
    ) -> PyResult<Self> {
        let settings = ProgramSettings {
            command,
            folder,
            answer_time,
        };
        guarded(|| {
            let opened = py.detach(|| ProgramTask::open(&settings));
            opened
                .map(|task| Self(Arc::new(task)))
                .map_err(|error| match error {
                    ProgramError::Settings(_) => PyValueError::new_err(error.to_string()),
                    ProgramError::Program { .. } => SearchFailed::new_err(error.to_string()),
                })
        })
    }

    /// Each branch.
    #[getter]
    fn branches(&self) -> Vec<About> {
        let specs = self.0.branches().iter();
        let further = specs.map(|spec| {
            let all = spec.inputs.iter().map(|input| input.name.clone());
            all.filter(|name| name != "yhat" && name != "y").collect()
        });
        let branches = self.0.branch_descriptions().zip(further);
        branches
            .map(|(b, further)| {
                (
                    b.name.to_owned(),
                    b.channels,
                    b.softmax,
                    b.ignore_index,
                    further,
                )
            })
            .collect()
    }

    /// Name and formula of each loss to compare with.
    #[getter]
    fn baselines(&self) -> Vec<(String, String)> {
        let baselines = self.0.baselines().into_iter();
        baselines
            .map(|(name, loss)| (name, loss.to_string()))
            .collect()
    }
}
