//! Full trainings of several losses over several seeds.

use autoloss_expr::Loss;
use autoloss_search::{
    EvaluationSet, Job, Schedule, comparison_seeds, entries, resolve, summarise,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::batch::trained;
use crate::guard::guarded;
use crate::store::compared;
use crate::task::UserTask;
use crate::worker::Crew;

/// Trains losses in full with seeds that no search has seen, and scores them on the test set: a list of dictionaries
/// as of [`Store::comparisons`](autoloss_search::Store::comparisons), in the order of the losses, each against the
/// first. `losses` are pairs of names and formulas.
///
/// # Errors
/// A loss that is none of the task; what a search may raise.
#[pyfunction]
pub(crate) fn compare<'py>(
    py: Python<'py>,
    bridge: &Bound<'_, PyAny>,
    losses: Vec<(String, String)>,
    seeds: (u64, usize),
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<Bound<'py, PyList>> {
    guarded(|| {
        let task = UserTask::new(bridge)?;
        let mut named = Vec::new();
        for (name, text) in losses {
            let loss = of_task("compare", &text, &task)?;
            named.push((name, loss));
        }
        let base = Job {
            schedule: Schedule::Full,
            set: EvaluationSet::Validation,
            stop_on_invalid: true,
            ..Job::default()
        };
        let entries = entries(&named, &comparison_seeds(seeds.0, seeds.1), &base, 0);
        let ended = trained(py, &task, &[("comparison", entries)], progress, crew)?;
        let all = summarise(ended.into_iter().flatten().collect());
        compared(py, &all, all.first())
    })
}

/// The loss of a task that a text names.
///
/// # Errors
/// A text that names none, with the call.
pub(super) fn of_task(call: &str, text: &str, task: &UserTask) -> PyResult<Loss> {
    let found = resolve::resolve(text, &**task);
    let found = found.map_err(|error| PyValueError::new_err(format!("{call}: {error}")))?;
    Ok(found.loss)
}
