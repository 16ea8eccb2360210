//! Inputs of branches with predictions on their way from the stored ones to the targets.

use crate::branch::{double, single};
use crate::task::{BranchSample, BranchSpec};

/// Shares of the way to the targets that predictions have gone where gradients are taken.
pub(super) const PLACES: [f32; 3] = [0.0, 0.5, 0.9];

/// The inputs of each branch at each place for each sample.
pub(super) type OnTheWay = Vec<[Vec<Vec<Vec<f32>>>; PLACES.len()]>;

/// The inputs of a branch with the prediction nearer to the target by a share of their distance.
pub(super) fn towards_target(
    branch: &BranchSample,
    spec: &BranchSpec,
    share: f32,
) -> Vec<Vec<f32>> {
    let mut inputs = branch.inputs.clone();
    let target = &branch.inputs[spec.target()];
    let place = spec.prediction();
    for (prediction, target) in inputs[place].iter_mut().zip(target) {
        *prediction += share * (target - *prediction);
    }
    if let Some(derived) = &branch.derived {
        let values = derived.values(&double(&inputs[place]));
        for (place, values) in spec.derived().zip(values) {
            inputs[place] = single(&values);
        }
    }
    inputs
}
