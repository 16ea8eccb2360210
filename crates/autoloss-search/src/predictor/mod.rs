//! Prediction of a loss's score before it is trained: a Gaussian process over the directions in which losses
//! pull predictions. (ours; regression as in Rasmussen and Williams 2006, expected improvement as in Jones,
//! Schonlau and Welch 1998)
//!
//! Scores enter standardised, those far below the others raised: metrics differ in scale, and failures are many.

mod observations;
mod process;

use std::sync::Arc;

pub(crate) use observations::Predictor;
pub(crate) use process::Process;

use crate::screening::Signature;

impl Predictor {
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
}

#[cfg(test)]
mod tests {
    use super::observations::{KEPT, KEPT_EARLIER, standardised};
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
    fn scores_count_in_any_unit_and_failures_no_more_than_needed() {
        let scores = [0.0, 0.31, 0.1, 0.35, 0.3, 0.36, 0.2, 0.33];
        let targets = standardised(&scores);
        assert!(targets.iter().sum::<f64>().abs() < 1e-12);
        assert!(targets[5] > targets[3] && targets[3] > targets[6]);
        // Of eight the lowest quarter is one value.
        assert_eq!(targets[0], targets[2]);
        for (other, target) in standardised(&scores.map(|x| 7.0 - 0.1 * (2.0 - x)))
            .iter()
            .zip(&targets)
        {
            assert!((other - target).abs() < 1e-9);
        }
        let failed = standardised(&scores.map(|x| if x == 0.0 { -1e9 } else { x }));
        assert_eq!(failed, targets);
        // More failures than a quarter: the others are still told apart.
        let many = standardised(&[-1e9, 0.31, -1e8, 0.35, -1e9, 0.36, 0.3]);
        assert!(many[5] - many[6] > 0.1, "{many:?}");
        assert_eq!(standardised(&[5.0, 5.0]), [0.0, 0.0]);
        assert!(standardised(&[]).is_empty());
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
    fn a_part_of_the_losses_predicts_as_if_there_were_no_others() {
        let both = |x: f64| {
            let direction = |x: f64| [x.cos() as f32, x.sin() as f32];
            let (one, other) = (direction(x), direction(3.0 * x));
            Arc::new(Signature::of_directions(&[&one, &other]))
        };
        let earlier = || (0..3).map(|n| (both(0.1 + f64::from(n)), f64::from(n)));
        let (mut all, mut odd) = (Predictor::after(earlier()), Predictor::after(earlier()));
        for n in 0..12_u32 {
            let (signature, score) = (both(f64::from(n) / 12.0), f64::from(n % 5));
            if n % 2 == 1 {
                odd.add(n.into(), signature.clone(), score, 1.0);
            }
            all.add(n.into(), signature, score, 1.0);
        }
        let part = all.only(|id| id % 2 == 1);
        assert_eq!((part.earlier, part.branches()), (3, 2));
        assert_eq!(part.distances, odd.distances);
        assert_eq!(part.targets(), odd.targets());
    }

    #[test]
    fn a_corrected_score_replaces_the_first() {
        let mut predictor = trained(|x| x, 5);
        predictor.correct(4, -1.0, 3.0);
        predictor.correct(17, 9.0, 3.0);
        let targets = predictor.targets();
        assert!(targets[4] < targets[2]);
        assert_eq!(predictor.observations[4].trainings, 3.0);
    }
}
