//! Value and gradient of a loss at given arrays, without the interpreter's lock.

use std::sync::Mutex;

use autoloss_expr::{Exact, NativeFields, NativeLoss, Program, Shape, Workspace};
use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{Element, IntoPyArray, PyReadonlyArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::chunks::Chunks;
use super::fields::{BranchInputs, Inputs};
use super::part::Part;
use crate::arrays::{MayBeNan, Place, has_nan, no_nan};

/// Numbers that losses are computed in.
trait Number: Element + MayBeNan + Default + Sync {
    /// The number times a factor.
    fn times(self, factor: f64) -> Self;

    /// Loss value.
    fn value(part: &Part, shape: Shape, inputs: &[&[Self]]) -> f64;

    /// Loss value, and the gradient for the input at a place.
    fn gradient(
        part: &Part,
        program: Option<&Program>,
        at: (Shape, usize),
        inputs: &[&[Self]],
    ) -> (f64, Vec<Self>);
}

/// Buffers that stay from call to call, of threads that compute nothing.
static WORKSPACES: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());

/// Computes with buffers.
fn with_workspace<R>(compute: impl FnOnce(&mut Workspace) -> R) -> R {
    // Whoever cannot have them at once makes others: a process that was forked off might wait for ever.
    let kept = || WORKSPACES.try_lock().ok();
    let mut workspace = kept().and_then(|mut kept| kept.pop()).unwrap_or_default();
    let computed = compute(&mut workspace);
    if let Some(mut kept) = kept() {
        kept.push(workspace);
    }
    computed
}

impl Number for f32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "single precision is wanted"
    )]
    fn times(self, factor: f64) -> Self {
        (f64::from(self) * factor) as Self
    }

    fn value(part: &Part, shape: Shape, inputs: &[&[Self]]) -> f64 {
        match (&part.program, part.tree.native()) {
            (Some(program), _) => with_workspace(|ws| program.value(ws, shape, inputs)),
            (None, Some(native)) => native.at_single(shape, inputs[0], inputs[1]).0,
            (None, None) => unreachable!("a tree is a program or native"),
        }
    }

    fn gradient(
        part: &Part,
        program: Option<&Program>,
        (shape, place): (Shape, usize),
        inputs: &[&[Self]],
    ) -> (f64, Vec<Self>) {
        match (program, part.tree.native()) {
            (Some(program), _) => {
                let mut gradients = vec![Vec::new(); inputs.len()];
                let value =
                    with_workspace(|ws| program.gradient(ws, shape, inputs, &mut gradients));
                (value, gradients.swap_remove(place))
            }
            (None, Some(native)) => native.at_single(shape, inputs[0], inputs[1]),
            (None, None) => unreachable!("a tree is a program or native"),
        }
    }
}

impl Number for f64 {
    fn times(self, factor: f64) -> Self {
        self * factor
    }

    fn value(part: &Part, shape: Shape, inputs: &[&[Self]]) -> f64 {
        match (&part.program, part.tree.native()) {
            (Some(program), _) => Exact::new(program, shape).descend(inputs),
            (None, Some(native)) => at(native, shape, inputs).0,
            (None, None) => unreachable!("a tree is a program or native"),
        }
    }

    fn gradient(
        part: &Part,
        program: Option<&Program>,
        (shape, place): (Shape, usize),
        inputs: &[&[Self]],
    ) -> (f64, Vec<Self>) {
        match (program, part.tree.native()) {
            (Some(program), _) => {
                let mut exact = Exact::new(program, shape);
                let value = exact.descend(inputs);
                let gradient = exact.gradient(place).map(<[f64]>::to_vec);
                (value, gradient.unwrap_or_else(|| vec![0.0; shape.len()]))
            }
            (None, Some(native)) => at(native, shape, inputs),
            (None, None) => unreachable!("a tree is a program or native"),
        }
    }
}

fn at(native: &NativeLoss, shape: Shape, inputs: &[&[f64]]) -> (f64, Vec<f64>) {
    let (yhat, y) = (inputs[0], inputs[1]);
    let at = native.at(&NativeFields { shape, yhat, y });
    (at.loss_value, at.gradient)
}

/// Loss value, summed over the branches.
///
/// # Errors
/// NaN among the inputs.
pub(super) fn value(py: Python<'_>, parts: &[Part], given: &Inputs<'_, '_>) -> PyResult<f64> {
    let mut total = 0.0;
    for (part, inputs) in parts.iter().zip(&given.branches) {
        total += match inputs.double {
            true => part_value::<f64>(py, given.call, part, inputs)?,
            false => part_value::<f32>(py, given.call, part, inputs)?,
        };
    }
    Ok(total)
}

fn part_value<T: Number>(
    py: Python<'_>,
    call: &str,
    part: &Part,
    inputs: &BranchInputs<'_>,
) -> PyResult<f64> {
    let reading = read::<T>(call, part, inputs)?;
    let fields = slices(&reading)?;
    let (shape, dims) = (inputs.shape, inputs.fields[0].dims());
    py.detach(|| {
        let whole = || check(call, part, dims, &fields);
        let Some(chunks) = Chunks::of(shape).filter(|_| part.by_sample) else {
            whole()?;
            return Ok(T::value(part, shape, &fields));
        };
        let value = chunks.sum(&fields, &mut [] as &mut [()], |shape, fields, _, _| {
            has_no_nan(fields).map(|()| T::value(part, shape, fields))
        });
        value.or_else(|FoundNan| whole().map(|()| f64::NAN))
    })
}

/// Loss value, summed over the branches, and the gradient for an input: an array, or a dictionary of arrays.
///
/// # Errors
/// NaN among the inputs, an input that the loss does not use.
pub(super) fn gradient<'py>(
    py: Python<'py>,
    parts: &[Part],
    given: &Inputs<'_, 'py>,
    of: &str,
) -> PyResult<(f64, Bound<'py, PyAny>)> {
    let mut total = 0.0;
    let mut gradients = Vec::with_capacity(parts.len());
    for (part, inputs) in parts.iter().zip(&given.branches) {
        let (value, gradient) = match inputs.double {
            true => part_gradient::<f64>(py, given.call, part, inputs, of)?,
            false => part_gradient::<f32>(py, given.call, part, inputs, of)?,
        };
        total += value;
        gradients.push(gradient);
    }
    if !given.by_branch {
        return Ok((total, gradients.swap_remove(0)));
    }
    let dict = PyDict::new(py);
    for (part, gradient) in parts.iter().zip(gradients) {
        dict.set_item(&part.name, gradient)?;
    }
    Ok((total, dict.into_any()))
}

fn part_gradient<'py, T: Number>(
    py: Python<'py>,
    call: &str,
    part: &Part,
    inputs: &BranchInputs<'py>,
    of: &str,
) -> PyResult<(f64, Bound<'py, PyAny>)> {
    let place = part.place(call, of)?;
    let program = match part.tree.native() {
        Some(_) => None,
        None => Some(part.program(of)?),
    };
    let reading = read::<T>(call, part, inputs)?;
    let fields = slices(&reading)?;
    let (shape, dims) = (inputs.shape, inputs.fields[0].dims());
    let program = program.as_deref();
    let (value, gradient) = py.detach(|| {
        let whole = || check(call, part, dims, &fields);
        let Some(chunks) = Chunks::of(shape).filter(|_| part.by_sample) else {
            whole()?;
            return PyResult::Ok(T::gradient(part, program, (shape, place), &fields));
        };
        let mut gradient = vec![T::default(); shape.len()];
        let value = chunks.sum(&fields, &mut gradient, |shape, fields, share, gradient| {
            has_no_nan(fields)?;
            let (value, of_chunk) = T::gradient(part, program, (shape, place), fields);
            for (to, from) in gradient.iter_mut().zip(of_chunk) {
                *to = from.times(share);
            }
            Ok(value)
        });
        match value {
            Ok(value) => Ok((value, gradient)),
            Err(FoundNan) => whole().map(|()| (f64::NAN, gradient)),
        }
    })?;
    let gradient = ArrayD::from_shape_vec(IxDyn(dims), gradient)
        .map_err(|e| PyValueError::new_err(format!("{call}: {e}")))?;
    Ok((value, gradient.into_pyarray(py).into_any()))
}

fn read<'py, T: Element>(
    call: &str,
    part: &Part,
    inputs: &BranchInputs<'py>,
) -> PyResult<Vec<PyReadonlyArrayDyn<'py, T>>> {
    let fields = inputs.fields.iter().zip(&part.inputs);
    fields
        .map(|(field, name)| field.read(Place { call, name }))
        .collect()
}

fn slices<'a, T: Element>(reading: &'a [PyReadonlyArrayDyn<'_, T>]) -> PyResult<Vec<&'a [T]>> {
    let slice = |array: &'a PyReadonlyArrayDyn<'_, T>| {
        array
            .as_slice()
            .map_err(|e| PyValueError::new_err(e.to_string()))
    };
    reading.iter().map(slice).collect()
}

fn check<T: Number>(call: &str, part: &Part, dims: &[usize], fields: &[&[T]]) -> PyResult<()> {
    for (name, values) in part.inputs.iter().zip(fields) {
        no_nan(Place { call, name }, dims, values)?;
    }
    Ok(())
}

/// NaN among the inputs of a chunk.
struct FoundNan;

fn has_no_nan<T: Number>(fields: &[&[T]]) -> Result<(), FoundNan> {
    match fields.iter().any(|values| has_nan(values)) {
        true => Err(FoundNan),
        false => Ok(()),
    }
}
