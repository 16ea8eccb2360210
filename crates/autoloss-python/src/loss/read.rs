//! Losses as people write them in Python.

use autoloss_expr::{INPUTS, Loss};
use autoloss_search::resolve;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::described;

/// Reads a formula, a name of the zoo or of a run, and gives the names that it might use.
///
/// # Errors
/// No text, or a text that is no loss.
pub(super) fn read(
    formula: &Bound<'_, PyAny>,
    inputs: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Loss, Vec<String>)> {
    let Ok(text) = formula.extract::<String>() else {
        return Err(PyTypeError::new_err(format!(
            "Loss: `formula` is {}, expected a text such as '-(y * log(yhat))' or 'zoo:focal'",
            described(formula)
        )));
    };
    let mut offered: Vec<String> = INPUTS.map(str::to_owned).to_vec();
    for name in further(inputs)? {
        if !offered.contains(&name) {
            offered.push(name);
        }
    }
    let loss = parse(&text, &offered, None)?;
    Ok((loss, offered))
}

fn further(inputs: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(inputs) = inputs else {
        return Ok(Vec::new());
    };
    // A text is a sequence of texts, too.
    let names = match inputs.extract::<String>() {
        Ok(_) => Err(()),
        Err(_) => inputs.extract::<Vec<String>>().map_err(|_| ()),
    };
    let names = names.map_err(|()| {
        let found = described(inputs);
        PyTypeError::new_err(format!(
            "Loss: `inputs` is {found}, expected a list of names"
        ))
    })?;
    for name in &names {
        let mut chars = name.chars();
        let begins = chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !begins || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(PyValueError::new_err(format!(
                "Loss: `inputs` has '{name}', expected names of letters, digits and `_`"
            )));
        }
    }
    Ok(names)
}

/// Reads a formula whose branches, those that are given or that it names, offer these inputs.
///
/// # Errors
/// Where the formula cannot be read, and what was expected there.
pub(super) fn parse(text: &str, offered: &[String], branches: Option<&[String]>) -> PyResult<Loss> {
    let wrong = |reason: String| PyValueError::new_err(format!("Loss: {reason}"));
    let (_, formula) = resolve::formula(text).map_err(|e| wrong(e.to_string()))?;
    let inputs: Vec<&str> = offered.iter().map(String::as_str).collect();
    let names: Vec<&str> = match branches {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => match resolve::branch_names(&formula) {
            none if none.is_empty() => vec![""],
            names => names,
        },
    };
    let branches: Vec<(&str, Vec<&str>)> = names
        .into_iter()
        .map(|name| (name, inputs.clone()))
        .collect();
    Loss::parse(&formula, &branches)
        .map_err(|error| wrong(format!("{error}\n{}", error.caret(&formula))))
}
