//! Precision and recall of a category, from its matches.

use super::matching::Match;
use super::rules::{AREAS, LIMITS, Rules, THRESHOLDS};

/// Levels of recall at which precision is read: 0, 0.01, … 1.
pub(super) const LEVELS: usize = 101;

/// Precision and recall of a category in a range of area, for each threshold.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Sum of the precision over the levels of recall.
    pub(super) precision: [f64; THRESHOLDS],
    /// The highest recall, for each limit on the number of predictions.
    pub(super) recall: [[f64; THRESHOLDS]; LIMITS],
}

impl Curve {
    /// The mean precision over all thresholds and levels of recall.
    pub(super) fn ap(&self) -> f64 {
        self.precision.iter().sum::<f64>() / (THRESHOLDS * LEVELS) as f64
    }
}

/// The curves of a category from its matches, which come image by image; none
/// where there is no target to find.
pub(super) fn curves(
    matches: &[Match],
    to_find: &[u64; AREAS],
    rules: &Rules,
) -> [Option<Curve>; AREAS] {
    // The place makes the order of equal scores that of the images.
    let mut order: Vec<(u64, usize)> = matches.iter().map(|m| m.order).zip(0..).collect();
    order.sort_unstable();
    std::array::from_fn(|area| {
        let sorted = order.iter().map(|&(_, place)| &matches[place]);
        (to_find[area] > 0).then(|| curve(sorted, area, to_find[area] as f64, rules))
    })
}

fn curve<'m>(
    sorted: impl Iterator<Item = &'m Match>,
    area: usize,
    to_find: f64,
    rules: &Rules,
) -> Curve {
    // For each threshold, the number of wrong predictions before each right one.
    let mut wrong_before: [Vec<u32>; THRESHOLDS] = Default::default();
    let mut wrong = [0; THRESHOLDS];
    let mut wrong_at_all = 0;
    let mut right = [[0; THRESHOLDS]; LIMITS];
    for entry in sorted {
        let (right_at, wrong_at) = (entry.right[area], entry.wrong[area]);
        if right_at == 0 && wrong_at.count_ones() as usize == THRESHOLDS {
            wrong_at_all += 1;
            continue;
        }
        for threshold in 0..THRESHOLDS {
            if right_at >> threshold & 1 == 1 {
                wrong_before[threshold].push(wrong_at_all + wrong[threshold]);
                for (right, &limit) in right.iter_mut().zip(&rules.limits) {
                    right[threshold] += u32::from(entry.rank < limit);
                }
            }
            wrong[threshold] += u32::from(wrong_at >> threshold & 1);
        }
    }
    Curve {
        precision: wrong_before.map(|wrong| precision(&wrong, to_find)),
        recall: right.map(|counts| counts.map(|right| f64::from(right) / to_find)),
    }
}

/// The sum over the levels of recall of the highest precision at that recall or
/// more.
fn precision(wrong_before: &[u32], to_find: f64) -> f64 {
    let at = |place: usize| {
        let right = (place + 1) as f64;
        right / (f64::from(wrong_before[place]) + right + f64::EPSILON)
    };
    let mut level = LEVELS;
    let mut best = 0.0;
    let mut sum = 0.0;
    for place in (0..wrong_before.len()).rev() {
        // Levels beyond the recall here: a later place was the first to reach them.
        let recall = (place + 1) as f64 / to_find;
        while level > 0 && recall_level(level - 1) > recall {
            level -= 1;
            sum += best;
        }
        best = at(place).max(best);
    }
    sum + best * level as f64
}

fn recall_level(index: usize) -> f64 {
    match index {
        100 => 1.0,
        index => index as f64 * 0.01,
    }
}
