//! The slow, obvious computation in f64, which all others are tested against.
//!
//! The tree itself is walked, element by element, without programs, tiles or sharing.

use crate::operator::{OnNumbers, Operator, Structured};
use crate::shape::Shape;
use crate::tree::Tree;

/// A named input field in f64.
#[derive(Clone, Debug)]
pub struct ReferenceInput<'a> {
    /// Name in the tree.
    pub name: &'a str,
    /// Elements in NCHW order.
    pub values: &'a [f64],
}

/// The tree's value at every element.
///
/// # Panics
/// If the tree names an input that is not given or an input is not of the shape, or is a native loss.
#[must_use]
pub fn output(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> Vec<f64> {
    match tree {
        Tree::Input(name) => {
            let input = inputs
                .iter()
                .find(|i| i.name == name)
                .expect("a given input");
            assert_eq!(input.values.len(), shape.len(), "elements of {name}");
            input.values.to_vec()
        }
        Tree::Constant(c) => vec![*c; shape.len()],
        Tree::Apply(op, operands) => {
            let operands: Vec<Vec<f64>> =
                operands.iter().map(|t| output(t, shape, inputs)).collect();
            apply(*op, shape, &operands)
        }
        Tree::Native(loss) => panic!("{loss} has no value at each element"),
    }
}

/// The loss value `1/(N·H·W) Σ output`.
///
/// # Panics
/// As [`output`].
#[must_use]
pub fn loss_value(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> f64 {
    output(tree, shape, inputs).iter().sum::<f64>() / positions(shape)
}

/// The gradient of the loss value with respect to the named input, by the chain rule of the
/// written value with sign(0) = 0.
///
/// # Panics
/// As [`output`].
#[must_use]
pub fn gradient(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>], of: &str) -> Vec<f64> {
    descend_all(tree, shape, inputs, of, |adjoint| adjoint)
}

/// The sum of the magnitudes of all terms that [`gradient`] adds up, far above the gradient where
/// terms cancel.
#[cfg(test)]
pub(crate) fn gradient_terms(
    tree: &Tree,
    shape: Shape,
    inputs: &[ReferenceInput<'_>],
    of: &str,
) -> Vec<f64> {
    descend_all(tree, shape, inputs, of, f64::abs)
}

/// The sum of an input's adjoints over all its places, each term on the way passed through `by`.
fn descend_all(
    tree: &Tree,
    shape: Shape,
    inputs: &[ReferenceInput<'_>],
    of: &str,
    by: fn(f64) -> f64,
) -> Vec<f64> {
    let mut total = vec![0.0; shape.len()];
    let seed = vec![1.0 / positions(shape); shape.len()];
    let mut open = vec![(tree, seed)];
    while let Some((tree, adjoint)) = open.pop() {
        match tree {
            Tree::Input(name) if name == of => {
                for (t, a) in total.iter_mut().zip(adjoint) {
                    *t += a;
                }
            }
            Tree::Apply(op, operands) => {
                let values: Vec<Vec<f64>> =
                    operands.iter().map(|t| output(t, shape, inputs)).collect();
                for (k, operand) in operands.iter().enumerate().filter(|(_, t)| t.uses(of)) {
                    let adjoint = operand_adjoint(*op, shape, &values, k, &adjoint, by);
                    open.push((operand, adjoint.into_iter().map(by).collect()));
                }
            }
            Tree::Input(_) | Tree::Constant(_) | Tree::Native(_) => {}
        }
    }
    total
}

#[expect(
    clippy::cast_precision_loss,
    reason = "fields have far fewer than 2^52 elements"
)]
fn positions(shape: Shape) -> f64 {
    shape.positions() as f64
}

fn index(shape: Shape, [n, c, y, x]: [usize; 4]) -> usize {
    ((n * shape.c + c) * shape.h + y) * shape.w + x
}

/// Every (n, c, y, x) in order.
fn elements(shape: Shape) -> impl Iterator<Item = [usize; 4]> {
    (0..shape.len()).map(move |i| {
        let (rest, x) = (i / shape.w, i % shape.w);
        let (rest, y) = (rest / shape.h, rest % shape.h);
        [rest / shape.c, rest % shape.c, y, x]
    })
}

fn apply(op: Operator, shape: Shape, operands: &[Vec<f64>]) -> Vec<f64> {
    let element = |i: usize, at| match op.structured() {
        None => {
            let numbers: Vec<f64> = operands.iter().map(|v| v[i]).collect();
            op.pointwise(OnNumbers(&numbers)).expect("pointwise").0
        }
        Some(structured) => structured_value(structured, shape, &operands[0], at),
    };
    elements(shape)
        .enumerate()
        .map(|(i, at)| element(i, at))
        .collect()
}

/// The value of a structured operator at one element.
fn structured_value(op: Structured, shape: Shape, x: &[f64], at: [usize; 4]) -> f64 {
    let [n, c, y, col] = at;
    let channel = |k| x[index(shape, [n, k, y, col])];
    match op {
        Structured::MeanNhw => {
            let all = elements(shape).filter(|e| e[1] == c);
            all.map(|e| x[index(shape, e)]).sum::<f64>() / positions(shape)
        }
        #[expect(clippy::cast_precision_loss, reason = "channels are few")]
        Structured::MeanC => (0..shape.c).map(channel).sum::<f64>() / shape.c as f64,
        Structured::MaxPool => x[winner(false, shape, x, at)],
        Structured::MinPool => x[winner(true, shape, x, at)],
        Structured::SoftmaxC => {
            let largest = (0..shape.c).map(channel).fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = (0..shape.c).map(|k| (channel(k) - largest).exp()).sum();
            (channel(c) - largest).exp() / total
        }
    }
}

/// Index of the first neighbour, in row order, that has the largest (smallest) value; a NaN wins.
fn winner(min: bool, shape: Shape, x: &[f64], [n, c, y, col]: [usize; 4]) -> usize {
    let mut best = None;
    for row in y.saturating_sub(1)..(y + 2).min(shape.h) {
        for column in col.saturating_sub(1)..(col + 2).min(shape.w) {
            let i = index(shape, [n, c, row, column]);
            let better = |b: usize| if min { x[i] < x[b] } else { x[i] > x[b] };
            if best.is_none_or(|b| better(b) || x[i].is_nan()) {
                best = Some(i);
            }
        }
    }
    best.expect("an element is its own neighbour")
}

/// The adjoint of operand `k`, given the adjoint of the operator. Terms that may cancel are passed
/// through `by`.
fn operand_adjoint(
    op: Operator,
    shape: Shape,
    values: &[Vec<f64>],
    k: usize,
    adjoint: &[f64],
    by: fn(f64) -> f64,
) -> Vec<f64> {
    let x = &values[0];
    let Some(structured) = op.structured() else {
        let element = |i: usize| {
            let numbers: Vec<f64> = values.iter().map(|v| v[i]).collect();
            let (_, partial) = op.pointwise(OnNumbers(&numbers)).expect("pointwise");
            adjoint[i] * partial[k]
        };
        return (0..shape.len()).map(element).collect();
    };
    match structured {
        // A mean's derivative spreads each adjoint evenly, which is the mean of the adjoints.
        Structured::MeanNhw | Structured::MeanC => {
            let mean = |at| structured_value(structured, shape, adjoint, at);
            elements(shape).map(mean).collect()
        }
        Structured::MaxPool | Structured::MinPool => {
            let min = structured == Structured::MinPool;
            let mut to = vec![0.0; shape.len()];
            for (i, at) in elements(shape).enumerate() {
                to[winner(min, shape, x, at)] += adjoint[i];
            }
            to
        }
        Structured::SoftmaxC => {
            let s = apply(op, shape, values);
            let element = |(i, [n, _, y, col]): (usize, [usize; 4])| {
                let channels = (0..shape.c).map(|c| index(shape, [n, c, y, col]));
                let dot: f64 = channels.map(|j| s[j] * adjoint[j]).sum();
                s[i] * (adjoint[i] + by(-dot))
            };
            elements(shape).enumerate().map(element).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Dual, sign};
    use crate::testing::{any_tree, smooth_inputs};
    use proptest::prelude::*;

    const SHAPE: Shape = Shape::new(2, 3, 2, 3);

    fn inputs<'a>(yhat: &'a [f64], y: &'a [f64]) -> [ReferenceInput<'a>; 2] {
        [
            ReferenceInput {
                name: "yhat",
                values: yhat,
            },
            ReferenceInput {
                name: "y",
                values: y,
            },
        ]
    }

    /// Whether two slopes agree, given the magnitudes that were subtracted to get the second.
    fn agree(got: f64, want: f64, tolerance: f64) -> bool {
        (got - want).abs() <= tolerance
    }

    /// Distance of the tree's inner values from where some operator has a kink or a pole, on the
    /// whole line from `yhat − h` to `yhat + h`: kinks are avoided by construction.
    fn is_smooth(tree: &Tree, shape: Shape, yhat: &[f64], y: &[f64], h: f64) -> bool {
        let values: Vec<Vec<f64>> = [-h, 0.0, h]
            .iter()
            .map(|d| {
                let moved: Vec<f64> = yhat.iter().map(|v| v + d).collect();
                let operand = &tree.operands()[0];
                output(operand, shape, &inputs(&moved, y))
            })
            .collect();
        let clear = |v: f64| v.abs() > 0.05 && v.abs() < 20.0;
        values.iter().flatten().all(|v| clear(*v))
    }

    /// All nodes with a kink or a pole are far from it, and no pooling window is nearly tied.
    fn away_from_kinks(tree: &Tree, yhat: &[f64], y: &[f64], h: f64) -> bool {
        let mut clear = true;
        tree.visit(&mut |node| {
            let Tree::Apply(op, operands) = node else {
                return;
            };
            let sensitive = matches!(
                op,
                Operator::Abs | Operator::Inv | Operator::Log | Operator::Sqrt | Operator::Div
            );
            let pools = matches!(op, Operator::MaxPool | Operator::MinPool);
            if operands.iter().all(|t| !t.uses("yhat")) {
                return;
            }
            let divisor = Tree::apply(Operator::Neg, vec![operands[operands.len() - 1].clone()]);
            clear &= !sensitive || is_smooth(&divisor, SHAPE, yhat, y, h);
            clear &= !pools || no_ties(&operands[0], yhat, y);
            let values = output(node, SHAPE, &inputs(yhat, y));
            clear &= values.iter().all(|v| v.is_finite() && v.abs() < 1e3);
        });
        clear
    }

    fn no_ties(operand: &Tree, yhat: &[f64], y: &[f64]) -> bool {
        let mut values = output(operand, SHAPE, &inputs(yhat, y));
        values.sort_by(f64::total_cmp);
        values.windows(2).all(|w| w[1] - w[0] > 1e-3)
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn gradient_equals_central_differences(
            tree in any_tree(4),
            (yhat, y) in smooth_inputs(SHAPE.len()),
        ) {
            let h = 1e-5;
            prop_assume!(tree.uses("yhat") && away_from_kinks(&tree, &yhat, &y, 2.0 * h));
            let got = gradient(&tree, SHAPE, &inputs(&yhat, &y), "yhat");
            let scale = got.iter().fold(1e-3_f64, |m, g| m.max(g.abs()));
            for i in 0..SHAPE.len() {
                let at = |d: f64| {
                    let mut moved = yhat.clone();
                    moved[i] += d;
                    loss_value(&tree, SHAPE, &inputs(&moved, &y))
                };
                // Five points: the error is of fourth order, so that curvature does not matter.
                let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                let rounding = 1e-9 * at(0.0).abs().max(1.0);
                prop_assert!(
                    agree(got[i], slope, 1e-5 * scale + rounding),
                    "{tree} at {i}: {} against {slope}", got[i]
                );
            }
        }
    }

    #[test]
    fn the_gradient_column_equals_dual_numbers_also_at_kinks() {
        let points = [
            -1e20, -3.0, -1.0, -0.2, -1e-20, -0.0, 0.0, 1e-20, 1e-6, 0.3, 1.0, 2.5, 1e20,
        ];
        for &op in Operator::ALL.iter().filter(|op| op.structured().is_none()) {
            for &a in &points {
                for &b in &points {
                    for k in 0..op.arity() {
                        let (value, partial) = op.pointwise(OnNumbers(&[a, b])).unwrap();
                        let seeded = |v, j| Dual {
                            value: v,
                            derivative: f64::from(j == k),
                        };
                        let duals = [seeded(a, 0), seeded(b, 1)];
                        let (want, _) = op.pointwise(OnNumbers(&duals)).unwrap();
                        assert!(same(value, want.value), "{op:?}({a}, {b}) = {value}");
                        assert!(
                            same(partial[k], want.derivative),
                            "∂{op:?}({a}, {b}): {} against {}",
                            partial[k],
                            want.derivative
                        );
                    }
                }
            }
        }
    }

    /// Equal to rounding, and not finite together: where the chain rule multiplies 0 by ∞ the
    /// two columns may differ in which non-finite value they give.
    fn same(a: f64, b: f64) -> bool {
        a == b || !a.is_finite() && !b.is_finite() || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
    }

    #[test]
    fn gradients_at_zero_are_those_of_sign_zero() {
        let at_zero = |op: Operator| op.pointwise(OnNumbers(&[0.0, 0.0])).unwrap().1[0];
        assert_eq!(at_zero(Operator::Abs), 0.0);
        assert_eq!(at_zero(Operator::Log), 0.0);
        assert_eq!(at_zero(Operator::Sqrt), 0.0);
        assert_eq!(at_zero(Operator::Inv), -1e24);
        assert_eq!(sign(-0.0), 0.0);
    }

    #[test]
    fn ties_in_pooling_go_to_the_first_in_row_order() {
        let shape = Shape::new(1, 1, 3, 3);
        let tree = Tree::apply(Operator::MaxPool, vec![Tree::input("yhat")]);
        let yhat = [0.0, 5.0, 5.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0];
        let given = [ReferenceInput {
            name: "yhat",
            values: &yhat,
        }];
        let got = gradient(&tree, shape, &given, "yhat");
        // The bottom row sees only the middle; all other windows hold (0, 1) first.
        let want = [0.0, 6.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0].map(|v| v / 9.0);
        assert!(
            got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-15),
            "{got:?}"
        );
    }

    #[test]
    fn values_worked_by_hand() {
        let shape = Shape::new(1, 2, 1, 2);
        let (yhat, y) = ([0.25, 0.5, 0.75, 0.5], [1.0, 0.0, 0.0, 1.0]);
        let cross_entropy = Tree::parse("-(y * log(yhat))", &["yhat", "y"]).unwrap();
        let got = loss_value(&cross_entropy, shape, &inputs(&yhat, &y));
        assert!((got - (4.0_f64.ln() + 2.0_f64.ln()) / 2.0).abs() < 1e-11);
        let mean = Tree::parse("mean_c(yhat) + mean_nhw(y)", &["yhat", "y"]).unwrap();
        assert_eq!(output(&mean, shape, &inputs(&yhat, &y)), [1.0; 4]);
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(!agree(1.0, 1.1, 1e-5) && !agree(f64::NAN, 1.0, 1e-5));
        assert!(!same(1.0, 1.000_001) && !same(1.0, f64::NAN));
    }
}
