//! Losses as code, models and graphs, by the exporters of the language.

use autoloss_expr::{Branch, Export, ExportError, ExportInput, Format, InputMeaning};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::PyLoss;
use super::part::Part;
use crate::guard::guarded;

#[pymethods]
impl PyLoss {
    /// The loss as a `torch.nn.Module` of prediction and target; see `autoloss.torch.module` for the options.
    #[pyo3(signature = (**options))]
    fn torch<'py>(
        slf: &Bound<'py, Self>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        made_by(slf, "autoloss.torch", "module", options)
    }

    /// The loss as a function for JAX of prediction and target; see `autoloss.jax.function` for the options.
    #[pyo3(signature = (**options))]
    fn jax<'py>(
        slf: &Bound<'py, Self>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        made_by(slf, "autoloss.jax", "function", options)
    }

    /// The loss as a `compute_loss_func` of the trainer of Hugging Face; see `autoloss.hf.function` for the options.
    #[pyo3(signature = (**options))]
    fn hf<'py>(
        slf: &Bound<'py, Self>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        made_by(slf, "autoloss.hf", "function", options)
    }

    /// The loss in another language, which needs nothing of this package.
    ///
    /// `target` is "pytorch" or "jax" (the text of a module of Python with a function `loss` of arrays (N, C) with up
    /// to three spatial dimensions), "onnx" (the bytes of a model of fields (N, C, H, W)), "latex", "dot" (Graphviz)
    /// or "steps" (elementary functions in JSON, for programs in other languages). `simplify=True` writes the simplified form, see `simplified`.
    ///
    /// >>> import autoloss as al
    /// >>> loss = al.Loss("-(y * log(yhat))")
    /// >>> print(loss.code("latex"))
    /// \mathcal{L} = \frac{1}{N H W} \sum_{n, c, h, w} \left(-y \cdot \log \hat{y}\right)
    /// <BLANKLINE>
    /// >>> print(loss.code("pytorch").splitlines()[-1].strip())
    /// return elements.sum(dim=1).mean()
    /// >>> type(loss.code("onnx"))
    /// <class 'bytes'>
    /// >>> al.Loss("--y * yhat").code("dot", simplify=True).count("neg")
    /// 0
    #[pyo3(signature = (target="pytorch", *, simplify=false))]
    fn code<'py>(
        &self,
        py: Python<'py>,
        target: &str,
        simplify: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| match simplify {
            true => code(py, &self.simplified(py)?, target),
            false => code(py, self, target),
        })
    }

    /// The shortest form found whose value and gradients agree within 1e-5, for people who read it; the loss itself
    /// where none is shorter. Constants are rounded, so that trainings keep the loss as it is.
    ///
    /// >>> import autoloss as al
    /// >>> al.Loss("-(y * -log(exp(yhat))) + (1 - 1)").simplified
    /// Loss('y * yhat')
    #[getter]
    fn simplified(&self, py: Python<'_>) -> PyResult<Self> {
        guarded(|| {
            let mut loss = py.detach(|| self.loss.simplified());
            for (found, given) in loss.branches.iter_mut().zip(&self.loss.branches) {
                // A formula without inputs has no arrays to be computed on.
                if found.tree.inputs().is_empty() {
                    found.tree = given.tree.clone();
                }
            }
            Self::new(loss, self.offered.clone(), self._of_task(py))
        })
    }

    /// Code of a function of a branch that gives its elements, and the names of the function's arguments after `yhat`
    /// and `y`.
    #[pyo3(signature = (target, branch=None))]
    fn _elements(&self, target: &str, branch: Option<&str>) -> PyResult<(String, Vec<&str>)> {
        guarded(|| {
            let part = self.part(branch)?;
            Ok((elements(part, target)?, part.further().collect()))
        })
    }
}

/// Result of a function of one of the package's modules in Python, called with a loss.
fn made_by<'py>(
    loss: &Bound<'py, PyLoss>,
    module: &str,
    function: &str,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let module = loss.py().import(module)?;
    module.getattr(function)?.call((loss,), options)
}

/// The loss in a target's language: a text, or bytes of a file that is none.
///
/// # Errors
/// An unknown target, with the known ones; a native loss in a target that writes operators.
fn code<'py>(py: Python<'py>, loss: &PyLoss, target: &str) -> PyResult<Bound<'py, PyAny>> {
    let format = Format::from_name(target).map_err(|error| {
        PyValueError::new_err(format!("Loss.code: `target` is '{target}': {error}"))
    })?;
    let content = format.write(&export(py, loss)?).map_err(|e| wrong(&e))?;
    match format.is_text() {
        true => Ok(String::from_utf8(content)?.into_pyobject(py)?.into_any()),
        false => Ok(PyBytes::new(py, &content).into_any()),
    }
}

/// Code of a function of `yhat`, `y` and the further inputs of a branch, in the order of [`Part::further`], that
/// gives its elements.
///
/// # Errors
/// As [`code`].
fn elements(part: &Part, target: &str) -> PyResult<String> {
    let known = ["yhat", "y"].into_iter();
    let inputs = known
        .chain(part.further())
        .map(|name| ExportInput::new(name, InputMeaning::Numbers));
    let write = || {
        let export = Export::elements(part.tree.clone(), inputs.collect())?;
        Format::from_name(target)?.write(&export)
    };
    Ok(String::from_utf8(write().map_err(|e| wrong(&e))?)?)
}

fn wrong(error: &ExportError) -> PyErr {
    PyValueError::new_err(format!("Loss.code: {error}"))
}

/// The loss with the meanings of its inputs: a task tells whether predictions are class probabilities.
fn export(py: Python<'_>, loss: &PyLoss) -> PyResult<Export> {
    let Some(of_task) = &loss.of_task else {
        return Ok(Export::new(loss.loss.clone()));
    };
    let mut all = Vec::with_capacity(loss.parts.len());
    for branch in &loss.loss.branches {
        let prediction = prediction(of_task.bind(py), branch)?;
        let inputs = loss.offered.iter().map(|name| {
            let meaning = match name.as_str() {
                "yhat" => prediction,
                "y" => InputMeaning::Target,
                _ => InputMeaning::Further,
            };
            ExportInput::new(name, meaning)
        });
        all.push(inputs.collect());
    }
    Export::with_inputs(loss.loss.clone(), all).map_err(|e| wrong(&e))
}

/// The meaning of a branch's prediction.
fn prediction(of_task: &Bound<'_, PyAny>, branch: &Branch) -> PyResult<InputMeaning> {
    for known in of_task.try_iter()? {
        let known = known?;
        if known.getattr("name")?.extract::<String>()? == branch.name {
            let activation: String = known.getattr("activation")?.extract()?;
            return Ok(match activation.as_str() {
                "softmax" => InputMeaning::Probabilities,
                _ => InputMeaning::Numbers,
            });
        }
    }
    Ok(InputMeaning::Prediction)
}
