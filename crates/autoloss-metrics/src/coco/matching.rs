//! Matching of the predictions of one image and category with its targets.

use super::annotations::Target;
use super::overlap::Overlaps;
use super::results::Prediction;
use super::rules::{AREAS, Rules, THRESHOLDS};

/// Outcome of a prediction, a bit a threshold, for each range of area.
#[derive(Debug, Clone)]
pub(super) struct Match {
    /// Place among predictions: the lower, the surer.
    pub(super) order: u64,
    /// Number of surer predictions of the image and category.
    pub(super) rank: usize,
    /// The thresholds at which the prediction is right.
    pub(super) right: [u16; AREAS],
    /// The thresholds at which the prediction is wrong; at others it does not count.
    pub(super) wrong: [u16; AREAS],
}

/// A bit for every threshold.
const ALL: u16 = (1 << THRESHOLDS) - 1;

/// Matching of image after image in the same working memory.
pub(super) struct Matcher<'a> {
    rules: &'a Rules,
    /// Sigmas of the category's keypoints.
    sigmas: &'a [f64],
    overlaps: Overlaps,
    /// The thresholds at which each target has a match.
    taken: Vec<u16>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(rules: &'a Rules, sigmas: &'a [f64]) -> Self {
        Self {
            rules,
            sigmas,
            overlaps: Overlaps::default(),
            taken: Vec::new(),
        }
    }

    /// Adds the outcomes of the surest predictions of an image and category to `matches`, and the number
    /// of targets to find to `to_find`. Returns the number of predictions beyond the limit.
    pub(super) fn add(
        &mut self,
        targets: &[&Target],
        predictions: &mut Vec<&Prediction>,
        matches: &mut Vec<Match>,
        to_find: &mut [u64; AREAS],
    ) -> usize {
        predictions.sort_by_key(|prediction| order(prediction.score));
        let most = self.rules.most_predictions();
        let beyond = predictions.len().saturating_sub(most);
        predictions.truncate(most);
        self.overlaps.compute(predictions, targets, self.sigmas);
        let first = matches.len();
        let unmatched = |(rank, prediction): (usize, &&Prediction)| Match {
            order: order(prediction.score),
            rank,
            right: [0; AREAS],
            wrong: [0; AREAS],
        };
        matches.extend(predictions.iter().enumerate().map(unmatched));
        for (area, range) in self.rules.areas.iter().enumerate() {
            let outside = |size: f64| size < range.from || size > range.to;
            let ignored: Vec<bool> = targets
                .iter()
                .map(|target| target.crowd || target.ignored || outside(target.area))
                .collect();
            to_find[area] += ignored.iter().filter(|&&ignored| !ignored).count() as u64;
            self.taken.clear();
            self.taken.resize(targets.len(), 0);
            for (rank, prediction) in predictions.iter().enumerate() {
                let found = self.find(rank, targets, &ignored);
                let lost = match outside(prediction.area) {
                    true => ALL & !found.matched,
                    false => 0,
                };
                let counts = ALL & !found.ignored & !lost;
                let entry = &mut matches[first + rank];
                entry.right[area] = found.matched & counts;
                entry.wrong[area] = !found.matched & counts;
            }
        }
        beyond
    }

    /// Matches a prediction at each threshold.
    fn find(&mut self, prediction: usize, targets: &[&Target], ignored: &[bool]) -> Found {
        let mut found = Found::default();
        let pairs = self.overlaps.of(prediction);
        if pairs.is_empty() {
            return found;
        }
        for (index, &threshold) in self.rules.thresholds.iter().enumerate() {
            let bit = 1 << index;
            let taken = &self.taken;
            let best = |among_ignored: bool| {
                let free = pairs.iter().filter(|&&(target, _)| {
                    ignored[target] == among_ignored
                        && (taken[target] & bit == 0 || targets[target].crowd)
                });
                best_of(free, threshold)
            };
            // An ignored target is matched only if there is no other.
            let Some(target) = best(false).or_else(|| best(true)) else {
                continue;
            };
            self.taken[target] |= bit;
            if ignored[target] {
                found.ignored |= bit;
            }
            found.matched |= bit;
        }
        found
    }
}

/// Outcome of a prediction in a range of area, a bit a threshold.
#[derive(Default)]
struct Found {
    /// The prediction has a match.
    matched: u16,
    /// The match is with a target that is ignored.
    ignored: u16,
}

/// The pair with the largest overlap of at least `threshold`, the last of equals.
///
/// As in pycocotools, NaN is larger than all numbers.
fn best_of<'p>(pairs: impl Iterator<Item = &'p (usize, f64)>, threshold: f64) -> Option<usize> {
    let mut best = None;
    let mut least = threshold;
    for &(target, overlap) in pairs {
        let less = overlap < least;
        if !less {
            least = overlap;
            best = Some(target);
        }
    }
    best
}

/// A number that is lower the higher the score; NaN has the highest.
fn order(score: f64) -> u64 {
    if score.is_nan() {
        return u64::MAX;
    }
    // Both zeros are the same; adding 0 makes −0 to 0.
    let bits = (-score + 0.0).to_bits();
    let negative = bits >> 63 == 1;
    if negative { !bits } else { bits | 1 << 63 }
}
