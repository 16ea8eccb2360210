//! Programs as tasks, which speak the messages of `docs/worker.md`.

use std::path::PathBuf;
use std::sync::Arc;

use autoloss_program::{ProgramError, ProgramSettings, ProgramTask};
use autoloss_search::Task;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::SearchFailed;
use crate::guard::guarded;

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

    /// Name, channels, whether it is a softmax, and the ignored class of each branch.
    #[getter]
    fn branches(&self) -> Vec<(String, usize, bool, Option<i64>)> {
        let branches = self.0.branch_descriptions();
        branches
            .map(|b| (b.name.to_owned(), b.channels, b.softmax, b.ignore_index))
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
