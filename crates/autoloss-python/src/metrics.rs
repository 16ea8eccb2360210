//! Metrics on numpy arrays.

pub(crate) mod coco;
mod labels;
mod score;

use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::Place;
use crate::guard::guarded;
use labels::{Batch, Labels};
pub(crate) use score::{Kind, Scoring};

/// A metric of label maps: 0 to 1, higher is better.
///
/// Called with prediction and target it gives one number for all samples together, as the metrics of a data set
/// are defined; with `per_image=True` an array of shape (N,). The target is a label map of shape (N, H, W), of one
/// image (H, W), or labels of shape (N,), with any integer dtype; labels outside the classes, such as 255 and -100,
/// are ignored. The prediction is a label map of the target's shape, or class scores of shape (N, C, H, W) or
/// (N, C), float32, of which the largest counts.
///
/// `classes` is the number of classes; where it is not given it is C, or the largest label and one. `background`
/// is a class whose edges do not count, and `distance` the allowed distance between edges in pixels: both are for
/// the boundary metrics. Other threads run meanwhile.
///
/// >>> import numpy as np, autoloss as al
/// >>> target = np.array([0, 0, 1, 1, 255])
/// >>> al.metrics.gacc(np.array([0, 1, 1, 1, 0]), target)
/// 0.75
/// >>> al.metrics.bf1.configured(background=0, distance=2)
/// autoloss.metrics.bf1.configured(background=0, distance=2)
#[pyclass(frozen, name = "Metric", module = "autoloss.metrics")]
#[derive(Clone)]
pub(crate) struct PyMetric {
    pub(crate) scoring: Scoring,
}

#[pymethods]
impl PyMetric {
    /// The metric of that name.
    #[new]
    fn py_new(name: &str) -> PyResult<Self> {
        let kind = Kind::from_name(name).map_err(PyValueError::new_err)?;
        Ok(Self {
            scoring: Scoring::new(kind),
        })
    }

    #[pyo3(signature = (
        prediction, target, *, classes=None, background=None, distance=None, per_image=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of a call in Python")]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        prediction: &Bound<'py, PyAny>,
        target: &Bound<'py, PyAny>,
        classes: Option<usize>,
        background: Option<u8>,
        distance: Option<u32>,
        per_image: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let scoring = self.scoring.with(classes, background, distance);
            let batch = Batch::new(scoring.kind.name(), prediction, target)?;
            let values = py.detach(|| score::batch(&scoring, &batch, per_image));
            let values = values.map_err(|e| wrong(scoring.kind.name(), &e.to_string()))?;
            Ok(match per_image {
                true => values.into_pyarray(py).into_any(),
                false => values[0].into_pyobject(py)?.into_any(),
            })
        })
    }

    /// The metric with other settings where a call does not give them.
    #[pyo3(signature = (*, classes=None, background=None, distance=None))]
    fn configured(
        &self,
        classes: Option<usize>,
        background: Option<u8>,
        distance: Option<u32>,
    ) -> Self {
        Self {
            scoring: self.scoring.with(classes, background, distance),
        }
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &'static str {
        self.scoring.kind.name()
    }

    /// Its definition in one line.
    #[getter]
    fn description(&self) -> &'static str {
        self.scoring.kind.description()
    }

    #[getter(__name__)]
    fn dunder_name(&self) -> &'static str {
        self.scoring.kind.name()
    }

    fn __repr__(&self) -> String {
        let Scoring {
            kind,
            classes,
            background,
            distance,
        } = &self.scoring;
        let mut given = Vec::new();
        given.extend(classes.map(|n| format!("classes={n}")));
        given.extend(background.map(|n| format!("background={n}")));
        given.extend(distance.map(|n| format!("distance={n}")));
        let name = kind.name();
        match given.is_empty() {
            true => format!("autoloss.metrics.{name}"),
            false => format!("autoloss.metrics.{name}.configured({})", given.join(", ")),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let Scoring {
            kind,
            classes,
            background,
            distance,
        } = &slf.get().scoring;
        let make = slf
            .py()
            .import("autoloss.metrics")?
            .getattr("_configured")?;
        let arguments = (kind.name(), *classes, *background, *distance);
        Ok((make, arguments).into_pyobject(slf.py())?.into_any())
    }
}

fn wrong(call: &str, reason: &str) -> PyErr {
    PyValueError::new_err(format!("{call}: {reason}"))
}

/// Counts of label pairs: entry (t, p) is the number of positions of class t that were predicted as p, an int64
/// array of shape (classes, classes).
///
/// Arguments are those of the metrics.
///
/// >>> import numpy as np, autoloss as al
/// >>> al.metrics.confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]))
/// array([[1, 1],
///        [0, 1]])
#[pyfunction]
#[pyo3(signature = (prediction, target, *, classes=None))]
pub(crate) fn confusion_matrix<'py>(
    py: Python<'py>,
    prediction: &Bound<'py, PyAny>,
    target: &Bound<'py, PyAny>,
    classes: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    guarded(|| {
        let batch = Batch::new("confusion_matrix", prediction, target)?;
        let counts = py.detach(|| score::counts(&batch, classes));
        let (classes, counts) = counts.map_err(|e| wrong("confusion_matrix", &e.to_string()))?;
        counts.into_pyarray(py).reshape([classes, classes])
    })
}

/// Labels of the largest channel of class scores: uint8 of shape (N, H, W) or (N,), given float32 of shape
/// (N, C, H, W) or (N, C). The first of equal scores wins; positions of NaN get 255.
#[pyfunction]
pub(crate) fn argmax<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| {
        let place = Place {
            call: "argmax",
            name: "scores",
        };
        let (labels, dims) = Labels::of_scores(place, scores)?;
        Ok(labels.into_pyarray(py).reshape(dims)?.into_any())
    })
}
