//! Random trees and fields for property tests.

use proptest::prelude::*;

use crate::operator::Operator;
use crate::reference::{self, ReferenceInput};
use crate::shape::Shape;
use crate::tree::Tree;

/// Trees over `yhat`, `y`, 1 and a few other constants, at most `depth` deep, of all operators.
pub(crate) fn any_tree(depth: u32) -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => Just(Tree::input("yhat")),
        3 => Just(Tree::input("y")),
        2 => Just(Tree::one()),
        1 => prop::sample::select(vec![0.5, 2.0, 1e-3, 0.0]).prop_map(Tree::Constant),
    ];
    leaf.prop_recursive(depth, 24, 2, |inner| {
        (prop::sample::select(Operator::ALL), inner.clone(), inner).prop_map(|(op, a, b)| {
            let mut operands = vec![a, b];
            operands.truncate(op.arity());
            Tree::apply(op, operands)
        })
    })
}

/// Predictions between 0.05 and 0.95 with targets between 0 and 1.
pub(crate) fn smooth_inputs(len: usize) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    (
        prop::collection::vec(0.05..0.95_f64, len),
        prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64], len),
    )
}

/// Whether single precision can compute the tree closely: every value on the way is far from overflow
/// and from 0, and small relative errors on the way stay small in the result.
pub(crate) fn tame(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
    let mut tame = true;
    tree.visit(&mut |node| {
        let values = reference::output(node, shape, inputs);
        tame &= values
            .iter()
            .all(|v| v.abs() < 1e4 && (*v == 0.0 || v.abs() > 1e-4));
    });
    tame && is_well_conditioned(tree, shape, inputs)
}

/// Whether errors of many times the rounding of single precision hardly change output and gradient,
/// as they do where terms cancel: the gradient of `yhat / yhat` is 0.
fn is_well_conditioned(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
    let output = |tree: &Tree| reference::output(tree, shape, inputs);
    let gradient = |tree: &Tree| reference::gradient(tree, shape, inputs, "yhat");
    let (value, slope) = (output(tree), gradient(tree));
    let withstands = |first: u32| {
        let wrong = with_errors(tree, &mut { first });
        close(&output(&wrong), &value, 5e-5) && close(&gradient(&wrong), &slope, 5e-5)
    };
    let terms = reference::gradient_terms(tree, shape, inputs, "yhat");
    let rounded: Vec<f64> = slope
        .iter()
        .zip(terms)
        .map(|(g, t)| g + ERROR * t)
        .collect();
    close(&rounded, &slope, 5e-5) && withstands(0) && withstands(100)
}

/// A relative error of sixteen times the rounding of single precision.
const ERROR: f64 = 1e-6;

/// Whether two fields agree relative to their largest element, or to the share of one element in
/// the mean where all are smaller: a gradient may be 0 by cancellation.
pub(crate) fn close(got: &[f64], want: &[f64], tolerance: f64) -> bool {
    let scale = want
        .iter()
        .fold(1.0 / want.len() as f64, |m, v| m.max(v.abs()));
    got.iter()
        .zip(want)
        .all(|(g, w)| (g - w).abs() <= tolerance * scale)
}

/// The tree with a relative error at every node, different at each.
fn with_errors(tree: &Tree, number: &mut u32) -> Tree {
    *number += 1;
    let error = ERROR * f64::from(*number).sin();
    let node = match tree {
        Tree::Apply(op, operands) => {
            let operands = operands.iter().map(|t| with_errors(t, number)).collect();
            Tree::apply(*op, operands)
        }
        leaf => leaf.clone(),
    };
    Tree::apply(Operator::Mul, vec![node, Tree::Constant(1.0 + error)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_that_cancel_are_not_tame() {
        let shape = Shape::new(1, 1, 1, 2);
        let given = [ReferenceInput {
            name: "yhat",
            values: &[0.02, 0.3],
        }];
        let is_tame = |text| tame(&Tree::parse(text, &["yhat"]).unwrap(), shape, &given);
        assert!(is_tame("square(yhat)") && is_tame("yhat + log(yhat)"));
        assert!(!is_tame("exp(exp(yhat / yhat))"));
    }
}
