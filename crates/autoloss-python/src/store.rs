//! Reading of runs.

use std::path::PathBuf;

use autoloss_search::{Comparison, Store, Training};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::store_error;
use crate::guard::guarded;

/// The reading side of a run on disk; each call opens it anew and sees what was committed by then.
#[pyclass(frozen, name = "Store", module = "autoloss._core")]
pub(crate) struct PyStore {
    folder: PathBuf,
}

impl PyStore {
    /// Reads without the interpreter's lock.
    fn read<T: Send>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&Store) -> Result<T, autoloss_search::StoreError> + Send,
    ) -> PyResult<T> {
        guarded(|| {
            let folder = &self.folder;
            let found = py.detach(|| Store::open(folder).and_then(|store| read(&store)));
            found.map_err(|error| store_error(&error))
        })
    }
}

#[pymethods]
impl PyStore {
    #[new]
    fn py_new(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let store = Self { folder };
        store.read(py, |store| store.info().map(|_| ()))?;
        Ok(store)
    }

    /// Task, metric, seed and settings of the run: a dictionary.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.read(py, Store::info)?;
        let dict = PyDict::new(py);
        dict.set_item("program", info.program)?;
        dict.set_item("task", info.task)?;
        dict.set_item("metric", info.metric)?;
        dict.set_item("seed", info.seed)?;
        dict.set_item("elapsed", info.elapsed)?;
        dict.set_item("ended", info.ended)?;
        dict.set_item("settings", info.settings.to_toml())?;
        dict.set_item("about", info.task_settings)?;
        Ok(dict)
    }

    /// True if the prediction of a branch of the run's losses is probabilities.
    fn is_probabilities(&self, py: Python<'_>, branch: &str) -> PyResult<bool> {
        let kinds = self.read(py, autoloss_report::Kinds::of)?;
        Ok(kinds.is_probabilities(branch))
    }

    /// Every candidate with its fate: a list of dictionaries, in the order of their numbers.
    fn candidates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.read(py, Store::candidates)?;
        let list = PyList::empty(py);
        for row in rows {
            let dict = PyDict::new(py);
            dict.set_item("id", row.candidate.id)?;
            dict.set_item("parent", row.candidate.parent)?;
            dict.set_item("origin", row.candidate.origin.name())?;
            dict.set_item("formula", row.candidate.formula)?;
            dict.set_item("fate", row.fate.name())?;
            dict.set_item("reason", row.reason)?;
            dict.set_item("g", row.candidate.g)?;
            dict.set_item("score", row.score)?;
            dict.set_item("trainings", row.trainings)?;
            dict.set_item("equivalent_to", row.equivalent_to)?;
            dict.set_item("joined", row.joined)?;
            dict.set_item("seconds", row.training_seconds)?;
            dict.set_item("elapsed", row.elapsed)?;
            let metrics = PyDict::new(py);
            for (name, value) in row.metrics {
                metrics.set_item(name, value)?;
            }
            dict.set_item("metrics", metrics)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    /// Loss values of a candidate's training: a list of (step, loss value).
    fn curve(&self, py: Python<'_>, id: u64) -> PyResult<Vec<(usize, f64)>> {
        self.read(py, |store| store.curve(id))
    }

    /// Number, score and formula of the best trained candidate.
    fn best(&self, py: Python<'_>) -> PyResult<Option<(u64, f64, String)>> {
        let best = self.read(py, Store::best)?;
        Ok(best.map(|best| (best.id, best.score, best.formula)))
    }

    /// Name and formula of the loss to use.
    fn recommended(&self, py: Python<'_>) -> PyResult<Option<(String, String)>> {
        self.read(py, Store::recommended)
    }

    /// The formula of a candidate.
    fn formula(&self, py: Python<'_>, id: u64) -> PyResult<String> {
        let row = self.read(py, |store| store.candidate(id))?;
        row.map(|row| row.candidate.formula).ok_or_else(|| {
            PyKeyError::new_err(format!("{}: no candidate {id}", self.folder.display()))
        })
    }

    /// The training of the task's usual loss by the search's proxy: a dictionary.
    fn reference<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let reference = self.read(py, Store::reference)?;
        reference.map(|training| trained(py, &training)).transpose()
    }

    /// The final comparison, the highest mean first: a list of dictionaries.
    fn comparisons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (all, usual) = self.read(py, |store| {
            let comparisons = store.comparisons()?;
            let usual = store.reference()?.map(|training| training.name);
            Ok((comparisons, usual))
        })?;
        let usual = all
            .iter()
            .find(|c| Some(&c.name) == usual.as_ref())
            .cloned();
        compared(py, &all, usual.as_ref())
    }

    /// The full trainings of the finalists on the search set, the highest mean first: a list of dictionaries.
    fn finalists<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let all = self.read(py, Store::finalists)?;
        compared(py, &all, None)
    }

    /// The run as a page of HTML that needs no other file.
    fn report(&self, py: Python<'_>) -> PyResult<String> {
        self.read(py, autoloss_report::html)
    }

    /// Counts of the run: a dictionary.
    fn tally<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tally = self.read(py, Store::tally)?;
        let dict = PyDict::new(py);
        for (name, count) in [
            ("screened", tally.drawn),
            ("without prediction or target", tally.structural),
            ("known as rejected", tally.cached),
            ("invalid", tally.invalid),
            ("rejected", tally.rejected),
            ("equivalent", tally.equivalent),
            ("not chosen", tally.not_chosen),
            ("trained", tally.evaluations),
            ("stopped", tally.stopped),
            ("failed", tally.failed),
            ("pruned", tally.pruned),
            ("lost", tally.lost),
            ("trained again", tally.repeated),
        ] {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }
}

/// Comparisons as dictionaries, each against the usual loss.
///
/// # Errors
/// Of Python alone.
pub(crate) fn compared<'py>(
    py: Python<'py>,
    all: &[Comparison],
    usual: Option<&Comparison>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for comparison in all {
        let dict = PyDict::new(py);
        dict.set_item("name", &comparison.name)?;
        dict.set_item("formula", &comparison.formula)?;
        dict.set_item("mean", comparison.mean)?;
        dict.set_item("std", comparison.std)?;
        dict.set_item("trainings", trainings(py, comparison)?)?;
        dict.set_item("failed", failed(comparison))?;
        let usual = usual.filter(|usual| usual.name != comparison.name);
        let paired = usual.and_then(|usual| comparison.against(usual));
        dict.set_item("against", usual.map(|usual| &usual.name))?;
        dict.set_item("difference", paired.map(|paired| paired.difference))?;
        dict.set_item("p", paired.and_then(|paired| paired.p))?;
        list.append(dict)?;
    }
    Ok(list)
}

/// The trainings of a loss with a score, as dictionaries.
///
/// # Errors
/// Of Python alone.
pub(crate) fn trainings<'py>(
    py: Python<'py>,
    comparison: &Comparison,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let trainings = comparison.trainings.iter();
    trainings.map(|training| trained(py, training)).collect()
}

/// Seed and message of each training of a loss that failed.
pub(crate) fn failed(comparison: &Comparison) -> Vec<(u64, &str)> {
    let failed = comparison.failed.iter();
    failed
        .map(|failed| (failed.seed, failed.message.as_str()))
        .collect()
}

fn trained<'py>(py: Python<'py>, training: &Training) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &training.name)?;
    dict.set_item("formula", &training.formula)?;
    dict.set_item("seed", training.seed)?;
    dict.set_item("score", training.score)?;
    dict.set_item("seconds", training.seconds)?;
    dict.set_item("note", &training.note)?;
    Ok(dict)
}
