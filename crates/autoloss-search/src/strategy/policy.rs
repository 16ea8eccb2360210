//! Auto Seg-Loss (Li et al. 2021, arXiv 2010.07930): the task's metric is made differentiable with
//! parametrised curves, and their parameters are searched by a policy.
//!
//! The policy is a normal distribution of each parameter, cut to [0, 1], with a fixed deviation; its
//! means are moved after each round of evaluations by the clipped objective of PPO, a score's advantage
//! being its distance from the mean score.

use autoloss_expr::{Adam, CURVE_PARAMETERS, Loss, NativeLoss, Tree};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::start::{Sampler, Start};
use crate::error::SearchError;
use crate::event::Origin;
use crate::population::Member;
use crate::settings::SearchSettings;
use crate::task::Task;

/// Parameters that are searched: the curves of AND and OR.
const SEARCHED: usize = 2 * CURVE_PARAMETERS;

/// The policy's deviation, PPO's clipping, and the updates of the means after each round, as we know
/// them from the paper.
const DEVIATION: f64 = 0.2;
const CLIP: f64 = 0.1;
const UPDATES: usize = 100;

/// The step size of these updates by Adam. (ours: the published one is not at hand)
const STEP_SIZE: f32 = 0.005;

/// The policy of a search.
pub(crate) struct SurrogatePolicy {
    branch: String,
    surrogate: NativeLoss,
    means: Vec<f64>,
    /// Parameters and scores of this round.
    round: Vec<(Vec<f64>, f64)>,
    samples: usize,
}

impl SurrogatePolicy {
    /// A policy around the curves that are the identity.
    ///
    /// # Errors
    /// If the task's metric has no parametrised surrogate.
    pub(crate) fn new(settings: &SearchSettings, task: &dyn Task) -> Result<Self, SearchError> {
        let surrogate = task.surrogate().ok_or_else(|| SearchError::NoSurrogate {
            task: task.name().to_owned(),
            metric: task.metric().to_owned(),
        })?;
        Ok(Self {
            branch: task.branches()[0].name.clone(),
            means: surrogate.parameters()[..SEARCHED].to_vec(),
            surrogate,
            round: Vec::new(),
            samples: settings.policy_samples,
        })
    }

    /// Moves the means by the scores of the round.
    fn update(&mut self) {
        let mean = self.round.iter().map(|r| r.1).sum::<f64>() / self.round.len() as f64;
        let before = self.means.clone();
        let adam = Adam {
            steps: UPDATES,
            step_size: STEP_SIZE,
            bounds: (0.0, 1.0),
            ..Adam::default()
        };
        let mut moments = [(); 2].map(|()| vec![0.0; SEARCHED]);
        for step in 1..=UPDATES {
            let mut gradient = vec![0.0; SEARCHED];
            for (parameters, score) in &self.round {
                let advantage = score - mean;
                let logs = parameters.iter().enumerate();
                let log_ratio: f64 = logs
                    .map(|(k, x)| log_density(*x, self.means[k]) - log_density(*x, before[k]))
                    .sum();
                let ratio = log_ratio.exp();
                let clipped = (advantage > 0.0 && ratio > 1.0 + CLIP)
                    || (advantage < 0.0 && ratio < 1.0 - CLIP);
                if clipped {
                    continue;
                }
                for (k, x) in parameters.iter().enumerate() {
                    // Adam goes down, the objective is to grow.
                    gradient[k] -= advantage * ratio * log_density_slope(*x, self.means[k]);
                }
            }
            adam.step(step, &mut self.means, &mut moments, &gradient);
        }
        self.round.clear();
    }
}

impl Sampler for SurrogatePolicy {
    fn start(&mut self, _: u64, rng: &mut ChaCha8Rng) -> Start {
        let mut parameters = self.surrogate.parameters().to_vec();
        for (parameter, mean) in parameters.iter_mut().zip(&self.means) {
            *parameter = sample(*mean, rng.random::<f64>());
        }
        let loss = NativeLoss::new(self.surrogate.name(), &parameters);
        let loss = loss.expect("parameters between 0 and 1");
        let loss = Loss::single(&self.branch, Tree::Native(loss));
        Start::Loss(loss, Origin::Policy)
    }

    fn join(&mut self, member: Member) {
        let loss = member.loss.branches.first().and_then(|b| b.tree.native());
        let Some(loss) = loss else { return };
        let parameters = loss.parameters()[..SEARCHED].to_vec();
        self.round.push((parameters, member.score));
        if self.round.len() == self.samples {
            self.update();
        }
    }

    /// The policy learns from first scores alone, which its rounds are made of.
    fn correct(&mut self, _: u64, _: f64) {}
}

fn normal() -> Normal {
    Normal::standard()
}

/// Shares of the distribution with this mean that lie below 0 and below 1.
fn cut(mean: f64) -> [f64; 2] {
    [0.0, 1.0].map(|end| normal().cdf((end - mean) / DEVIATION))
}

/// The place below which the share `u` of the cut distribution lies.
fn sample(mean: f64, u: f64) -> f64 {
    let [low, high] = cut(mean);
    let z = normal().inverse_cdf(low + u * (high - low));
    // Six digits: the loss is trained as it is printed.
    ((mean + DEVIATION * z).clamp(0.0, 1.0) * 1e6).round() / 1e6
}

/// ln of the cut density at x, up to a constant.
fn log_density(x: f64, mean: f64) -> f64 {
    let [low, high] = cut(mean);
    -((x - mean) / DEVIATION).powi(2) / 2.0 - (high - low).ln()
}

/// Its slope in the mean.
fn log_density_slope(x: f64, mean: f64) -> f64 {
    let [low, high] = cut(mean);
    let at = |end: f64| normal().pdf((end - mean) / DEVIATION);
    (x - mean) / DEVIATION.powi(2) - (at(0.0) - at(1.0)) / (DEVIATION * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Stream, generator};

    fn policy(samples: usize) -> SurrogatePolicy {
        let surrogate = NativeLoss::new("asl_miou", &[]).unwrap();
        SurrogatePolicy {
            branch: "segmentation".to_owned(),
            means: surrogate.parameters()[..SEARCHED].to_vec(),
            surrogate,
            round: Vec::new(),
            samples,
        }
    }

    #[test]
    fn the_density_is_one_and_its_slope_right() {
        for mean in [0.0, 0.25, 0.9] {
            let [low, high] = cut(mean);
            let density =
                |x: f64| log_density(x, mean).exp() / (DEVIATION * std::f64::consts::TAU.sqrt());
            let whole: f64 = (0..10_000)
                .map(|k| density((f64::from(k) + 0.5) / 1e4) / 1e4)
                .sum();
            assert!((whole - 1.0).abs() < 1e-6, "{mean}: {whole}, {low} {high}");
            let (x, h) = (0.4, 1e-5);
            let slope = (log_density(x, mean + h) - log_density(x, mean - h)) / (2.0 * h);
            assert!((slope - log_density_slope(x, mean)).abs() < 1e-4, "{mean}");
            assert!(sample(mean, 0.0) < 1e-6 && sample(mean, 1.0) > 1.0 - 1e-6);
            assert!((density(sample(mean, 0.5)) > 0.0) && sample(mean, 0.3) < sample(mean, 0.6));
        }
    }

    #[test]
    fn the_means_go_where_scores_are_high() {
        let mut policy = policy(16);
        let wanted =
            |parameters: &[f64]| -parameters.iter().map(|x| (x - 0.8).powi(2)).sum::<f64>();
        let before = wanted(&policy.means);
        for number in 0..16 * 20 {
            let mut rng = generator(3, Stream::Proposal, number);
            let Start::Loss(loss, _) = policy.start(number, &mut rng) else {
                panic!("a policy gives whole losses");
            };
            let parameters = loss.branches[0].tree.native().unwrap().parameters();
            let score = wanted(&parameters[..SEARCHED]);
            policy.join(Member {
                id: number,
                trained: number,
                parent: None,
                loss,
                score,
            });
        }
        let after = wanted(&policy.means);
        assert!(
            after > 0.3 * before,
            "{before} to {after}: {:?}",
            policy.means
        );
    }

    #[test]
    fn equal_scores_leave_the_means() {
        let mut policy = policy(2);
        let before = policy.means.clone();
        for number in 0..4 {
            let mut rng = generator(3, Stream::Proposal, number);
            if let Start::Loss(loss, _) = policy.start(number, &mut rng) {
                policy.join(Member {
                    id: number,
                    trained: number,
                    parent: None,
                    loss,
                    score: 0.0,
                });
            }
        }
        assert_eq!(policy.means, before);
    }
}
