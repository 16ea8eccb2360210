//! Losses as code, models and graphs, by the exporters of the language.

use autoloss_expr::{Branch, Export, ExportError, ExportInput, Format, InputMeaning};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::PyLoss;
use super::compute::Part;

/// The loss in a target's language: a text, or bytes of a file that is none.
///
/// # Errors
/// An unknown target, with the known ones; a native loss in a target that writes operators.
pub(super) fn code<'py>(
    py: Python<'py>,
    loss: &PyLoss,
    target: &str,
) -> PyResult<Bound<'py, PyAny>> {
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
pub(super) fn elements(part: &Part, target: &str) -> PyResult<String> {
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

/// The loss with what is known of its inputs: of a loss of a task, whether predictions are class probabilities.
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
