//! The loss of one branch as a function of its prediction, through its derived inputs, too.

use autoloss_expr::{Adam, NotFinite, Program, Shape, Workspace};

use crate::task::{BranchSpec, Derived};

/// The loss value of a branch, and its gradient for the prediction, which is left in `gradients`
/// at [`BranchSpec::prediction`] in the shape of the input.
///
/// `inputs` are in the branch's order; `derived` are those that follow from the prediction.
///
/// # Panics
/// If an input that the program uses does not have `shape.len()` elements.
pub fn prediction_gradient(
    program: &Program,
    spec: &BranchSpec,
    shape: Shape,
    inputs: &[&[f32]],
    derived: Option<&dyn Derived>,
    workspace: &mut Workspace,
    gradients: &mut Vec<Vec<f32>>,
) -> f64 {
    gradients.resize_with(inputs.len().max(gradients.len()), Vec::new);
    let gradients = &mut gradients[..inputs.len()];
    gradients.iter_mut().for_each(Vec::clear);
    let value = program.gradient(workspace, shape, inputs, gradients);
    let place = spec.prediction();
    if let Some(derived) = used(derived, spec, program) {
        let prediction = double(inputs[place]);
        let all: Vec<Vec<f64>> = gradients.iter().map(|field| double(field)).collect();
        let total = pulled_back(spec, derived, &prediction, &all);
        gradients[place] = single(&total);
    }
    value
}

/// Computation of the derived inputs, if the program uses one of them.
pub(crate) fn used<'a>(
    derived: Option<&'a dyn Derived>,
    spec: &BranchSpec,
    program: &Program,
) -> Option<&'a dyn Derived> {
    derived.filter(|_| spec.derived().any(|place| program.uses(place)))
}

/// Computation of an optimisation at given inputs: the loss value, and the gradient of each input.
pub(crate) type Descend<'a> = dyn FnMut(&[Vec<f64>]) -> (f64, Vec<Vec<f64>>) + 'a;

/// Minimises the loss value by moving the prediction, which the derived inputs follow; the
/// prediction it comes to. `inputs` are in the branch's order.
///
/// # Errors
/// A value or a gradient that is not finite.
pub(crate) fn optimise_prediction(
    spec: &BranchSpec,
    derived: &dyn Derived,
    inputs: &[Vec<f32>],
    adam: &Adam,
    descend: &mut Descend<'_>,
) -> Result<Vec<f64>, NotFinite> {
    let place = spec.prediction();
    let mut inputs: Vec<Vec<f64>> = inputs.iter().map(|field| double(field)).collect();
    let mut moments = [(); 2].map(|()| vec![0.0; inputs[place].len()]);
    for step in 1..=adam.steps {
        let values = derived.values(&inputs[place]);
        for (place, values) in spec.derived().zip(values) {
            inputs[place] = values;
        }
        let (value, gradients) = descend(&inputs);
        let gradient = pulled_back(spec, derived, &inputs[place], &gradients);
        if !value.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(NotFinite { step });
        }
        adam.step(step, &mut inputs[place], &mut moments, &gradient);
    }
    Ok(inputs.swap_remove(place))
}

/// The prediction's gradient, given that of each input; an empty one is 0.
pub(crate) fn pulled_back(
    spec: &BranchSpec,
    derived: &dyn Derived,
    prediction: &[f64],
    gradients: &[Vec<f64>],
) -> Vec<f64> {
    let mut total = gradients[spec.prediction()].clone();
    total.resize(prediction.len(), 0.0);
    let through: Vec<&[f64]> = spec.derived().map(|p| gradients[p].as_slice()).collect();
    derived.pull_back(prediction, &through, &mut total);
    total
}

pub(crate) fn double(field: &[f32]) -> Vec<f64> {
    field.iter().map(|x| f64::from(*x)).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "single precision is wanted"
)]
pub(crate) fn single(field: &[f64]) -> Vec<f32> {
    field.iter().map(|x| *x as f32).collect()
}
