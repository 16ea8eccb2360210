//! How much predictions and targets of one image and category overlap.

use super::annotations::Target;
use super::results::Prediction;
use super::{BBox, KEYPOINTS, Shape};

/// The least overlap that any threshold accepts.
const LEAST: f64 = 0.5;

/// For each prediction, the targets that overlap with it by one half or more, and
/// by how much.
///
/// pycocotools takes NaN for a match, and then takes any later target for a better
/// one: where there is NaN, all targets are here.
#[derive(Default)]
pub(super) struct Overlaps {
    pairs: Vec<(usize, f64)>,
    /// Where the pairs of each prediction end.
    ends: Vec<usize>,
    /// All of one prediction.
    all: Vec<(usize, f64)>,
}

impl Overlaps {
    /// Computes all anew.
    pub(super) fn compute(&mut self, predictions: &[&Prediction], targets: &[&Target]) {
        self.pairs.clear();
        self.ends.clear();
        if targets.is_empty() {
            self.ends.resize(predictions.len(), 0);
            return;
        }
        let targets: Vec<Prepared> = targets.iter().map(|t| Prepared::of(&t.shape, t)).collect();
        for prediction in predictions {
            let extent = extent(&prediction.shape);
            let overlaps = targets.iter().map(|t| t.overlap(&prediction.shape, extent));
            self.all.clear();
            self.all.extend(overlaps.enumerate());
            let any_nan = self.all.iter().any(|(_, overlap)| overlap.is_nan());
            let counts = |&&(_, overlap): &&(usize, f64)| any_nan || overlap >= LEAST;
            self.pairs.extend(self.all.iter().filter(counts));
            self.ends.push(self.pairs.len());
        }
    }

    /// Those of a prediction, in the order of the targets.
    pub(super) fn of(&self, prediction: usize) -> &[(usize, f64)] {
        let start = match prediction {
            0 => 0,
            later => self.ends[later - 1],
        };
        &self.pairs[start..self.ends[prediction]]
    }
}

/// A target, with what every comparison with it needs.
struct Prepared<'a> {
    target: &'a Target,
    extent: [u32; 4],
}

/// The extent of a mask.
fn extent(shape: &Shape) -> [u32; 4] {
    match shape {
        Shape::Mask(mask) => mask.extent(),
        Shape::Box(_) | Shape::Keypoints { .. } => [0; 4],
    }
}

impl<'a> Prepared<'a> {
    fn of(shape: &Shape, target: &'a Target) -> Self {
        Self {
            target,
            extent: extent(shape),
        }
    }

    fn overlap(&self, prediction: &Shape, extent: [u32; 4]) -> f64 {
        let crowd = self.target.crowd;
        match (prediction, &self.target.shape) {
            (Shape::Box(ours), Shape::Box(theirs)) => box_iou(*ours, *theirs, crowd),
            (Shape::Mask(ours), Shape::Mask(theirs)) => {
                ours.iou_from_half(theirs, crowd, [extent, self.extent])
            }
            (Shape::Keypoints { points: ours, .. }, Shape::Keypoints { points, bbox }) => {
                keypoint_similarity(ours, points, *bbox, self.target.area)
            }
            // Shapes of two kinds have nothing in common.
            _ => 0.0,
        }
    }
}

/// Intersection over union; with a crowd, the share of `ours` in it.
fn box_iou(ours: BBox, theirs: BBox, crowd: bool) -> f64 {
    let side = |at: usize| {
        let end = (ours[at + 2] + ours[at]).min(theirs[at + 2] + theirs[at]);
        end - ours[at].max(theirs[at])
    };
    let (width, height) = (side(0), side(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let area = ours[2] * ours[3];
    let union = match crowd {
        true => area,
        false => area + theirs[2] * theirs[3] - intersection,
    };
    intersection / union
}

/// How far annotators place each keypoint apart, as a share of the object's size.
const SIGMAS: [f64; KEYPOINTS] = [
    0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89,
    0.89,
];

/// Object keypoint similarity: the mean over the labelled keypoints of
/// exp(−d² / 2 s² k²), with the distance d, the area s², and k twice the sigma.
///
/// Where no keypoint is labelled, it is the mean over all, and d the distance to
/// the box at twice its size.
fn keypoint_similarity(
    ours: &[[f64; 3]; KEYPOINTS],
    theirs: &[[f64; 3]; KEYPOINTS],
    bbox: BBox,
    area: f64,
) -> f64 {
    let any_labelled = theirs.iter().any(|point| point[2] > 0.0);
    // max(0, value), but NaN stays NaN.
    let beyond = |value: f64| if value < 0.0 { 0.0 } else { value };
    let offset = |index: usize, axis: usize| {
        let at = ours[index][axis];
        if any_labelled {
            return at - theirs[index][axis];
        }
        let (start, size) = (bbox[axis], bbox[axis + 2]);
        beyond(start - size - at) + beyond(at - (start + size * 2.0))
    };
    let mut terms = [0.0; KEYPOINTS];
    let mut count = 0;
    for (index, target) in theirs.iter().enumerate() {
        let labelled = target[2] > 0.0;
        if any_labelled && !labelled {
            continue;
        }
        let (dx, dy) = (offset(index, 0), offset(index, 1));
        let spread = SIGMAS[index] / 10.0 * 2.0;
        let exponent = (dx * dx + dy * dy) / (spread * spread) / (area + f64::EPSILON) / 2.0;
        terms[count] = (-exponent).exp();
        count += 1;
    }
    sum(&terms[..count]) / count as f64
}

/// The sum in the order of additions that numpy takes for up to 17 terms, so
/// that equal overlaps stay equal.
fn sum(terms: &[f64]) -> f64 {
    let (blocks, rest) = terms.as_chunks::<8>();
    let mut blocks = blocks.iter();
    let Some(first) = blocks.next() else {
        return rest.iter().sum();
    };
    let mut sums = *first;
    for block in blocks {
        for (sum, term) in sums.iter_mut().zip(block) {
            *sum += term;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |total, term| total + term)
}
