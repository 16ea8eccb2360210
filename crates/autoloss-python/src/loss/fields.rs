//! Arguments of a computation: one array for each input that a branch uses.

use autoloss_expr::Shape;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::part::Part;
use crate::arrays::{Field, Place, described, dims_text, shape};

/// The arrays of all branches.
pub(super) struct Inputs<'a, 'py> {
    pub(super) call: &'a str,
    pub(super) branches: Vec<BranchInputs<'py>>,
    /// True if results are dictionaries by branch.
    pub(super) by_branch: bool,
}

/// The arrays of one branch, in the order of its inputs.
pub(super) struct BranchInputs<'py> {
    pub(super) fields: Vec<Field<'py>>,
    pub(super) shape: Shape,
    /// True if elements have double precision.
    pub(super) double: bool,
}

impl<'a, 'py> Inputs<'a, 'py> {
    /// Takes the arguments of a call and checks them.
    ///
    /// # Errors
    /// An argument that is missing, unknown, or no array of the form of the others.
    pub(super) fn new(
        call: &'a str,
        yhat: Option<Bound<'py, PyAny>>,
        y: Option<Bound<'py, PyAny>>,
        others: Option<&Bound<'py, PyDict>>,
        parts: &[Part],
    ) -> PyResult<Self> {
        let mut given: Vec<(String, Bound<'py, PyAny>)> = Vec::with_capacity(2);
        given.extend(yhat.map(|value| ("yhat".to_owned(), value)));
        given.extend(y.map(|value| ("y".to_owned(), value)));
        if let Some(others) = others {
            for (name, value) in others {
                given.push((name.extract()?, value));
            }
            known(call, parts, &given)?;
        }
        let is_dict = |(_, value): &(String, Bound<'py, PyAny>)| value.is_instance_of::<PyDict>();
        let by_branch = parts.len() > 1 || given.first().is_some_and(is_dict);
        let branches = parts
            .iter()
            .map(|part| branch(call, part, &given, by_branch));
        Ok(Self {
            call,
            branches: branches.collect::<PyResult<_>>()?,
            by_branch,
        })
    }
}

/// Refuses names that no branch uses.
fn known(call: &str, parts: &[Part], given: &[(String, Bound<'_, PyAny>)]) -> PyResult<()> {
    let uses = |name: &String| parts.iter().any(|part| part.inputs.contains(name));
    for (name, _) in given
        .iter()
        .skip_while(|(name, _)| name == "yhat" || name == "y")
    {
        if !uses(name) {
            return Err(PyTypeError::new_err(format!(
                "{call}: `{name}` is given, which the loss does not use"
            )));
        }
    }
    Ok(())
}

fn branch<'py>(
    call: &str,
    part: &Part,
    given: &[(String, Bound<'py, PyAny>)],
    by_branch: bool,
) -> PyResult<BranchInputs<'py>> {
    let mut fields: Vec<Field<'py>> = Vec::with_capacity(part.inputs.len());
    for name in &part.inputs {
        let place = Place { call, name };
        let missing =
            || place.wrong_type("is missing or None", "a numpy array, as the loss uses it");
        let value = given.iter().find(|(other, _)| other == name);
        let value = value.map(|(_, value)| value).ok_or_else(missing)?;
        let field = match by_branch {
            true => Field::new(place, &of_branch(place, value, &part.name)?)?,
            false => Field::new(place, value)?,
        };
        check(place, &field, fields.first(), &part.inputs)?;
        fields.push(field);
    }
    let Some(first) = fields.first() else {
        return Err(PyTypeError::new_err(format!(
            "{call}: the loss uses no input, so that there is nothing to compute"
        )));
    };
    let name = part.inputs.first().map_or("", String::as_str);
    let shape = shape(Place { call, name }, first.dims(), part.pools)?;
    let double = first.is::<f64>();
    Ok(BranchInputs {
        fields,
        shape,
        double,
    })
}

/// The array of one branch.
fn of_branch<'py>(
    place: Place<'_>,
    value: &Bound<'py, PyAny>,
    branch: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let expected = format!("a dictionary of arrays by branch with the key '{branch}'");
    let Ok(dict) = value.cast::<PyDict>() else {
        return Err(place.wrong_type(&format!("is {}", described(value)), &expected));
    };
    let found = || place.wrong_type(&format!("has no key '{branch}'"), &expected);
    dict.get_item(branch)?.ok_or_else(found)
}

/// Refuses a field whose dtype or shape is not that of the first one.
fn check(
    place: Place<'_>,
    field: &Field<'_>,
    first: Option<&Field<'_>>,
    names: &[String],
) -> PyResult<()> {
    let (single, double) = (field.is::<f32>(), field.is::<f64>());
    if !single && !double {
        let expected = format!(
            "float32 or float64: convert it with {}.astype(numpy.float32)",
            place.name
        );
        return Err(place.wrong_type(&field.dtype_text(), &expected));
    }
    let Some(first) = first else {
        return Ok(());
    };
    let leader = names.first().map_or("", String::as_str);
    if first.is::<f64>() != double {
        let expected = format!("the dtype of `{leader}`, {}", first.dtype_name());
        return Err(place.wrong_type(&field.dtype_text(), &expected));
    }
    if first.dims() != field.dims() {
        let found = format!("has shape {}", dims_text(field.dims()));
        let expected = format!("the shape of `{leader}`, {}", dims_text(first.dims()));
        return Err(place.wrong_value(&found, &expected));
    }
    Ok(())
}
