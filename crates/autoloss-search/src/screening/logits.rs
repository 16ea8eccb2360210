//! Screening by way of logits: a softmax of them stands in the trees for the probabilities.

use autoloss_expr::{Program, Shape, Tree, Workspace};

use crate::task::BranchSpec;

/// The tree with the softmax of its logits in place of every input that is a softmax.
pub(super) fn over_logits(tree: &Tree, spec: &BranchSpec) -> Tree {
    let softmax = spec.inputs.iter().filter(|input| input.is_softmax());
    softmax.fold(tree.clone(), |tree, input| tree.over_logits(&input.name))
}

/// Puts logits in place of class probabilities: the softmax of their logarithms is they themselves.
pub(super) fn of_probabilities(spec: &BranchSpec, fields: &mut [Vec<f32>]) {
    for (input, field) in spec.inputs.iter().zip(fields) {
        if input.is_softmax() {
            field
                .iter_mut()
                .for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
        }
    }
}

pub(super) fn to_probabilities(
    spec: &BranchSpec,
    shape: Shape,
    fields: &mut [Vec<f32>],
    workspace: &mut Workspace,
) {
    for (input, field) in spec.inputs.iter().zip(fields) {
        if input.is_softmax() {
            let inputs = [(input.name.as_str(), true)];
            let softmax = Program::new(&Tree::input(&input.name).over_logits(&input.name), &inputs);
            let softmax = softmax.expect("the input is given");
            *field = softmax.output(workspace, shape, &[field]);
        }
    }
}
