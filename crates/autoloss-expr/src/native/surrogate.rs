//! Auto Seg-Loss (Li et al. 2021, arXiv 2010.07930): the segmentation metrics themselves, with
//! probabilities for predicted labels and parametrised curves for the logical operations on them.
//!
//! AND(a, b) = f(a) f(b) and OR(a, b) = g(a) + g(b) − g(a) g(b), where f and g are [`Curve`]s. As
//! curves map 0 to 0 and 1 to 1, with a target b of 0 or 1 they are f(a) b and b + g(a) (1 − b).
//! A loss is 1 − the metric over the batch.

use super::curve::{CURVE_PARAMETERS, Curve};
use super::fields::{NativeAt, NativeFields};
use super::pool::strongest;
use super::row::{Native, Parameter};
use crate::named_loss::{ZooKind, ZooLoss};
use crate::operator::EPSILON;

/// Number of parameters of a surrogate: two curves (AND and OR), and the distance of boundary metrics.
pub const SURROGATE_PARAMETERS: usize = 2 * CURVE_PARAMETERS + 1;

const fn share(default: f64) -> Parameter {
    Parameter {
        name: "a curve's number",
        default,
        range: [0.0, 1.0],
    }
}

/// Parameters of the identity, for AND and for OR.
const PARAMETERS: [Parameter; SURROGATE_PARAMETERS] = {
    let (a, b, c) = (share(0.25), share(1.0 / 3.0), share(0.5));
    let distance = Parameter {
        name: "the boundary distance in pixels",
        default: 1.0,
        range: [0.0, 64.0],
    };
    [a, a, b, b, c, c, a, a, b, b, c, c, distance]
};

/// A row of the table of native losses.
pub(super) const fn row(
    name: &'static str,
    formula: &'static str,
    compute: fn(&NativeFields<'_>, &[f64]) -> NativeAt,
) -> Native {
    Native {
        zoo: ZooLoss {
            name,
            kind: ZooKind::Classes,
            formula,
            source: "Auto Seg-Loss's surrogate of the metric (Li et al. 2021, arXiv 2010.07930); without numbers its curves are the identity",
        },
        parameters: &PARAMETERS,
        compute,
    }
}

/// A metric of the classes' soft counts, with its derivatives in the counts.
struct Slopes {
    metric: f64,
    and: Vec<f64>,
    or: Vec<f64>,
}

/// The soft counts of each class over some positions.
struct Counts {
    /// Σ AND(ŷ, y).
    and: Vec<f64>,
    /// Σ OR(ŷ, y).
    or: Vec<f64>,
    /// Σ y.
    target: Vec<f64>,
}

impl Counts {
    /// Σ weight · AND / `over` over the classes that occur, where the weights add up to 1; `of_or` tells
    /// that `over` are the counts of OR, so that they have derivatives.
    fn ratio(&self, weight: impl Fn(usize) -> f64, over: &[f64], of_or: bool) -> Slopes {
        let mut slopes = Slopes {
            metric: 0.0,
            and: vec![0.0; self.and.len()],
            or: vec![0.0; self.and.len()],
        };
        for c in (0..self.and.len()).filter(|c| self.target[*c] > 0.0) {
            let share = weight(c) / over[c];
            slopes.metric += share * self.and[c];
            slopes.and[c] = share;
            if of_or {
                slopes.or[c] = -share * self.and[c] / over[c];
            }
        }
        slopes
    }

    fn mean(&self) -> f64 {
        let present = self.target.iter().filter(|count| **count > 0.0).count();
        #[expect(clippy::cast_precision_loss, reason = "classes are few")]
        let share = 1.0 / present.max(1) as f64;
        share
    }

    fn frequency(&self, class: usize) -> f64 {
        self.target[class] / self.target.iter().sum::<f64>()
    }
}

/// 1 − the mean IoU of the classes.
pub(super) fn miou(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    counted_loss(fields, parameters, &fields.counted(), |counts| {
        counts.ratio(|_| counts.mean(), &counts.or, true)
    })
}

/// 1 − the IoU of the classes, weighted by their frequency.
pub(super) fn fwiou(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    counted_loss(fields, parameters, &fields.counted(), |counts| {
        counts.ratio(|c| counts.frequency(c), &counts.or, true)
    })
}

/// 1 − the share of positions that are right.
pub(super) fn gacc(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    counted_loss(fields, parameters, &fields.counted(), |counts| {
        counts.ratio(|c| counts.frequency(c), &counts.target, false)
    })
}

/// 1 − the mean accuracy of the classes.
pub(super) fn macc(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    counted_loss(fields, parameters, &fields.counted(), |counts| {
        counts.ratio(|_| counts.mean(), &counts.target, false)
    })
}

/// 1 − the mean IoU of the positions near the target's edges.
pub(super) fn biou(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    let mut near = vec![false; fields.shape.len()];
    let (pixels, sample) = (fields.pixels(), fields.shape.c * fields.pixels());
    for first in (0..near.len()).step_by(pixels) {
        let reached = dilated(
            &edges_of_target(fields, first),
            size(fields),
            distance(parameters),
        );
        for (i, _) in reached.into_iter().enumerate().filter(|(_, r)| *r > 0.0) {
            for c in 0..fields.shape.c {
                near[first / sample * sample + c * pixels + i] = true;
            }
        }
    }
    let counted = fields.counted();
    near.iter_mut()
        .zip(counted)
        .for_each(|(near, counted)| *near &= counted);
    counted_loss(fields, parameters, &near, |counts| {
        counts.ratio(|_| counts.mean(), &counts.or, true)
    })
}

/// 1 − a metric of soft counts over the elements given.
fn counted_loss(
    fields: &NativeFields<'_>,
    parameters: &[f64],
    elements: &[bool],
    metric: impl Fn(&Counts) -> Slopes,
) -> NativeAt {
    let (and, or) = parameters.split_at(CURVE_PARAMETERS);
    let (and, or) = (Curve::new(and), Curve::new(or));
    let classes = fields.shape.c;
    let mut counts = Counts {
        and: vec![0.0; classes],
        or: vec![0.0; classes],
        target: vec![0.0; classes],
    };
    for c in 0..classes {
        for i in fields.channel(c).filter(|i| elements[*i]) {
            if fields.is(i) {
                counts.target[c] += 1.0;
                counts.and[c] += and.at(fields.yhat[i]).0;
                counts.or[c] += 1.0;
            } else {
                counts.or[c] += or.at(fields.yhat[i]).0;
            }
        }
    }
    let slopes = metric(&counts);
    let mut at = NativeAt::zero(fields.shape.len());
    at.loss_value = 1.0 - slopes.metric;
    for c in 0..classes {
        for i in fields.channel(c).filter(|i| elements[*i]) {
            let yhat = fields.yhat[i];
            at.gradient[i] = match fields.is(i) {
                true => -slopes.and[c] * and.at(yhat).1,
                false => -slopes.or[c] * or.at(yhat).1,
            };
        }
    }
    at
}

/// 1 − the boundary F1. The edges of a probability map p are XOR(p, min-pooled p); max-pooling finds
/// the edges of the other map within the distance.
pub(super) fn bf1(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    let (and, or) = parameters.split_at(CURVE_PARAMETERS);
    let curves = [Curve::new(and), Curve::new(or)];
    let counted = fields.counted();
    let mut at = NativeAt::zero(fields.shape.len());
    at.loss_value = 1.0;
    let classes: Vec<Vec<EdgePlane>> = (0..fields.shape.c)
        .map(|c| {
            let planes = (0..fields.shape.n).map(|n| fields.plane(n, c));
            planes
                .map(|first| EdgePlane::new(fields, first, &curves, &counted, distance(parameters)))
                .collect()
        })
        .collect();
    let with_edges = |planes: &&Vec<EdgePlane>| planes.iter().any(|p| p.target.contains(&1.0));
    #[expect(clippy::cast_precision_loss, reason = "classes are few")]
    let share = 1.0 / classes.iter().filter(with_edges).count().max(1) as f64;
    for planes in classes.iter().filter(with_edges) {
        let sum = |f: &dyn Fn(&EdgePlane) -> f64| planes.iter().map(f).sum::<f64>();
        let right = sum(&|p| dot(&p.edges, &p.near_target));
        let predicted = sum(&|p| p.edges.iter().sum()) + EPSILON;
        let found = sum(&|p| dot(&p.found(), &p.target));
        let wanted = sum(&|p| p.target.iter().sum());
        let (precision, recall) = (right / predicted, found / wanted);
        let both = precision + recall + EPSILON;
        at.loss_value -= share * 2.0 * precision * recall / both;
        let of_precision = -share * 2.0 * recall * (recall + EPSILON) / (both * both);
        let of_recall = -share * 2.0 * precision * (precision + EPSILON) / (both * both);
        for plane in planes {
            let mut of_edges: Vec<f64> = plane
                .near_target
                .iter()
                .map(|near| of_precision * (near * predicted - right) / (predicted * predicted))
                .collect();
            for (from, target) in plane.strongest.iter().zip(&plane.target) {
                of_edges[*from] += of_recall * target / wanted;
            }
            plane.pull_back(&of_edges, &counted, &mut at.gradient);
        }
    }
    at
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One class of one sample: its soft edges, and those of its target.
struct EdgePlane {
    first: usize,
    edges: Vec<f64>,
    /// For each pixel, the neighbour whose probability min-pooling took.
    pooled: Vec<usize>,
    /// For each pixel, the derivatives of the edge in the pixel's own probability and in that of the
    /// pooled neighbour.
    slopes: Vec<[f64; 2]>,
    /// For each pixel, the place of the strongest edge near it.
    strongest: Vec<usize>,
    target: Vec<f64>,
    near_target: Vec<f64>,
}

impl EdgePlane {
    fn new(
        fields: &NativeFields<'_>,
        first: usize,
        [and, or]: &[Curve; 2],
        counted: &[bool],
        distance: usize,
    ) -> Self {
        let yhat = &fields.yhat[first..first + fields.pixels()];
        let pooled = strongest(yhat, size(fields), 1, |a, b| a < b);
        let edge = |(i, from): (usize, &usize)| {
            if !counted[first + i] {
                return (0.0, [0.0; 2]);
            }
            let [p, m] = [yhat[i], yhat[*from]];
            let [(and_p, and_dp), (and_m, and_dm)] = [and.at(p), and.at(m)];
            let [(or_p, or_dp), (or_m, or_dm)] = [or.at(p), or.at(m)];
            let edge = or_p + or_m - or_p * or_m - and_p * and_m;
            // Two different curves may leave [0, 1].
            if !(0.0..=1.0).contains(&edge) && !edge.is_nan() {
                return (edge.clamp(0.0, 1.0), [0.0; 2]);
            }
            let slopes = [
                or_dp * (1.0 - or_m) - and_dp * and_m,
                or_dm * (1.0 - or_p) - and_dm * and_p,
            ];
            (edge, slopes)
        };
        let (edges, slopes): (Vec<f64>, Vec<[f64; 2]>) =
            pooled.iter().enumerate().map(edge).unzip();
        let target = edges_of_target(fields, first);
        Self {
            first,
            strongest: strongest(&edges, size(fields), distance, |a, b| a > b),
            near_target: dilated(&target, size(fields), distance),
            edges,
            pooled,
            slopes,
            target,
        }
    }

    /// The strongest edge near each pixel.
    fn found(&self) -> Vec<f64> {
        self.strongest
            .iter()
            .map(|from| self.edges[*from])
            .collect()
    }

    fn pull_back(&self, of_edges: &[f64], counted: &[bool], gradient: &mut [f64]) {
        for (i, (of_edge, [own, other])) in of_edges.iter().zip(&self.slopes).enumerate() {
            for (place, slope) in [(i, own), (self.pooled[i], other)] {
                if counted[self.first + place] {
                    gradient[self.first + place] += of_edge * slope;
                }
            }
        }
    }
}

fn size(fields: &NativeFields<'_>) -> [usize; 2] {
    [fields.shape.h, fields.shape.w]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be 0 to 64"
)]
fn distance(parameters: &[f64]) -> usize {
    parameters[2 * CURVE_PARAMETERS].round() as usize
}

/// 1 at the pixels of a target plane that have another class beside them.
fn edges_of_target(fields: &NativeFields<'_>, first: usize) -> Vec<f64> {
    let plane = &fields.y[first..first + fields.pixels()];
    let lowest = strongest(plane, size(fields), 1, |a, b| a < b);
    let edge = |i: usize| f64::from(u8::from(plane[i] >= 1.0 && plane[lowest[i]] < 1.0));
    (0..plane.len()).map(edge).collect()
}

/// The largest element within the distance of each pixel.
fn dilated(plane: &[f64], size: [usize; 2], distance: usize) -> Vec<f64> {
    let largest = strongest(plane, size, distance, |a, b| a > b);
    largest.into_iter().map(|from| plane[from]).collect()
}
