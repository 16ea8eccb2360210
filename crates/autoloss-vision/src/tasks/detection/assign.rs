//! Assignment of objects to anchors and proposals, and the random sample of both for an update.

use autoloss_boxes::{area, iou, overlap};
use autoloss_data::Corners;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// The object assigned to a reference box (an anchor or a proposal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Number of the object.
    Object(usize),
    /// No object.
    Background,
    /// The box takes no part: between the thresholds, or in a crowd.
    Ignored,
}

/// Thresholds of the intersection over union of a reference box with its object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matching {
    /// The box is to find the object from this value on.
    pub(super) positive: f32,
    /// The box is to find nothing below this value; between the two it takes no part.
    pub(super) negative: f32,
    /// Lets the boxes that fit an object best find it whatever the overlap.
    pub(super) best: bool,
}

/// The share of a box in a crowd above which it takes no part.
const IN_CROWD: f32 = 0.5;

/// The object that each reference box overlaps most, if the thresholds let it find one.
pub(super) fn assign(
    references: &[Corners],
    objects: &[Corners],
    crowds: &[Corners],
    rule: Matching,
) -> Vec<Match> {
    let mut best_of_object = vec![0.0_f32; objects.len()];
    let mut nearest = Vec::with_capacity(references.len());
    for reference in references {
        let mut best = (0, 0.0);
        for (number, object) in objects.iter().enumerate() {
            let overlap = iou(*reference, *object);
            if overlap > best.1 {
                best = (number, overlap);
            }
            best_of_object[number] = best_of_object[number].max(overlap);
        }
        nearest.push(best);
    }
    let fits_best = |reference: &Corners| {
        let mut objects = objects.iter().zip(&best_of_object);
        objects.any(|(object, best)| *best > 0.0 && iou(*reference, *object) == *best)
    };
    let of = |(reference, &(number, overlap)): (&Corners, &(usize, f32))| {
        if overlap > 0.0 && (overlap >= rule.positive || rule.best && fits_best(reference)) {
            return Match::Object(number);
        }
        let in_crowd = |crowd: &Corners| overlap_share(*reference, *crowd) > IN_CROWD;
        match overlap < rule.negative && !crowds.iter().any(in_crowd) {
            true => Match::Background,
            false => Match::Ignored,
        }
    };
    references.iter().zip(&nearest).map(of).collect()
}

/// The share of `inner` that lies in `outer`.
fn overlap_share(inner: Corners, outer: Corners) -> f32 {
    let own = area(inner);
    match own > 0.0 {
        true => overlap(inner, outer).intersection / own,
        false => 0.0,
    }
}

/// A random choice of at most `count` references, at most that `share` of them with an object; in
/// rising order. Where objects are fewer, background fills up.
pub(super) fn sample(
    matches: &[Match],
    count: usize,
    share: f32,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let places = |wanted: fn(&Match) -> bool| -> Vec<usize> {
        let places = matches.iter().enumerate();
        places.filter(|(_, m)| wanted(m)).map(|(i, _)| i).collect()
    };
    let with_object = places(|m| matches!(m, Match::Object(_)));
    let without = places(|m| *m == Match::Background);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small count"
    )]
    let most = (count as f32 * share) as usize;
    let mut chosen = choose(&with_object, most, rng);
    let rest = count - chosen.len();
    chosen.extend(choose(&without, rest, rng));
    chosen.sort_unstable();
    chosen
}

fn choose(places: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let chosen = index::sample(rng, places.len(), count.min(places.len()));
    chosen.into_iter().map(|i| places[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    const RULE: Matching = Matching {
        positive: 0.7,
        negative: 0.3,
        best: true,
    };

    #[test]
    fn references_find_the_object_they_overlap_most() {
        let objects = [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]];
        let references = [
            [0.0, 0.0, 10.0, 9.0],
            // Half of the second object, which no other overlaps more.
            [20.0, 0.0, 30.0, 5.0],
            [0.0, 0.0, 10.0, 5.0],
            [50.0, 50.0, 60.0, 60.0],
            [40.0, 40.0, 44.0, 44.0],
        ];
        let crowds = [[38.0, 38.0, 43.0, 45.0]];
        let found = assign(&references, &objects, &crowds, RULE);
        let want = [
            Match::Object(0),
            Match::Object(1),
            Match::Ignored,
            Match::Background,
            Match::Ignored,
        ];
        assert_eq!(found, want);
        let plain = Matching {
            best: false,
            ..RULE
        };
        assert_eq!(assign(&references, &objects, &[], plain)[1], Match::Ignored);
        assert_eq!(assign(&references, &[], &[], RULE), [Match::Background; 5]);
    }

    #[test]
    fn samples_keep_the_share_and_fill_up() {
        let mut matches = vec![Match::Object(0); 10];
        matches.extend([Match::Ignored; 10]);
        matches.extend([Match::Background; 100]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let chosen = sample(&matches, 16, 0.25, &mut rng);
        assert_eq!(chosen.len(), 16);
        assert_eq!(chosen.iter().filter(|i| **i < 10).count(), 4);
        assert!(chosen.iter().all(|i| !(10..20).contains(i)));
        assert!(chosen.is_sorted_by(|a, b| a < b));
        let again = sample(&matches, 16, 0.25, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(chosen, again);
        assert_eq!(sample(&matches, 1000, 0.9, &mut rng).len(), 110);
        assert!(sample(&[], 16, 0.5, &mut rng).is_empty());
    }
}
