//! Prediction of a loss's score before it is trained: a Gaussian process over the directions in which losses
//! pull predictions. (ours; regression as in Rasmussen and Williams 2006, expected improvement as in Jones,
//! Schonlau and Welch 1998)
//!
//! Scores enter by their rank, as normal scores: metrics differ in scale, and failures are many.

mod process;

use std::sync::Arc;

use statrs::distribution::{ContinuousCDF, Normal};

use crate::screening::Signature;

pub(crate) use process::Process;

/// Trained losses of this run that predictions are made from, the newest ones: the work grows with the cube
/// of their number.
const KEPT: usize = 400;

/// The same of an earlier run, the newest ones too.
const KEPT_EARLIER: usize = 200;

/// A loss with its score.
#[derive(Clone)]
struct Observation {
    /// Number of its candidate; `None` for losses of an earlier run, and for those in training.
    id: Option<u64>,
    signature: Arc<Signature>,
    score: f64,
    /// Trainings that the score is the mean of; a part of one counts as that part.
    trainings: f64,
}

/// Trained losses with their scores: those of an earlier run first.
#[derive(Clone, Default)]
pub(crate) struct Predictor {
    observations: Vec<Observation>,
    /// Number of losses of an earlier run.
    earlier: usize,
    /// Of each loss the distances to those before it, branch by branch.
    distances: Vec<Vec<f64>>,
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

    /// Learns the score of a candidate, from so many trainings; from a part of one where it was ended early.
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

    /// Learns the mean score of a candidate that was trained again.
    pub(crate) fn correct(&mut self, id: u64, mean: f64, trainings: f64) {
        let mut known = self.observations.iter_mut();
        if let Some(known) = known.find(|known| known.id == Some(id)) {
            (known.score, known.trainings) = (mean, trainings);
        }
    }

    /// The process that explains the scores best; `None` before the first score. Losses in training count as if
    /// they scored as most of this run, so that their like promises less meanwhile.
    pub(crate) fn fit(&self, in_training: &[Arc<Signature>]) -> Option<Process> {
        let process = Process::fit(self)?;
        if in_training.is_empty() {
            return Some(process);
        }
        let mut expecting = self.clone();
        for signature in in_training {
            expecting.expect(signature.clone());
        }
        process.given(&expecting)
    }

    /// Adds a loss in training, if this run has a score.
    fn expect(&mut self, signature: Arc<Signature>) {
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

    fn branches(&self) -> usize {
        let first = self.observations.first();
        first.map_or(0, |first| first.signature.branches())
    }

    /// The normal scores, of an earlier run among themselves.
    fn targets(&self) -> Vec<f64> {
        let scores: Vec<f64> = self.observations.iter().map(|known| known.score).collect();
        let (earlier, own) = scores.split_at(self.earlier);
        let mut targets = normal_scores(earlier);
        targets.extend(normal_scores(own));
        targets
    }
}

/// Values of numbers of those ranks if they were normally distributed; equal ones share a rank.
fn normal_scores(numbers: &[f64]) -> Vec<f64> {
    let count = numbers.len() as f64;
    let normal = Normal::standard();
    let score = |x: &f64| {
        let below = numbers.iter().filter(|other| *other < x).count() as f64;
        let equal = numbers.iter().filter(|other| *other == x).count() as f64;
        normal.inverse_cdf((below + 0.5 * equal) / count)
    };
    numbers.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses along a line: near each other where the numbers are.
    pub(super) fn along(x: f64) -> Arc<Signature> {
        #[expect(clippy::cast_possible_truncation, reason = "single precision will do")]
        let direction = [x.cos() as f32, x.sin() as f32];
        Arc::new(Signature::of_directions(&[&direction]))
    }

    pub(super) fn trained(score: impl Fn(f64) -> f64, count: u32) -> Predictor {
        let mut predictor = Predictor::default();
        for n in 0..count {
            let x = f64::from(n) / f64::from(count);
            predictor.add(u64::from(n), along(x), score(x), 1.0);
        }
        predictor
    }

    #[test]
    fn what_is_like_a_loss_in_training_promises_less() {
        let predictor = trained(|x| -(x - 0.7).abs(), 20);
        let promise = |in_training: &[_]| {
            let process = predictor.fit(in_training).unwrap();
            process.expected_improvement(&along(0.73))
        };
        let (before, after) = (promise(&[]), promise(&[along(0.73)]));
        assert!(after < 0.5 * before, "{after} after {before}");
        assert!(Predictor::default().fit(&[along(0.1)]).is_none());
    }

    #[test]
    fn scores_count_by_their_rank() {
        let normal = normal_scores(&[0.0, 1e9, 0.0, 0.1]);
        assert_eq!(normal[0], normal[2]);
        assert!(normal[0] < normal[3] && normal[3] < normal[1] && normal[1] < 2.0);
        assert!(normal_scores(&[5.0])[0].abs() < 1e-12);
    }

    #[test]
    fn only_the_newest_are_kept_and_their_distances_stay_right() {
        let earlier = (0..KEPT_EARLIER + 2).map(|n| (along(n as f64 / 300.0), 0.0));
        let mut predictor = Predictor::after(earlier);
        assert_eq!(predictor.observations.len(), KEPT_EARLIER);
        for n in 0..KEPT as u64 + 3 {
            predictor.add(n, along(n as f64 / 500.0), 0.0, 1.0);
        }
        assert_eq!(predictor.observations.len(), KEPT_EARLIER + KEPT);
        assert_eq!(predictor.observations[KEPT_EARLIER].id, Some(3));
        let signature = |n: usize| &predictor.observations[n].signature;
        for (n, row) in predictor.distances.iter().enumerate() {
            assert_eq!(row.len(), n);
            // Some of them: computing all once more takes a while.
            for (other, distance) in row.iter().enumerate().skip(n % 29).step_by(29) {
                assert_eq!(
                    *distance,
                    signature(n).distances(signature(other)).next().unwrap()
                );
            }
        }
    }

    #[test]
    fn a_corrected_score_replaces_the_first() {
        let mut predictor = trained(|x| x, 5);
        predictor.correct(4, -1.0, 3.0);
        predictor.correct(17, 9.0, 3.0);
        let targets = predictor.targets();
        assert!(targets[4] < targets[0]);
        assert_eq!(predictor.observations[4].trainings, 3.0);
    }
}
