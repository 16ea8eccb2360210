//! Trained losses with their scores, from which predictions are made.

use std::sync::Arc;

use statrs::statistics::Statistics;

use crate::screening::Signature;

/// Trained losses of this run that predictions are made from, the newest ones: the work grows with the cube
/// of their number.
pub(super) const KEPT: usize = 400;

/// Trained losses of an earlier run that predictions are made from, the newest ones, too.
pub(super) const KEPT_EARLIER: usize = 200;

/// A loss with its score.
#[derive(Clone)]
pub(super) struct Observation {
    /// Number of its candidate; `None` for losses of an earlier run, and for those in training.
    pub(super) id: Option<u64>,
    pub(super) signature: Arc<Signature>,
    pub(super) score: f64,
    /// Trainings that the score is the mean of; a part of one counts as that part.
    pub(super) trainings: f64,
}

/// Trained losses with their scores: those of an earlier run first.
#[derive(Clone, Default)]
pub(crate) struct Predictor {
    pub(super) observations: Vec<Observation>,
    /// Number of losses of an earlier run.
    pub(super) earlier: usize,
    /// Distances of each loss to those before it, branch by branch.
    pub(super) distances: Vec<Vec<f64>>,
}

impl Predictor {
    /// A predictor that knows the losses of an earlier run, the oldest first, with their scores.
    pub(crate) fn after(earlier: impl IntoIterator<Item = (Arc<Signature>, f64)>) -> Self {
        let mut all: Vec<_> = earlier.into_iter().collect();
        let newest = all.split_off(all.len().saturating_sub(KEPT_EARLIER));
        let mut predictor = Self::default();
        for (signature, score) in newest {
            predictor.push(Observation {
                id: None,
                signature,
                score,
                trainings: 1.0,
            });
        }
        predictor.earlier = predictor.observations.len();
        predictor
    }

    /// Learns the score of a candidate and the number of its trainings, a part of one where it was ended early.
    pub(crate) fn add(&mut self, id: u64, signature: Arc<Signature>, score: f64, trainings: f64) {
        self.push(Observation {
            id: Some(id),
            signature,
            score,
            trainings,
        });
        if self.observations.len() > self.earlier + KEPT {
            self.forget(self.earlier);
        }
    }

    /// The predictor that knows, of the losses of this run, some alone.
    pub(crate) fn only(&self, knows: impl Fn(u64) -> bool) -> Self {
        let is_kept = |known: &Observation| known.id.is_none_or(&knows);
        let places: Vec<usize> = (0..self.observations.len())
            .filter(|place| is_kept(&self.observations[*place]))
            .collect();
        let branches = self.branches();
        let row = |end: usize| {
            let kept = places[..end].iter();
            let row = &self.distances[places[end]];
            kept.flat_map(|place| &row[place * branches..(place + 1) * branches])
                .copied()
                .collect()
        };
        Self {
            observations: places
                .iter()
                .map(|p| self.observations[*p].clone())
                .collect(),
            earlier: self.earlier,
            distances: (0..places.len()).map(row).collect(),
        }
    }

    /// Learns the mean score of a candidate that was trained again.
    pub(crate) fn correct(&mut self, id: u64, mean: f64, trainings: f64) {
        let mut known = self.observations.iter_mut();
        if let Some(known) = known.find(|known| known.id == Some(id)) {
            (known.score, known.trainings) = (mean, trainings);
        }
    }

    /// Adds a loss in training, if this run has a score.
    pub(super) fn expect(&mut self, signature: Arc<Signature>) {
        let own = self.observations[self.earlier..].iter();
        let mut scores: Vec<f64> = own.map(|known| known.score).collect();
        scores.sort_by(f64::total_cmp);
        if let Some(median) = scores.get(scores.len() / 2) {
            self.push(Observation {
                id: None,
                signature,
                score: *median,
                trainings: 1.0,
            });
        }
    }

    fn push(&mut self, new: Observation) {
        let known = self.observations.iter();
        let distances = known.flat_map(|known| new.signature.distances(&known.signature));
        self.distances.push(distances.collect());
        self.observations.push(new);
    }

    /// Forgets one loss.
    fn forget(&mut self, place: usize) {
        let branches = self.branches();
        self.observations.remove(place);
        self.distances.remove(place);
        for row in &mut self.distances[place..] {
            row.drain(place * branches..(place + 1) * branches);
        }
    }

    pub(super) fn branches(&self) -> usize {
        let first = self.observations.first();
        first.map_or(0, |first| first.signature.branches())
    }

    /// The scores as the process takes them, those of an earlier run among themselves.
    pub(super) fn targets(&self) -> Vec<f64> {
        let scores: Vec<f64> = self.observations.iter().map(|known| known.score).collect();
        let (earlier, own) = scores.split_at(self.earlier);
        let mut targets = standardised(earlier);
        targets.extend(standardised(own));
        targets
    }
}

/// Scores with mean 0 and standard deviation 1, once those far below the others are raised: how badly a loss fails
/// tells nothing of good ones. The lowest that is left is the lower quartile, or twice as far below the median as
/// the best is above it, whichever is higher. Zeros where all scores are equal then.
///
/// Ranks would tell relatives of the leading loss apart as if their differences were as large as those between
/// losses of other kinds, and the search would stay with them.
pub(super) fn standardised(scores: &[f64]) -> Vec<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(best) = sorted.last() else {
        return Vec::new();
    };
    let (quartile, median) = (
        sorted[(sorted.len() - 1) / 4],
        sorted[(sorted.len() - 1) / 2],
    );
    let lowest = quartile.max(3.0 * median - 2.0 * best);
    let raised: Vec<f64> = scores.iter().map(|score| score.max(lowest)).collect();
    let mean = raised.as_slice().mean();
    let deviation = raised.as_slice().population_std_dev();
    // Else what is left are differences of rounding.
    let is_spread = deviation > 1e-9 * best.abs().max(lowest.abs());
    let unit = if is_spread { deviation } else { f64::INFINITY };
    raised.iter().map(|score| (score - mean) / unit).collect()
}
