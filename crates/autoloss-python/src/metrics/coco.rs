//! COCO's average precision.

use autoloss_metrics::coco::{Annotations, Kind, Results, evaluate};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::guard::guarded;

/// The metrics of COCO files as a dictionary by name; `kind` is `box`, `mask` or `keypoints`.
///
/// # Errors
/// An unknown kind, or files that are not of COCO's format.
#[pyfunction]
pub(crate) fn coco<'py>(
    py: Python<'py>,
    annotations: &[u8],
    results: &[u8],
    kind: &str,
) -> PyResult<Bound<'py, PyDict>> {
    guarded(|| {
        let kind = match kind {
            "box" => Kind::Box,
            "mask" => Kind::Mask,
            "keypoints" => Kind::Keypoints,
            other => {
                return Err(PyValueError::new_err(format!(
                    "coco: `kind` is '{other}', expected 'box', 'mask' or 'keypoints'"
                )));
            }
        };
        let summary = py.detach(|| {
            let annotations = Annotations::from_json(annotations, kind)?;
            let results = Results::from_json(results, &annotations)?;
            evaluate(&annotations, &results)
        });
        let summary = summary.map_err(|e| PyValueError::new_err(format!("coco: {e}")))?;
        let values = PyDict::new(py);
        for (row, value) in summary.rows() {
            values.set_item(row.name(), value)?;
        }
        Ok(values)
    })
}
