//! The class `Loss`: a formula, and its value and gradient on numpy arrays.

mod chunks;
mod code;
mod compute;
mod curves;
mod fields;
mod latex;
mod part;
mod read;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use autoloss_expr::{Loss, ZooLoss};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::guard::guarded;
use fields::Inputs;
use part::{Part, couples_batch};

/// A loss function: a formula of primitive operators over the prediction `yhat` and the target `y`.
///
/// `formula` is one formula, such as `-(y * log(yhat))`; one for each branch, `class = ...; box = ...`;
/// `zoo:NAME`, a hand-written loss (`autoloss.zoo()` lists them); or `@DIR`, the loss that a run recommends.
/// `inputs` names further inputs that the formula may use besides those of the zoo.
///
/// The value is the mean over samples and positions of the formula's value, summed over the channels. Class
/// probabilities `yhat` and one-hot targets `y` have the shape (N, C) and up to three spatial dimensions:
/// (N, C, W), (N, C, H, W) or (N, C, D, H, W).
///
/// >>> import autoloss as al
/// >>> loss = al.Loss("-(y*log(yhat))")
/// >>> loss
/// Loss('-(y * log(yhat))')
/// >>> loss == al.Loss("zoo:cross_entropy")
/// True
/// >>> al.Loss("-(y * log(yhatt))")
/// Traceback (most recent call last):
///     ...
/// ValueError: Loss: column 11: unknown input `yhatt`; did you mean `yhat`?
/// -(y * log(yhatt))
///           ^
#[pyclass(frozen, name = "Loss", module = "autoloss")]
pub(crate) struct PyLoss {
    loss: Loss,
    /// Names that the formula might use, for pickling.
    offered: Vec<String>,
    parts: Vec<Part>,
    /// The branches of the task that it belongs to, if it belongs to one: `autoloss.Branch` objects.
    of_task: Option<Py<PyAny>>,
}

impl PyLoss {
    /// A loss whose branches offer these inputs.
    ///
    /// # Errors
    /// A formula without inputs.
    pub(crate) fn new(
        loss: Loss,
        offered: Vec<String>,
        of_task: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let parts = loss
            .branches
            .iter()
            .map(Part::new)
            .collect::<PyResult<_>>()?;
        Ok(Self {
            loss,
            offered,
            parts,
            of_task,
        })
    }

    fn part(&self, branch: Option<&str>) -> PyResult<&Part> {
        let names = || {
            let names = self.parts.iter().map(|part| format!("`{}`", part.name));
            names.collect::<Vec<_>>().join(", ")
        };
        match (branch, self.parts.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(PyValueError::new_err(format!(
                "Loss: it has several branches, name one of {}",
                names()
            ))),
            (Some(name), parts) => parts.iter().find(|part| part.name == name).ok_or_else(|| {
                let known = match parts {
                    [only] if only.name.is_empty() => {
                        "it has one formula, without a name".to_owned()
                    }
                    _ => format!("expected one of {}", names()),
                };
                PyKeyError::new_err(format!("Loss: no branch `{name}`, {known}"))
            }),
        }
    }
}

#[pymethods]
impl PyLoss {
    #[new]
    #[pyo3(signature = (formula, *, inputs=None))]
    fn py_new(formula: &Bound<'_, PyAny>, inputs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        guarded(|| {
            let (loss, offered) = read::read(formula, inputs)?;
            Self::new(loss, offered, None)
        })
    }

    /// A loss of a task, or one that was pickled: formula, names of inputs and of branches, branches of the task.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "Python gives values")]
    fn _make(
        formula: &str,
        inputs: Vec<String>,
        names: Vec<String>,
        of_task: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        guarded(|| {
            let loss = read::parse(formula, &inputs, Some(&names))?;
            Self::new(loss, inputs, of_task)
        })
    }

    /// The branches of the task that the loss belongs to, `autoloss.Branch` objects, if it belongs to one.
    #[getter]
    fn _of_task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.of_task.as_ref().map(|branches| branches.clone_ref(py))
    }

    /// Loss value: the mean over samples and positions, summed over the channels and the branches.
    ///
    /// `yhat` and `y` are numpy arrays of one shape, (N, C) with up to three spatial dimensions, both float32 or
    /// both float64, contiguous, without NaN; further inputs of the formula are given by name. A loss of several
    /// branches takes dictionaries of arrays by branch. Nothing is copied, and other threads run meanwhile.
    ///
    /// Where the loss of a batch is the mean of its samples' losses, large batches are computed on as many threads as
    /// there are cores, or as the variable `RAYON_NUM_THREADS` says; the result is the same for any number.
    ///
    /// >>> import numpy as np, autoloss as al
    /// >>> yhat = np.array([[0.25, 0.75], [0.5, 0.5]])
    /// >>> y = np.array([[1.0, 0.0], [0.0, 1.0]])
    /// >>> round(al.Loss("zoo:cross_entropy").value(yhat, y), 4)
    /// 1.0397
    #[pyo3(signature = (yhat=None, y=None, **inputs))]
    fn value(
        &self,
        py: Python<'_>,
        yhat: Option<Bound<'_, PyAny>>,
        y: Option<Bound<'_, PyAny>>,
        inputs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<f64> {
        guarded(|| {
            let given = Inputs::new("Loss.value", yhat, y, inputs, &self.parts)?;
            compute::value(py, &self.parts, &given)
        })
    }

    /// Gradient of the loss value for `yhat`, an array of the shape and dtype of `yhat`.
    ///
    /// Arguments are those of `value`; `of` names another input to differentiate by. A loss of several branches
    /// gives a dictionary of arrays by branch.
    ///
    /// >>> import numpy as np, autoloss as al
    /// >>> yhat = np.array([[0.25, 0.75], [0.5, 0.5]])
    /// >>> y = np.array([[1.0, 0.0], [0.0, 1.0]])
    /// >>> al.Loss("zoo:cross_entropy").gradient(yhat, y).round(3)
    /// array([[-2.,  0.],
    ///        [ 0., -1.]])
    #[pyo3(signature = (yhat=None, y=None, *, of="yhat", **inputs))]
    fn gradient<'py>(
        &self,
        py: Python<'py>,
        yhat: Option<Bound<'py, PyAny>>,
        y: Option<Bound<'py, PyAny>>,
        of: &str,
        inputs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let given = Inputs::new("Loss.gradient", yhat, y, inputs, &self.parts)?;
            Ok(compute::gradient(py, &self.parts, &given, of)?.1)
        })
    }

    /// Loss value and gradient at once: the pair of `value` and `gradient`.
    #[pyo3(signature = (yhat=None, y=None, *, of="yhat", **inputs))]
    fn value_and_gradient<'py>(
        &self,
        py: Python<'py>,
        yhat: Option<Bound<'py, PyAny>>,
        y: Option<Bound<'py, PyAny>>,
        of: &str,
        inputs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        guarded(|| {
            let given = Inputs::new("Loss.value_and_gradient", yhat, y, inputs, &self.parts)?;
            compute::gradient(py, &self.parts, &given, of)
        })
    }

    /// Names of the branches; the only branch of a plain formula has the empty name.
    #[getter]
    fn branches<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.parts.iter().map(|part| part.name.as_str()))
    }

    /// Names of the inputs that the formula uses, over all branches.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.parts.iter().flat_map(|part| &part.inputs) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        PyTuple::new(py, names)
    }

    /// The loss of one branch by itself.
    fn __getitem__(&self, py: Python<'_>, branch: &str) -> PyResult<Self> {
        let tree = self.part(Some(branch))?.tree.clone();
        Self::new(
            Loss::single(branch, tree),
            self.offered.clone(),
            self._of_task(py),
        )
    }

    /// True if the loss of a batch is more than the mean of its parts' losses, so that gradient accumulation and
    /// data-parallel training change it: it uses `mean_nhw`, or is a native loss over the whole batch.
    ///
    /// >>> import autoloss as al
    /// >>> al.Loss("zoo:cross_entropy").batch_coupled, al.Loss("zoo:dice").batch_coupled
    /// (False, True)
    #[getter]
    fn batch_coupled(&self) -> PyResult<bool> {
        guarded(|| Ok(self.parts.iter().any(|part| couples_batch(&part.tree))))
    }

    /// The formula as LaTeX mathematics; several branches are the lines of an `aligned`.
    ///
    /// >>> import autoloss as al
    /// >>> al.Loss("y / yhat").latex
    /// '\\frac{y}{\\hat{y}}'
    #[getter]
    fn latex(&self) -> String {
        latex::of(&self.loss)
    }

    fn _repr_latex_(&self) -> String {
        format!("$\\displaystyle {}$", latex::of(&self.loss))
    }

    fn __str__(&self) -> String {
        self.loss.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Loss('{}')", self.loss)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let other = other.cast::<Self>();
        other.is_ok_and(|other| other.get().loss.to_string() == self.loss.to_string())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.loss.to_string().hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, this) = (slf.py(), slf.get());
        let names: Vec<&str> = this.parts.iter().map(|part| part.name.as_str()).collect();
        let arguments = (
            this.loss.to_string(),
            &this.offered,
            names,
            this._of_task(py),
        );
        let make = slf.get_type().getattr("_make")?;
        PyTuple::new(py, [make, arguments.into_pyobject(py)?.into_any()])
    }

    /// The name and numbers of a branch that is a native loss, else `None`.
    #[pyo3(signature = (branch=None))]
    fn _native(&self, branch: Option<&str>) -> PyResult<Option<(&'static str, Vec<f64>)>> {
        let native = self.part(branch)?.tree.native();
        Ok(native.map(|loss| (loss.name(), loss.parameters().to_vec())))
    }
}

/// Name and origin of each hand-written loss.
#[pyfunction]
pub(crate) fn zoo() -> Vec<(&'static str, &'static str)> {
    ZooLoss::all()
        .map(|loss| (loss.name, loss.source))
        .collect()
}
