//! The score of a loss before it is trained, predicted from those of trained ones: a Gaussian process
//! over the directions in which losses pull predictions. (ours; regression and expected improvement
//! as in Jones, Schonlau and Welch 1998)
//!
//! Scores enter by their rank, as normal scores: metrics differ in scale, and failures are many.

use std::collections::VecDeque;
use std::sync::Arc;

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use crate::screening::Signature;

/// Trained losses that predictions are made from, the newest ones: the work grows with their cube.
const KEPT: usize = 400;

/// Candidates for the distance at which losses tell little of each other, for each branch.
const LENGTHS: [f64; 5] = [0.1, 0.2, 0.4, 0.8, 1.6];

/// Candidates for the share of a score's variance that is noise.
const NOISES: [f64; 3] = [0.02, 0.1, 0.3];

/// Trained losses with their scores.
#[derive(Clone, Default)]
pub(crate) struct Predictor {
    signatures: VecDeque<Arc<Signature>>,
    scores: VecDeque<f64>,
    /// Of each loss the distances to those before it.
    distances: VecDeque<Vec<f64>>,
}

impl Predictor {
    /// Learns of a training.
    pub(crate) fn add(&mut self, signature: Arc<Signature>, score: f64) {
        let known = self.signatures.iter();
        let distances = known.map(|other| signature.distance(other)).collect();
        self.distances.push_back(distances);
        self.signatures.push_back(signature);
        self.scores.push_back(score);
        if self.scores.len() > KEPT {
            self.signatures.pop_front();
            self.scores.pop_front();
            self.distances.pop_front();
            for row in &mut self.distances {
                row.remove(0);
            }
        }
    }

    /// Learns that a loss is being trained: as if it scored as most, so that what is like it promises
    /// less meanwhile. Nothing changes before the first score.
    pub(crate) fn expect(&mut self, signature: Arc<Signature>) {
        let mut scores: Vec<f64> = self.scores.iter().copied().collect();
        scores.sort_by(f64::total_cmp);
        if let Some(median) = scores.get(scores.len() / 2) {
            self.add(signature, *median);
        }
    }

    /// The process that explains the scores best; `None` before the first score.
    pub(crate) fn fit(&self) -> Option<Process> {
        let targets = normal_scores(&self.scores);
        let branches = self.signatures.front()?.branches() as f64;
        let choices = LENGTHS.iter().flat_map(|length| {
            let noises = NOISES.iter();
            noises.map(move |noise| (length * branches, *noise))
        });
        choices
            .filter_map(|(length, noise)| self.process(length, noise, &targets))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, process)| process)
    }

    /// The process with these parameters, after the logarithm of how likely it makes the scores; `None`
    /// where it cannot be computed.
    fn process(&self, length: f64, noise: f64, targets: &[f64]) -> Option<(f64, Process)> {
        let covariance = self.distances.iter().map(|row| {
            let mut row: Vec<f64> = row.iter().map(|d| kernel(*d, length, noise)).collect();
            row.push(1.0);
            row
        });
        let factor = cholesky(covariance.collect())?;
        let half = forward(&factor, targets);
        let logs: f64 = factor
            .iter()
            .flat_map(|row| row.last())
            .map(|d| d.ln())
            .sum();
        let likelihood = -0.5 * half.iter().map(|x| x * x).sum::<f64>() - logs;
        let process = Process {
            signatures: self.signatures.iter().cloned().collect(),
            best: targets.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            factor,
            half,
            length,
            noise,
        };
        Some((likelihood, process))
    }
}

/// What is thought of scores not seen, given those seen.
pub(crate) struct Process {
    signatures: Vec<Arc<Signature>>,
    /// The Cholesky factor of the scores' covariance, row by row.
    factor: Vec<Vec<f64>>,
    /// The scores divided by the factor.
    half: Vec<f64>,
    best: f64,
    length: f64,
    noise: f64,
}

impl Process {
    /// Mean and standard deviation of a loss's normal score.
    fn predict(&self, signature: &Signature) -> (f64, f64) {
        let known = self.signatures.iter();
        let covariance: Vec<f64> = known
            .map(|other| kernel(signature.distance(other), self.length, self.noise))
            .collect();
        let explained = forward(&self.factor, &covariance);
        let mean = explained.iter().zip(&self.half).map(|(a, b)| a * b).sum();
        let variance = 1.0 - self.noise - explained.iter().map(|x| x * x).sum::<f64>();
        (mean, variance.max(1e-12).sqrt())
    }

    /// By how much a loss is expected to be better than the best so far, if it is better.
    pub(crate) fn expected_improvement(&self, signature: &Signature) -> f64 {
        let (mean, deviation) = self.predict(signature);
        let gain = (mean - self.best) / deviation;
        let normal = Normal::standard();
        deviation * (gain * normal.cdf(gain) + normal.pdf(gain))
    }
}

/// Covariance of the scores of two losses.
fn kernel(distance: f64, length: f64, noise: f64) -> f64 {
    (1.0 - noise) * (-distance / length).exp()
}

/// What numbers of those ranks would be if they were normally distributed; equal ones share a rank.
fn normal_scores(numbers: &VecDeque<f64>) -> Vec<f64> {
    let count = numbers.len() as f64;
    let normal = Normal::standard();
    let score = |x: &f64| {
        let below = numbers.iter().filter(|other| *other < x).count() as f64;
        let equal = numbers.iter().filter(|other| *other == x).count() as f64;
        normal.inverse_cdf((below + 0.5 * equal) / count)
    };
    numbers.iter().map(score).collect()
}

/// The lower triangular factor of a matrix given by its lower triangle; `None` where it is not positive
/// definite.
fn cholesky(mut rows: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        for (j, other) in before.iter().enumerate() {
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let left = row[i] - dot(&row[..i], &row[..i]);
        if left.is_nan() || left <= 0.0 {
            return None;
        }
        row[i] = left.sqrt();
    }
    Some(rows)
}

/// Solves `factor · x = b`.
fn forward(factor: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = Vec::with_capacity(b.len());
    for (row, b) in factor.iter().zip(b) {
        let i = x.len();
        x.push((b - dot(&row[..i], &x)) / row[i]);
    }
    x
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (whole, rest) = a.as_chunks::<LANES>();
    let (other, other_rest) = b.as_chunks::<LANES>();
    for (a, b) in whole.iter().zip(other) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses along a line: near each other where the numbers are.
    fn along(x: f64) -> Arc<Signature> {
        #[expect(clippy::cast_possible_truncation, reason = "single precision will do")]
        let direction = [x.cos() as f32, x.sin() as f32];
        Arc::new(Signature::of_direction(&direction))
    }

    fn trained(score: impl Fn(f64) -> f64, count: u32) -> Predictor {
        let mut predictor = Predictor::default();
        for n in 0..count {
            let x = f64::from(n) / f64::from(count);
            predictor.add(along(x), score(x));
        }
        predictor
    }

    #[test]
    fn nothing_is_predicted_from_nothing() {
        assert!(Predictor::default().fit().is_none());
        let one = trained(|_| 0.5, 1).fit().unwrap();
        // What is like the only one is expected to score alike; what is not may be better.
        let alike = one.expected_improvement(&along(0.0));
        assert!(one.expected_improvement(&along(1.5)) > alike);
    }

    #[test]
    fn neighbours_of_good_ones_are_predicted_to_be_good() {
        let process = trained(|x| -(x - 0.7).abs(), 20).fit().unwrap();
        let mean = |x| process.predict(&along(x)).0;
        assert!(mean(0.72) > mean(0.4) && mean(0.4) > mean(0.12));
        let deviation = |x| process.predict(&along(x)).1;
        assert!(deviation(3.0) > deviation(0.51));
        let improvement = |x| process.expected_improvement(&along(x));
        assert!(improvement(0.72) > improvement(0.12));
    }

    #[test]
    fn what_is_like_a_loss_in_training_promises_less() {
        let mut predictor = trained(|x| -(x - 0.7).abs(), 20);
        let promise = |predictor: &Predictor| {
            let process = predictor.fit().unwrap();
            process.expected_improvement(&along(0.73))
        };
        let before = promise(&predictor);
        predictor.expect(along(0.73));
        assert!(promise(&predictor) < 0.5 * before);
        let mut empty = Predictor::default();
        empty.expect(along(0.1));
        assert!(empty.fit().is_none());
    }

    #[test]
    fn scores_count_by_their_rank() {
        let scores: VecDeque<f64> = [0.0, 1e9, 0.0, 0.1].into();
        let normal = normal_scores(&scores);
        assert_eq!(normal[0], normal[2]);
        assert!(normal[0] < normal[3] && normal[3] < normal[1] && normal[1] < 2.0);
        assert!(normal_scores(&[5.0].into())[0].abs() < 1e-12);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let predictor = trained(|x| x, KEPT as u32 + 3);
        assert_eq!(predictor.scores.len(), KEPT);
        assert!(
            predictor
                .distances
                .iter()
                .enumerate()
                .all(|(n, row)| row.len() == n)
        );
    }

    #[test]
    fn the_factor_multiplies_back() {
        let matrix = [[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]];
        let rows = (0..3).map(|i| matrix[i][..=i].to_vec()).collect();
        let factor = cholesky(rows).unwrap();
        for (i, row) in factor.iter().enumerate() {
            for j in 0..=i {
                let product = dot(&row[..=j], &factor[j]);
                assert!((product - matrix[i][j]).abs() < 1e-12);
            }
        }
        let b = [1.0, 2.0, 3.0];
        let x = forward(&factor, &b);
        for (row, b) in factor.iter().zip(b) {
            assert!((dot(row, &x[..row.len()]) - b).abs() < 1e-12);
        }
        assert_eq!(cholesky(vec![vec![1.0], vec![2.0, 1.0]]), None);
    }
}
