//! Stored samples: from the bridge's objects to the search's.

use std::sync::Arc;

use autoloss_expr::Shape;
use autoloss_search::{BranchSample, Derived, Sample};
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::derived::PyDerived;
use super::faults::Faults;
use super::gather::Gatherer;
use super::scorer::{Dims, PyScorer};
use crate::arrays::{Place, shape};
use crate::metrics::PyMetric;

/// A branch as the bridge stores it.
struct Branch {
    dims: Vec<usize>,
    shape: Shape,
    /// Labels of the target, where it was given as class numbers.
    labels: Option<Vec<u8>>,
    inputs: Vec<Vec<f32>>,
    derived: Option<Arc<dyn Derived>>,
}

/// The search's sample of an object with `branches` and `score`, which asks by the gatherer where there is one.
///
/// # Errors
/// A native metric that does not fit.
pub(super) fn stored(
    sample: &Bound<'_, PyAny>,
    labels: bool,
    gatherer: Option<&Arc<Gatherer>>,
    faults: &Faults,
) -> PyResult<Sample> {
    let given = sample.getattr("branches")?;
    let mut branches = Vec::new();
    let mut all = Vec::new();
    for given in given.cast::<PyList>()? {
        let branch = branch(&given, faults)?;
        let score = given.getattr("score")?;
        let scorer = match score.is_none() {
            true => None,
            false => match score.cast::<PyMetric>() {
                Ok(metric) => {
                    let scorer = native(metric.get(), &branch)?;
                    Some(Box::new(move |prediction: &[f32]| scorer(&[prediction])) as _)
                }
                Err(_) => {
                    let dims = vec![Dims(branch.dims.clone())];
                    Some(PyScorer::new(score.unbind(), dims, labels, faults).of_branch())
                }
            },
        };
        all.push(branch);
        branches.push(scorer);
    }
    let score = sample.getattr("score")?;
    let scorer = match score.cast::<PyMetric>() {
        Ok(metric) => native(metric.get(), &all[0])?,
        Err(_) => {
            let dims = all.iter().map(|branch| Dims(branch.dims.clone())).collect();
            let scorer = PyScorer::new(score.unbind(), dims, labels, faults);
            scorer.gathered(gatherer.cloned()).of_all()
        }
    };
    let branches = all
        .into_iter()
        .zip(branches)
        .map(|(branch, scorer)| BranchSample {
            shape: branch.shape,
            inputs: branch.inputs,
            derived: branch.derived,
            scorer,
        });
    Ok(Sample {
        branches: branches.collect(),
        scorer,
    })
}

fn native(metric: &PyMetric, branch: &Branch) -> PyResult<autoloss_search::Scorer> {
    let name = metric.scoring.kind.name();
    let Some(labels) = &branch.labels else {
        return Err(PyValueError::new_err(format!(
            "{name}: the targets are no class numbers, expected integers"
        )));
    };
    let Shape { n, c, h, w } = branch.shape;
    let scorer = metric.scoring.scorer((n, c, h, w), labels);
    scorer.map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

fn branch(given: &Bound<'_, PyAny>, faults: &Faults) -> PyResult<Branch> {
    let prediction = given.getattr("prediction")?;
    let prediction = prediction.cast::<PyArrayDyn<f32>>()?;
    let target = given.getattr("target")?;
    let mut inputs = vec![
        prediction.to_vec()?,
        target.cast::<PyArrayDyn<f32>>()?.to_vec()?,
    ];
    let dims = prediction.shape().to_vec();
    let place = Place {
        call: "screening_samples",
        name: "prediction",
    };
    let labels = given.getattr("labels")?;
    let labels = match labels.is_none() {
        true => None,
        false => {
            let labels = labels.cast::<PyArrayDyn<i64>>()?.to_vec()?;
            let label = |label: i64| u8::try_from(label).unwrap_or(u8::MAX);
            Some(labels.into_iter().map(label).collect())
        }
    };
    let functions = given.getattr("derived")?;
    let mut derived: Option<Arc<dyn Derived>> = None;
    if !functions.is_none() {
        let count = functions.getattr("derived")?.len()?;
        let own = PyDerived {
            functions: functions.unbind(),
            dims: dims.clone(),
            count,
            faults: faults.clone(),
        };
        let double: Vec<f64> = inputs[0].iter().map(|x| f64::from(*x)).collect();
        let values = own.values(&double);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "stored in single precision"
        )]
        inputs.extend(
            values
                .into_iter()
                .map(|v| v.into_iter().map(|x| x as f32).collect()),
        );
        derived = Some(Arc::new(own));
    }
    Ok(Branch {
        shape: shape(place, &dims, true)?,
        dims,
        labels,
        inputs,
        derived,
    })
}
