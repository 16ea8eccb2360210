//! The Gaussian process behind predictions: covariances, the choice of their parameters, and its conclusions.
//!
//! With distances d_b of two losses in each of B branches, a length l and a share a, the covariance of their
//! scores is (1 − n) · (a · mean_b k(d_b / l) + (1 − a) · k(Σ_b d_b / (l·B))): the first part knows
//! that a branch's loss is good whatever the others are, the second that losses alike in all branches score
//! alike. k(x) = 1 / (1 + x) is the rational quadratic covariance with α = 1, as distances are halves of squares
//! (Rasmussen and Williams 2006, equation 4.19). Scores of an earlier run have a correlation r with those of this
//! one. The noise n of one training is divided by the number of trainings that a score is the mean of.

use std::sync::Arc;

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::observations::Predictor;
use crate::screening::Signature;

/// Parameters of the covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parameters {
    /// Distance of two losses of a branch at which they tell little of each other.
    length: f64,
    /// Variance of one training's score that its loss does not explain.
    noise: f64,
    /// Share of the explained variance that is a sum over branches.
    additive: f64,
    /// Correlation between an earlier run's scores and this one's.
    kinship: f64,
}

impl Parameters {
    /// Beginning of the search for the best ones.
    const FIRST: Self = Self {
        length: 0.4,
        noise: 0.1,
        additive: 0.0,
        kinship: 0.5,
    };

    /// The parameters that differ from these in one of them.
    fn neighbours(self, several_branches: bool, has_earlier: bool) -> Vec<Self> {
        let lengths = [0.1, 0.2, 0.4, 0.8, 1.6].map(|length| Self { length, ..self });
        let noises = [0.02, 0.1, 0.3, 0.6].map(|noise| Self { noise, ..self });
        let additives = [0.0, 0.5, 0.9].map(|additive| Self { additive, ..self });
        let kinships = [0.0, 0.5, 0.9].map(|kinship| Self { kinship, ..self });
        let mut all = [&lengths[..], &noises].concat();
        if several_branches {
            all.extend(additives);
        }
        if has_earlier {
            all.extend(kinships);
        }
        all.retain(|other| *other != self);
        all
    }

    /// Covariance that the losses explain, within one run.
    fn covariance(&self, distances: &[f64]) -> f64 {
        let branches = distances.len() as f64;
        let sum: f64 = distances.iter().sum();
        // Single lengths of scale, as in an exponential, are too sure of losses far away.
        let decay = |distance: f64| 1.0 / (1.0 + distance / self.length);
        let joint = decay(sum / branches);
        let parts = distances.iter().map(|d| decay(*d));
        let additive = match self.additive > 0.0 {
            true => parts.sum::<f64>() / branches,
            false => 0.0,
        };
        (1.0 - self.noise) * (self.additive * additive + (1.0 - self.additive) * joint)
    }
}

/// Distribution of scores not seen, given those seen.
pub(crate) struct Process {
    signatures: Vec<Arc<Signature>>,
    /// Number of losses of an earlier run among them.
    earlier: usize,
    factor: Cholesky<f64, Dyn>,
    /// The scores divided by their covariance.
    weights: DVector<f64>,
    /// Highest expected score among the losses of this run; of an earlier one before there are any.
    best: f64,
    parameters: Parameters,
}

impl Process {
    /// The process that explains the scores best; `None` before the first score.
    pub(super) fn fit(known: &Predictor) -> Option<Self> {
        if known.observations.is_empty() {
            return None;
        }
        let targets = DVector::from_vec(known.targets());
        let fitted = |parameters| Fitted::new(known, parameters, &targets);
        let (several, earlier) = (known.branches() > 1, known.earlier > 0);
        let mut best = fitted(Parameters::FIRST);
        loop {
            let from = best.as_ref().map_or(Parameters::FIRST, |b| b.parameters);
            let neighbours = from.neighbours(several, earlier).into_iter();
            let likelihood = best.as_ref().map_or(f64::NEG_INFINITY, |b| b.likelihood);
            let better = neighbours.filter_map(fitted).max_by(|a, b| {
                // The first of equals.
                let order = a.likelihood.total_cmp(&b.likelihood);
                order.then(std::cmp::Ordering::Greater)
            });
            match better.filter(|better| better.likelihood > likelihood) {
                Some(better) => best = Some(better),
                None => return best.map(|fitted| fitted.into_process(known)),
            }
        }
    }

    /// The process with the same parameters and the same best, given more.
    pub(super) fn given(self, known: &Predictor) -> Option<Self> {
        let targets = DVector::from_vec(known.targets());
        let fitted = Fitted::new(known, self.parameters, &targets)?;
        Some(Self {
            best: self.best,
            ..fitted.into_process(known)
        })
    }

    /// Mean and standard deviation of a loss's score.
    fn predict(&self, signature: &Signature) -> (f64, f64) {
        let Parameters { noise, kinship, .. } = self.parameters;
        let known = self.signatures.iter().enumerate();
        let covariance = known.map(|(place, other)| {
            let distances: Vec<f64> = signature.distances(other).collect();
            let covariance = self.parameters.covariance(&distances);
            match place < self.earlier {
                true => kinship * covariance,
                false => covariance,
            }
        });
        let covariance = DVector::from_iterator(self.signatures.len(), covariance);
        let mean = covariance.dot(&self.weights);
        let explained = self
            .factor
            .l_dirty()
            .solve_lower_triangular(&covariance)
            .map_or(0.0, |half| half.norm_squared());
        (mean, (1.0 - noise - explained).max(1e-12).sqrt())
    }

    /// Expected score of a loss, in units of the known ones.
    pub(crate) fn mean(&self, signature: &Signature) -> f64 {
        self.predict(signature).0
    }

    /// Expected improvement of a loss over the best so far.
    pub(crate) fn expected_improvement(&self, signature: &Signature) -> f64 {
        let (mean, deviation) = self.predict(signature);
        let gain = (mean - self.best) / deviation;
        let normal = Normal::standard();
        deviation * (gain * normal.cdf(gain) + normal.pdf(gain))
    }

    /// The score of each loss of this run, predicted from all others. (Rasmussen and Williams 2006,
    /// equation 5.12)
    pub(crate) fn leave_one_out(&self, known: &Predictor) -> Vec<f64> {
        let inverse = self.factor.inverse();
        let targets = known.targets();
        (self.earlier..targets.len())
            .map(|n| targets[n] - self.weights[n] / inverse[(n, n)])
            .collect()
    }
}

/// A process before its conclusions are drawn.
struct Fitted {
    parameters: Parameters,
    factor: Cholesky<f64, Dyn>,
    weights: DVector<f64>,
    /// Logarithm of how likely it makes the scores, up to a constant.
    likelihood: f64,
}

impl Fitted {
    /// The process with these parameters; `None` where it cannot be computed.
    fn new(known: &Predictor, parameters: Parameters, targets: &DVector<f64>) -> Option<Self> {
        let factor = Cholesky::new(covariances(known, &parameters))?;
        let weights = factor.solve(targets);
        let diagonal = factor.l_dirty().diagonal();
        let logs: f64 = diagonal.iter().map(|d| d.ln()).sum();
        Some(Self {
            likelihood: -0.5 * targets.dot(&weights) - logs,
            parameters,
            factor,
            weights,
        })
    }

    fn into_process(self, known: &Predictor) -> Process {
        let signatures = known.observations.iter();
        let mut process = Process {
            signatures: signatures.map(|known| known.signature.clone()).collect(),
            earlier: known.earlier,
            factor: self.factor,
            weights: self.weights,
            best: f64::NEG_INFINITY,
            parameters: self.parameters,
        };
        let own = match known.observations.len() > known.earlier {
            true => &process.signatures[known.earlier..],
            false => &process.signatures[..],
        };
        let means = own.iter().map(|signature| process.mean(signature));
        process.best = means.fold(f64::NEG_INFINITY, f64::max);
        process
    }
}

/// Covariances of the scores; the lower triangle alone is filled.
fn covariances(known: &Predictor, parameters: &Parameters) -> DMatrix<f64> {
    let (count, branches) = (known.observations.len(), known.branches());
    let mut matrix = DMatrix::zeros(count, count);
    for (row, distances) in known.distances.iter().enumerate() {
        for (column, distances) in distances.chunks_exact(branches).enumerate() {
            let covariance = parameters.covariance(distances);
            matrix[(row, column)] = match column < known.earlier && row >= known.earlier {
                true => parameters.kinship * covariance,
                false => covariance,
            };
        }
        let noise = parameters.noise / known.observations[row].trainings;
        matrix[(row, row)] = 1.0 - parameters.noise + noise;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::super::tests::{along, trained};
    use super::*;

    #[test]
    fn nothing_is_predicted_from_nothing() {
        assert!(Predictor::default().fit(&[]).is_none());
        let one = trained(|_| 0.5, 1).fit(&[]).unwrap();
        // Losses like the only one are expected to score alike; others may be better.
        let alike = one.expected_improvement(&along(0.0));
        assert!(one.expected_improvement(&along(1.5)) > alike);
    }

    #[test]
    fn neighbours_of_good_ones_are_predicted_to_be_good() {
        let process = trained(|x| -(x - 0.7).abs(), 20).fit(&[]).unwrap();
        let mean = |x| process.predict(&along(x)).0;
        assert!(mean(0.72) > mean(0.4) && mean(0.4) > mean(0.12));
        let deviation = |x| process.predict(&along(x)).1;
        assert!(deviation(3.0) > deviation(0.51));
        let improvement = |x| process.expected_improvement(&along(x));
        assert!(improvement(0.72) > improvement(0.12));
    }

    #[test]
    fn leaving_one_out_is_fitting_without_it() {
        let known = trained(|x| (9.0 * x).sin(), 12);
        let process = known.fit(&[]).unwrap();
        let targets = DVector::from_vec(known.targets());
        let all = covariances(&known, &process.parameters);
        let full = DMatrix::from_fn(12, 12, |i, j| all[(i.max(j), i.min(j))]);
        for (n, left_out) in process.leave_one_out(&known).into_iter().enumerate() {
            let factor = Cholesky::new(full.clone().remove_row(n).remove_column(n)).unwrap();
            let between = full.column(n).remove_row(n);
            let predicted = between.dot(&factor.solve(&targets.clone().remove_row(n)));
            assert!((predicted - left_out).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn more_trainings_of_a_loss_say_more() {
        let deviation = |trainings| {
            let mut known = trained(|x| (9.0 * x).sin(), 12);
            known.correct(5, (9.0_f64 * 5.0 / 12.0).sin(), trainings);
            let targets = DVector::from_vec(known.targets());
            let parameters = Parameters {
                noise: 0.3,
                ..Parameters::FIRST
            };
            let process = Fitted::new(&known, parameters, &targets).unwrap();
            process.into_process(&known).predict(&along(5.0 / 12.0)).1
        };
        assert!(deviation(4.0) < deviation(1.0) && deviation(1.0) < deviation(0.25));
    }

    #[test]
    fn an_earlier_run_tells_as_much_as_it_is_akin() {
        let earlier = |sign: f64| {
            let losses = (0..30).map(|n| f64::from(n) / 30.0);
            let mut known = Predictor::after(losses.map(|x| (along(x), -(x - 0.7).abs())));
            for n in [1_u32, 8, 14, 21, 26] {
                let x = f64::from(n) / 30.0;
                known.add(n.into(), along(x), sign * -(x - 0.7).abs(), 1.0);
            }
            known.fit(&[]).unwrap()
        };
        let (alike, unlike) = (earlier(1.0), earlier(-1.0));
        assert!(alike.parameters.kinship > unlike.parameters.kinship);
        assert_eq!(unlike.parameters.kinship, 0.0);
        let mean = |process: &Process, x| process.predict(&along(x)).0;
        assert!(mean(&alike, 0.62) > mean(&alike, 0.2));
        // Before a run has scores of its own, the earlier ones are all there is.
        let only = Predictor::after((0..9).map(|n| (along(f64::from(n) / 9.0), f64::from(n))));
        let process = only.fit(&[]).unwrap();
        assert!(
            process.expected_improvement(&along(0.9)) > process.expected_improvement(&along(0.1))
        );
    }

    #[test]
    fn a_good_branch_is_known_whatever_the_others_are() {
        // Two branches whose losses add up, few of their combinations seen.
        let both = |x: f64, y: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "single precision will do")]
            let direction = |x: f64| [(3.0 * x).cos() as f32, (3.0 * x).sin() as f32];
            Arc::new(Signature::of_directions(&[&direction(x), &direction(y)]))
        };
        let mut known = Predictor::default();
        let score = |x: f64, y: f64| (12.0 * x).sin() + (12.0 * y).cos();
        for n in 0..40_u32 {
            let (x, y) = (f64::from(n * 11 % 40) / 40.0, f64::from(n) / 40.0);
            known.add(n.into(), both(x, y), score(x, y), 1.0);
        }
        let process = known.fit(&[]).unwrap();
        assert!(
            process.parameters.additive > 0.0,
            "{:?}",
            process.parameters
        );
        let mean = |x, y| process.predict(&both(x, y)).0;
        // The best and the worst of both branches.
        assert!(mean(0.13, 0.52) > mean(0.39, 0.52) && mean(0.39, 0.52) > mean(0.39, 0.26));
    }
}
