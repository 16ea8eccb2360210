//! Losses as curves.

use autoloss_report::{Curves, Points};
use pyo3::prelude::*;

use super::PyLoss;
use crate::guard::guarded;

#[pymethods]
impl PyLoss {
    /// Curves of a branch at a single element over its prediction, `numbers` or class probabilities: a name of the
    /// axis, and for each curve a label, points of the value and points of the gradient; `None` of a native loss.
    #[expect(clippy::type_complexity, reason = "tuples of Python")]
    fn _curves(
        &self,
        branch: &str,
        numbers: bool,
    ) -> PyResult<Option<(String, Vec<(String, Points, Points)>)>> {
        guarded(|| {
            let curves = autoloss_report::curves(&self.part(Some(branch))?.tree, !numbers);
            Ok(curves.map(|Curves { x, curves }| {
                let curves = curves.into_iter();
                let curves = curves.map(|curve| (curve.label, curve.value, curve.gradient));
                (x, curves.collect())
            }))
        })
    }
}
