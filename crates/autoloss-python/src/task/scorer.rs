//! Metrics that are Python: each call takes the interpreter's lock, so scores of equal labels are kept.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use autoloss_metrics::argmax;
use autoloss_search::{BranchScorer, Scorer};
use numpy::ndarray::{Array, ArrayViewD, IxDyn};
use numpy::{IntoPyArray, ToPyArray};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::faults::Faults;
use super::gather::Gatherer;
use crate::guard::lock;

/// Extents of a branch's prediction (N, C, spatial).
#[derive(Clone)]
pub(super) struct Dims(pub(super) Vec<usize>);

impl Dims {
    fn samples(&self) -> usize {
        self.0[0]
    }

    fn channels(&self) -> usize {
        self.0[1]
    }

    fn pixels(&self) -> usize {
        self.0[2..].iter().product()
    }

    fn of_labels(&self) -> Vec<usize> {
        let spatial = self.0[2..].iter().copied();
        [self.0[0]].into_iter().chain(spatial).collect()
    }

    /// The largest channel at each position, the first of equal ones.
    fn argmax(&self, values: &[f32]) -> Vec<i64> {
        let (channels, pixels) = (self.channels(), self.pixels());
        let mut labels = Vec::with_capacity(self.samples() * pixels);
        for sample in values.chunks(channels * pixels) {
            for pixel in 0..pixels {
                let at = |c: usize| sample[c * pixels + pixel];
                // Predictions are finite: the search rejects others before it asks for a score.
                let largest = argmax((0..channels).map(at)).unwrap_or(0);
                labels.push(largest.cast_signed() as i64);
            }
        }
        labels
    }
}

/// A metric in Python for the predictions of a stored sample.
pub(super) struct PyScorer {
    /// Called with a list of arrays, one a branch.
    function: Py<PyAny>,
    dims: Vec<Dims>,
    /// True if the metric sees labels instead of class probabilities.
    labels: bool,
    /// Scores by the hash of the labels.
    known: Mutex<HashMap<u128, f64>>,
    /// Asks for several predictions at once, where the user can score them so.
    gatherer: Option<Arc<Gatherer>>,
    faults: Faults,
}

impl PyScorer {
    pub(super) fn new(function: Py<PyAny>, dims: Vec<Dims>, labels: bool, faults: &Faults) -> Self {
        Self {
            function,
            dims,
            labels,
            known: Mutex::default(),
            gatherer: None,
            faults: faults.clone(),
        }
    }

    /// The scorer, asking together with others.
    pub(super) fn gathered(mut self, gatherer: Option<Arc<Gatherer>>) -> Self {
        self.gatherer = gatherer;
        self
    }

    /// As a scorer of all branches.
    pub(super) fn of_all(self) -> Scorer {
        Box::new(move |predictions| self.score(predictions))
    }

    /// As a scorer of a branch by itself.
    pub(super) fn of_branch(self) -> BranchScorer {
        Box::new(move |prediction| self.score(&[prediction]))
    }

    fn score(&self, predictions: &[&[f32]]) -> f64 {
        if !self.labels {
            return self.call(|py| {
                let branches = predictions.iter().zip(&self.dims);
                let arrays = branches.map(|(values, dims)| {
                    let view = ArrayViewD::from_shape(IxDyn(&dims.0), values);
                    let view = view.map_err(|e| PyValueError::new_err(e.to_string()))?;
                    Ok(view.to_pyarray(py).into_any())
                });
                PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)
            });
        }
        let labels: Vec<Vec<i64>> = predictions
            .iter()
            .zip(&self.dims)
            .map(|(values, dims)| dims.argmax(values))
            .collect();
        let hash = hash(&labels);
        let known = || lock(&self.known);
        if let Some(score) = known().get(&hash) {
            return *score;
        }
        let score = self.call(|py| {
            let arrays = labels.into_iter().zip(&self.dims).map(|(labels, dims)| {
                let array = Array::from_shape_vec(IxDyn(&dims.of_labels()), labels);
                let array = array.map_err(|e| PyValueError::new_err(e.to_string()))?;
                Ok(array.into_pyarray(py).into_any())
            });
            PyList::new(py, arrays.collect::<PyResult<Vec<_>>>()?)
        });
        known().insert(hash, score);
        score
    }

    /// The score of arrays; not a number if there is none, so that the candidate counts as invalid.
    fn call(&self, arrays: impl FnOnce(Python<'_>) -> PyResult<Bound<'_, PyList>>) -> f64 {
        let score = match &self.gatherer {
            None => Python::attach(|py| {
                let score = self.function.bind(py).call1((arrays(py)?,))?;
                score.extract::<f64>()
            }),
            Some(gatherer) => {
                let question =
                    Python::attach(|py| Ok((self.function.clone_ref(py), arrays(py)?.unbind())));
                question.and_then(|(scorer, arrays)| gatherer.score(scorer, arrays))
            }
        };
        score.unwrap_or_else(|error| {
            self.faults.note(error);
            f64::NAN
        })
    }
}

/// 128 bits of hash: no two label maps of a run share one.
fn hash(labels: &[Vec<i64>]) -> u128 {
    let half = |begin: u64| {
        let mut hasher = DefaultHasher::new();
        begin.hash(&mut hasher);
        labels.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
