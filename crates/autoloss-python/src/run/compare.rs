//! Full trainings of several losses over several seeds.

use autoloss_search::{
    Ended, EvaluationSet, Event, FinalStage, Job, News, Schedule, SearchError, comparison_seeds,
    entries, resolve, summarise, train_all,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::attend::attended;
use crate::guard::guarded;
use crate::store::compared;
use crate::task::PyTask;
use crate::worker::{Crew, processes, workers};

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
        let task = PyTask::new(bridge)?;
        let mut named = Vec::new();
        for (name, text) in losses {
            let found = resolve::resolve(&text, &task)
                .map_err(|error| PyValueError::new_err(format!("compare: {error}")))?;
            named.push((name, found.loss));
        }
        let base = Job {
            schedule: Schedule::Full,
            set: EvaluationSet::Validation,
            stop_on_invalid: true,
            ..Job::default()
        };
        let entries = entries(&named, &comparison_seeds(seeds.0, seeds.1), &base, 0);
        let processes = processes(py, &task, crew)?;
        let ended = attended(py, &task, progress, |interrupt, on_event| {
            let stage = FinalStage::Comparison;
            let missing = entries.len();
            on_event(Event::StageStarted { stage, missing });
            let workers = workers(processes.as_ref());
            let trained = train_all(&task, &entries, workers, interrupt, &mut |news| {
                if let News::Ended(_, ended) = news {
                    let ended: Ended = ended.clone();
                    on_event(Event::Trained { stage, ended });
                }
                Ok(())
            });
            // Trainings that an interrupt took leave no comparison.
            trained.and_then(|all| match all.len() == missing {
                true => Ok(all),
                false => Err(SearchError::Interrupted),
            })
        });
        py.detach(|| drop(processes));
        let all = summarise(ended?);
        compared(py, &all, all.first())
    })
}
