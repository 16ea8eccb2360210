//! Overlaps of the predictions and targets of one image and category.

use super::annotations::Target;
use super::keypoints;
use super::region::{BBox, Region};
use super::results::Prediction;

/// The least overlap that any threshold accepts.
const LEAST: f64 = 0.5;

/// For each prediction, the targets that overlap with it by one half or more, with
/// the overlap.
///
/// pycocotools takes NaN for a match, and any later target for a better one. So all
/// targets are listed where an overlap is NaN.
#[derive(Default)]
pub(super) struct Overlaps {
    pairs: Vec<(usize, f64)>,
    /// Where the pairs of each prediction end.
    ends: Vec<usize>,
    /// Overlaps of one prediction with all targets.
    all: Vec<(usize, f64)>,
}

impl Overlaps {
    /// Computes the overlaps; `sigmas` are those of the category's keypoints.
    pub(super) fn compute(
        &mut self,
        predictions: &[&Prediction],
        targets: &[&Target],
        sigmas: &[f64],
    ) {
        self.pairs.clear();
        self.ends.clear();
        if targets.is_empty() {
            self.ends.resize(predictions.len(), 0);
            return;
        }
        let targets: Vec<Prepared> = targets.iter().map(|t| Prepared::of(&t.region, t)).collect();
        for prediction in predictions {
            let extent = extent(&prediction.region);
            let overlaps = targets
                .iter()
                .map(|t| t.overlap(&prediction.region, extent, sigmas));
            self.all.clear();
            self.all.extend(overlaps.enumerate());
            let any_nan = self.all.iter().any(|(_, overlap)| overlap.is_nan());
            let counts = |&&(_, overlap): &&(usize, f64)| any_nan || overlap >= LEAST;
            self.pairs.extend(self.all.iter().filter(counts));
            self.ends.push(self.pairs.len());
        }
    }

    /// The overlaps of a prediction, in the order of the targets.
    pub(super) fn of(&self, prediction: usize) -> &[(usize, f64)] {
        let start = match prediction {
            0 => 0,
            later => self.ends[later - 1],
        };
        &self.pairs[start..self.ends[prediction]]
    }
}

/// A target with its extent, which every comparison needs.
struct Prepared<'a> {
    target: &'a Target,
    extent: [u32; 4],
}

/// The extent of a mask; nothing for other regions.
fn extent(region: &Region) -> [u32; 4] {
    match region {
        Region::Mask(mask) => mask.extent(),
        Region::Box(_) | Region::Keypoints { .. } => [0; 4],
    }
}

impl<'a> Prepared<'a> {
    fn of(region: &Region, target: &'a Target) -> Self {
        Self {
            target,
            extent: extent(region),
        }
    }

    fn overlap(&self, prediction: &Region, extent: [u32; 4], sigmas: &[f64]) -> f64 {
        let crowd = self.target.crowd;
        match (prediction, &self.target.region) {
            (Region::Box(ours), Region::Box(theirs)) => box_iou(*ours, *theirs, crowd),
            (Region::Mask(ours), Region::Mask(theirs)) => {
                ours.iou_from_half(theirs, crowd, [extent, self.extent])
            }
            (Region::Keypoints { points: ours, .. }, Region::Keypoints { points, bbox }) => {
                keypoints::similarity(ours, points, *bbox, self.target.area, sigmas)
            }
            // Regions of two kinds do not overlap.
            (Region::Box(_) | Region::Mask(_) | Region::Keypoints { .. }, _) => 0.0,
        }
    }
}

/// Intersection over union; with a crowd, the share of `ours` in the crowd.
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
