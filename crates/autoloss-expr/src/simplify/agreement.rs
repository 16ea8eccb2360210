//! Comparison of two trees by loss value and gradients on made-up fields.

use crate::exact::Exact;
use crate::operator::EPSILON;
use crate::program::Program;
use crate::shape::Shape;
use crate::tree::Tree;

/// Largest relative difference: a fifth of the promised one, which leaves room for other fields.
const TOLERANCE: f64 = 2e-6;

/// Differences below are rounding.
const ROUNDING: f64 = 1e-11;

/// The same for the gradient of a value v at an element x, relative to |v / x|: where v / x and -v / x cancel, as in
/// `yhat / yhat`, a rounding error of their size is left.
const ROUNDING_OF_QUOTIENTS: f64 = 8.0 * f64::EPSILON;

/// Epsilons by which two trees may differ at a place: their operators add one each.
const EPSILONS: f64 = 4.0;

/// Largest relative change of a constant that is rounded to seven digits.
const ROUNDED: f64 = 5e-7;

/// Shapes of the fields.
const SHAPES: [Shape; 3] = [
    Shape::new(2, 3, 4, 4),
    Shape::new(1, 5, 3, 5),
    Shape::new(1, 2, 1, 3),
];

/// A difference from 0 or 1 that predictions have after long training.
const CLOSE: f64 = 1e-6;

/// Kinds of fields that a tree may be given.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Class probabilities with one-hot targets, and areas.
    Classes,
    /// Probabilities well between 0 and 1, where most trees are finite.
    Shares,
    /// Numbers of either sign, among them 0.
    Numbers,
}

/// Value and gradients of a tree at some fields.
struct At {
    value: f64,
    gradients: Vec<Vec<f64>>,
}

impl At {
    /// Computes a tree on fields, one an input; `None` if it is no loss of the inputs.
    fn of(tree: &Tree, inputs: &[String], shape: Shape, fields: &[Vec<f64>]) -> Option<Self> {
        let named: Vec<(&str, bool)> = inputs.iter().map(|name| (name.as_str(), true)).collect();
        let program = Program::new(tree, &named).ok()?;
        let mut exact = Exact::new(&program, shape);
        let value = exact.descend(fields);
        let gradient = |input| match exact.gradient(input) {
            Some(gradient) => gradient.to_vec(),
            None => vec![0.0; shape.len()],
        };
        Some(Self {
            value,
            gradients: (0..inputs.len()).map(gradient).collect(),
        })
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.gradients.iter().flatten().all(|g| g.is_finite())
    }

    /// The value and all gradients, each number with the size that its errors are relative to.
    fn numbers(&self) -> impl Iterator<Item = (f64, f64)> {
        let gradients = self.gradients.iter().flat_map(|gradient| {
            let finite = gradient.iter().filter(|g| g.is_finite());
            let size = finite.fold(0.0_f64, |m, g| m.max(g.abs()));
            gradient.iter().map(move |g| (*g, size))
        });
        std::iter::once((self.value, self.value.abs())).chain(gradients)
    }
}

/// Made-up fields, one an input, with value and gradients of the original tree on them.
struct Sample {
    shape: Shape,
    fields: Vec<Vec<f64>>,
    at: At,
    /// Difference from each number of `at` that is allowed on top of the relative one: rounding, and the effect of
    /// some epsilons, which is large near a pole.
    slack: Vec<f64>,
}

impl Sample {
    fn of(tree: &Tree, inputs: &[String], shape: Shape, fields: Vec<Vec<f64>>) -> Option<Self> {
        let at = At::of(tree, inputs, shape, &fields)?;
        let elements = fields.iter().flatten();
        let quotients = ROUNDING_OF_QUOTIENTS * at.value.abs().max(1.0);
        let rounding = elements.map(|x| match *x == 0.0 {
            true => ROUNDING,
            false => ROUNDING.max(quotients / x.abs()),
        });
        let mut slack: Vec<f64> = std::iter::once(ROUNDING).chain(rounding).collect();
        for input in 0..inputs.len() {
            let mut moved = fields.clone();
            // Trees have to agree on the protection of 0 itself.
            let nonzero = moved[input].iter_mut().filter(|x| **x != 0.0);
            nonzero.for_each(|x| *x += EPSILONS * EPSILON);
            widen(&mut slack, &at, &At::of(tree, inputs, shape, &moved)?);
        }
        Some(Self {
            shape,
            fields,
            at,
            slack,
        })
    }

    /// Whether the value and gradients of another tree agree, gradients relative to the largest element of each, but
    /// for the effect of its rounded constants. Numbers that are not finite must be so in both.
    fn agrees(&self, inputs: &[String], tree: &Tree, tolerance: f64) -> Option<bool> {
        let at = |tree| At::of(tree, inputs, self.shape, &self.fields);
        let other = at(tree)?;
        let mut slack = vec![0.0; self.slack.len()];
        let moved = with_moved_constants(tree);
        if moved != *tree {
            widen(&mut slack, &other, &at(&moved)?);
        }
        let slack = self.slack.iter().zip(&slack).map(|(a, b)| a + b);
        let mut numbers = self.at.numbers().zip(other.numbers()).zip(slack);
        Some(
            numbers.all(|(((a, size), (b, _)), slack)| match a.is_finite() {
                true => (a - b).abs() <= tolerance * size + slack,
                false => !b.is_finite(),
            }),
        )
    }
}

/// Raises allowed differences to those between two results, where these are finite.
fn widen(slack: &mut [f64], one: &At, other: &At) {
    let differences = one
        .numbers()
        .zip(other.numbers())
        .map(|((a, _), (b, _))| (a - b).abs());
    for (slack, difference) in slack.iter_mut().zip(differences) {
        // The maximum with a number that is none is the other one.
        *slack = slack.max(difference);
    }
}

/// The tree with constants that differ by as much as rounding can change them; whole numbers are exact.
fn with_moved_constants(tree: &Tree) -> Tree {
    match tree {
        Tree::Constant(c) if c.fract() != 0.0 => Tree::Constant(c * (1.0 + ROUNDED)),
        Tree::Apply(operator, operands) => Tree::apply(
            *operator,
            operands.iter().map(with_moved_constants).collect(),
        ),
        Tree::Constant(_) | Tree::Input(_) | Tree::Native(_) => tree.clone(),
    }
}

/// Made-up fields of several kinds and shapes, with value and gradients of the original tree on them.
pub(super) struct Samples {
    inputs: Vec<String>,
    samples: Vec<Sample>,
}

impl Samples {
    /// Computes a tree on made-up fields, which follow from the seed.
    pub(super) fn of(tree: &Tree, seed: u64) -> Self {
        let inputs: Vec<String> = tree.inputs().into_iter().map(str::to_owned).collect();
        let mut numbers = Numbers(seed);
        let mut samples = Vec::new();
        for kind in [Kind::Classes, Kind::Shares, Kind::Numbers] {
            for shape in SHAPES {
                let field = |name: &String| kind.field(name, shape, &mut numbers);
                let fields: Vec<Vec<f64>> = inputs.iter().map(field).collect();
                samples.extend(Sample::of(tree, &inputs, shape, fields));
            }
        }
        Self { inputs, samples }
    }

    /// Whether the original is finite on some of the fields, without which agreement means nothing.
    pub(super) fn tell(&self) -> bool {
        self.samples.iter().any(|sample| sample.at.is_finite())
    }

    /// Whether a tree agrees with the original on all fields.
    pub(super) fn agree(&self, tree: &Tree) -> bool {
        self.agree_within(tree, TOLERANCE)
    }

    /// Whether a tree agrees with the original on all fields within a tolerance.
    pub(super) fn agree_within(&self, tree: &Tree, tolerance: f64) -> bool {
        let agrees = |sample: &Sample| sample.agrees(&self.inputs, tree, tolerance);
        self.samples
            .iter()
            .all(|sample| agrees(sample) == Some(true))
    }
}

impl Kind {
    fn field(self, input: &str, shape: Shape, numbers: &mut Numbers) -> Vec<f64> {
        let positions = shape.h * shape.w;
        match (self, input) {
            (Self::Numbers, _) => (0..shape.len())
                .map(|i| match i % 7 {
                    3 => 0.0,
                    5 => CLOSE * (numbers.next() - 0.5),
                    _ => 4.0 * numbers.next() - 2.0,
                })
                .collect(),
            (Self::Classes, "y") => {
                // One class for each position of each sample.
                let samples = shape.n * positions;
                let labels: Vec<usize> = (0..samples).map(|_| numbers.below(shape.c)).collect();
                let label =
                    |i: usize| labels[i / (shape.c * positions) * positions + i % positions];
                let hot = |i: usize| f64::from(i / positions % shape.c == label(i));
                (0..shape.len()).map(hot).collect()
            }
            (Self::Classes, "yhat") => {
                let near = |i: usize, x: f64| if i % 9 == 4 { CLOSE } else { 0.01 + x };
                let shares: Vec<f64> = (0..shape.len()).map(|i| near(i, numbers.next())).collect();
                // They add up to 1, so that poolings of their mean are of equal numbers.
                let first =
                    |i: usize| i / (shape.c * positions) * shape.c * positions + i % positions;
                let total = |i: usize| -> f64 {
                    (0..shape.c).map(|c| shares[first(i) + c * positions]).sum()
                };
                (0..shape.len()).map(|i| shares[i] / total(i)).collect()
            }
            (Self::Shares, "yhat" | "y") => (0..shape.len())
                .map(|_| 0.05 + 0.9 * numbers.next())
                .collect(),
            (Self::Classes | Self::Shares, _) => (0..shape.len())
                .map(|_| 0.1 + 3.0 * numbers.next())
                .collect(),
        }
    }
}

/// Numbers from 0 to 1 that look random (splitmix64), the same for the same seed.
struct Numbers(u64);

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "classes are few"
    )]
    fn below(&mut self, count: usize) -> usize {
        ((self.next() * count as f64) as usize).min(count - 1)
    }
}
