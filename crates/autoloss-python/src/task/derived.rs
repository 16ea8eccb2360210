//! Derived inputs whose functions are Python.

use autoloss_search::Derived;
use numpy::ndarray::{ArrayViewD, IxDyn};
use numpy::{PyArrayDyn, PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::faults::Faults;

/// The derived inputs of a branch of a stored sample.
pub(super) struct PyDerived {
    /// An object with `values` and `pull_back`.
    pub(super) functions: Py<PyAny>,
    /// Extents of the prediction's array.
    pub(super) dims: Vec<usize>,
    /// Number of derived inputs.
    pub(super) count: usize,
    pub(super) faults: Faults,
}

impl PyDerived {
    fn array<'py>(&self, py: Python<'py>, values: &[f64]) -> PyResult<Bound<'py, PyAny>> {
        let view = ArrayViewD::from_shape(IxDyn(&self.dims), values);
        let view = view.map_err(|e| pyo3::exceptions::PyValueError::new_err(e.to_string()))?;
        Ok(view.to_pyarray(py).into_any())
    }
}

fn numbers(array: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let array = array.cast::<PyArrayDyn<f64>>()?;
    Ok(array.to_vec()?)
}

impl Derived for PyDerived {
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>> {
        let compute = |py: Python<'_>| -> PyResult<Vec<Vec<f64>>> {
            let prediction = self.array(py, prediction)?;
            let values = self
                .functions
                .bind(py)
                .call_method1("values", (prediction,))?;
            values
                .cast::<PyList>()?
                .iter()
                .map(|v| numbers(&v))
                .collect()
        };
        // Not a number: the candidate that led here counts as invalid.
        Python::attach(|py| {
            compute(py).unwrap_or_else(|error| {
                self.faults.note(error);
                vec![vec![f64::NAN; prediction.len()]; self.count]
            })
        })
    }

    fn pull_back(&self, prediction: &[f64], gradients: &[&[f64]], gradient: &mut [f64]) {
        if gradients.iter().all(|through| through.is_empty()) {
            return;
        }
        let compute = |py: Python<'_>| -> PyResult<Vec<f64>> {
            let list = PyList::empty(py);
            for through in gradients {
                match through.is_empty() {
                    true => list.append(py.None())?,
                    false => list.append(self.array(py, through)?)?,
                }
            }
            let prediction = self.array(py, prediction)?;
            let functions = self.functions.bind(py);
            numbers(&functions.call_method1("pull_back", (prediction, list))?)
        };
        Python::attach(|py| match compute(py) {
            Ok(pulled) => gradient.iter_mut().zip(pulled).for_each(|(g, p)| *g += p),
            Err(error) => {
                self.faults.note(error);
                gradient.fill(f64::NAN);
            }
        });
    }
}
