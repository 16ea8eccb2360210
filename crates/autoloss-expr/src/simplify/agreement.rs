//! Comparison of two trees by loss value and gradients on made-up fields.

use crate::exact::Exact;
use crate::program::Program;
use crate::shape::Shape;
use crate::tree::Tree;

/// Largest relative difference: a fifth of the promised one, which leaves room for other fields.
const TOLERANCE: f64 = 2e-6;

/// Differences below are rounding.
const ROUNDING: f64 = 1e-11;

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
    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.gradients.iter().flatten().all(|g| g.is_finite())
    }

    /// Whether another value and its gradients agree, gradients relative to the largest element of each. Numbers that
    /// are not finite must be so in both.
    fn agrees(&self, other: &Self, tolerance: f64) -> bool {
        let close = |a: f64, b: f64, scale: f64| match a.is_finite() {
            true => (a - b).abs() <= tolerance * scale + ROUNDING,
            false => !b.is_finite(),
        };
        let mut gradients = self.gradients.iter().zip(&other.gradients);
        close(self.value, other.value, self.value.abs())
            && gradients.all(|(mine, others)| {
                let finite = mine.iter().filter(|g| g.is_finite());
                let scale = finite.fold(0.0_f64, |m, g| m.max(g.abs()));
                mine.iter().zip(others).all(|(a, b)| close(*a, *b, scale))
            })
    }
}

/// Made-up fields, with value and gradients of the original tree on them.
pub(super) struct Samples {
    inputs: Vec<String>,
    samples: Vec<(Shape, Vec<Vec<f64>>, At)>,
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
                if let Some(at) = at(tree, &inputs, shape, &fields) {
                    samples.push((shape, fields, at));
                }
            }
        }
        Self { inputs, samples }
    }

    /// Whether the original is finite on some of the fields, without which agreement means nothing.
    pub(super) fn tell(&self) -> bool {
        self.samples.iter().any(|(_, _, at)| at.is_finite())
    }

    /// Whether a tree agrees with the original on all fields.
    pub(super) fn agree(&self, tree: &Tree) -> bool {
        self.agree_within(tree, TOLERANCE)
    }

    /// Whether a tree agrees with the original on all fields within a tolerance.
    pub(super) fn agree_within(&self, tree: &Tree, tolerance: f64) -> bool {
        self.samples.iter().all(|(shape, fields, want)| {
            at(tree, &self.inputs, *shape, fields).is_some_and(|got| want.agrees(&got, tolerance))
        })
    }
}

/// Value and gradients of a tree on fields, one an input.
fn at(tree: &Tree, inputs: &[String], shape: Shape, fields: &[Vec<f64>]) -> Option<At> {
    let named: Vec<(&str, bool)> = inputs.iter().map(|name| (name.as_str(), true)).collect();
    let program = Program::new(tree, &named).ok()?;
    let mut exact = Exact::new(&program, shape);
    let value = exact.descend(fields);
    let gradient = |input| match exact.gradient(input) {
        Some(gradient) => gradient.to_vec(),
        None => vec![0.0; shape.len()],
    };
    Some(At {
        value,
        gradients: (0..inputs.len()).map(gradient).collect(),
    })
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
