//! Random trees and fields for property tests.

use proptest::prelude::*;

use crate::operator::Operator;
use crate::program::Shape;
use crate::reference::{self, ReferenceInput};
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

/// Whether every value on the way is of a size that single precision keeps to some digits:
/// far from overflow, and no digit lost by taking 1/(x + ε) or a logarithm next to 0.
pub(crate) fn tame(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
    let mut tame = true;
    tree.visit(&mut |node| {
        let largest = |t: &Tree| {
            let values = reference::output(t, shape, inputs);
            values
                .iter()
                .all(|v| v.abs() < 1e4 && (*v == 0.0 || v.abs() > 1e-4))
        };
        tame &= largest(node);
    });
    tame
}
