//! Training a network with a loss, and scoring it.

use autoloss_metrics::{
    SegmentationScore, SegmentationSettings, SegmentationTarget, argmax_channels,
};
use autoloss_search::{Interrupt, Outcome};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::data::{Batch, DataError, Loader, Prepared, SegmentationData, Split};
use crate::loss::{ClassLoss, host_values};
use crate::nets::SegmentationNet;

/// How the parameters move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Adam with decays 0.9 and 0.999.
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// The schedule of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// Updates.
    pub steps: usize,
    /// Examples an update.
    pub batch: usize,
    /// Rows and columns of the training crops, in pixels.
    pub crop: usize,
    /// How the parameters move.
    pub optimiser: Optimiser,
    /// Largest step size.
    pub learning_rate: f64,
    /// Momentum of `sgd`; `adam` does not read it.
    pub momentum: f64,
    /// Weight decay: this times the parameters is added to the gradients.
    pub weight_decay: f64,
    /// Updates over which the step size grows from 0 to its largest.
    pub warmup: usize,
    /// The step size falls as (1 − update / steps)^power.
    pub power: f64,
    /// Threads of one training's computations; with several workers 1 is best.
    pub threads: usize,
    /// Threads that decode and augment beside the training; 0: none.
    pub loader_threads: usize,
}

impl TrainingSettings {
    /// The step size of an update, counted from 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "updates are far fewer than 2^52"
    )]
    pub fn rate(&self, update: usize) -> f64 {
        let done = (update - 1) as f64 / self.steps as f64;
        let grown = (update as f64 / (self.warmup + 1) as f64).min(1.0);
        self.learning_rate * grown * (1.0 - done).powf(self.power)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "Burn takes the decay in f32"
    )]
    fn optimiser(&self) -> ModuleOptimizer {
        let decay =
            (self.weight_decay > 0.0).then(|| WeightDecayConfig::new(self.weight_decay as f32));
        match self.optimiser {
            Optimiser::Adam => AdamConfig::new()
                .with_epsilon(1e-8)
                .with_weight_decay(decay)
                .init(),
            Optimiser::Sgd => {
                // Burn dampens by default; the usual momentum does not.
                let momentum = (self.momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(self.momentum)
                        .with_dampening(0.0)
                });
                SgdConfig::new()
                    .with_momentum(momentum)
                    .with_weight_decay(decay)
                    .init()
            }
        }
    }
}

/// What ended a training before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainError {
    /// The user or the budget asked for it.
    #[error("interrupted")]
    Interrupted,
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Whatever the caller does between updates failed, such as writing a checkpoint.
    #[error("{0}")]
    Between(String),
}

/// A trained network.
pub(crate) struct Trained {
    /// The network, on the device it was trained on.
    pub net: SegmentationNet,
    /// How the training ended.
    pub outcome: Outcome,
    /// (update, loss value), at most about 100 of them.
    pub curve: Vec<(usize, f64)>,
}

/// A training under way, for whoever looks on between updates.
pub(crate) struct Progress<'a> {
    /// The update just made, counted from 1.
    pub update: usize,
    /// Its loss value.
    pub loss_value: f64,
    /// The network.
    pub net: &'a SegmentationNet,
}

/// What a training is made of, besides network, data and loss.
pub(crate) struct Course<'a> {
    /// The schedule.
    pub settings: &'a TrainingSettings,
    /// The autodiff device that the network is on.
    pub device: &'a Device,
    /// End as soon as the loss or a gradient is not finite.
    pub stop_on_invalid: bool,
    /// A request to end early.
    pub interrupt: &'a Interrupt,
}

/// Trains `net` with `loss` on the batches of `loader`, and calls `between` after every update.
///
/// # Errors
/// An interrupt, data that cannot be read, or an error of `between`.
pub(crate) fn train(
    mut net: SegmentationNet,
    loss: &mut ClassLoss,
    loader: &mut Loader,
    course: &Course<'_>,
    between: &mut dyn FnMut(Progress<'_>) -> Result<(), String>,
) -> Result<Trained, TrainError> {
    let settings = course.settings;
    let mut optimiser = settings.optimiser();
    let mut curve = Vec::new();
    let every = settings.steps.div_ceil(100).max(1);
    for update in 1..=settings.steps {
        if course.interrupt.is_set() {
            return Err(TrainError::Interrupted);
        }
        let batch = next_batch(loader)?;
        let labels = batch.labels.clone();
        let logits = net.forward(images(batch, course.device));
        let loss = loss.at(&logits, &labels);
        if update.is_multiple_of(every) || update == 1 || update == settings.steps {
            curve.push((update, loss.loss_value));
        }
        let gradients = GradientsParams::from_grads(loss.root.backward(), &net);
        if course.stop_on_invalid
            && let Some(what) =
                not_finite(&loss.loss_value, loss.gradient_is_finite, &gradients, &net)
        {
            let outcome = Outcome::Stopped { update, what };
            return Ok(Trained {
                net,
                outcome,
                curve,
            });
        }
        net = optimiser.step(settings.rate(update), net, gradients);
        let progress = Progress {
            update,
            loss_value: loss.loss_value,
            net: &net,
        };
        between(progress).map_err(TrainError::Between)?;
    }
    Ok(Trained {
        net,
        outcome: Outcome::Finished,
        curve,
    })
}

fn next_batch(loader: &mut Loader) -> Result<Batch, DataError> {
    loader.next().unwrap_or_else(|| {
        Err(DataError::Setting {
            name: "loader",
            reason: "the stream of batches ended".to_owned(),
        })
    })
}

/// The images of a batch on a device, (N, 3, H, W).
pub(crate) fn images(batch: Batch, device: &Device) -> Tensor<4> {
    let shape = [batch.n, 3, batch.h, batch.w];
    Tensor::from_data(TensorData::new(batch.images, shape), device)
}

/// What is not finite, if anything is.
fn not_finite(
    loss_value: &f64,
    of_logits: bool,
    gradients: &GradientsParams,
    net: &SegmentationNet,
) -> Option<String> {
    if !loss_value.is_finite() {
        return Some(format!("the loss value is {loss_value}"));
    }
    if !of_logits {
        return Some("the gradient with respect to the predictions is not finite".to_owned());
    }
    let mut search = Finite {
        gradients,
        finite: true,
    };
    net.visit(&mut search);
    (!search.finite).then(|| "the gradient of a parameter is not finite".to_owned())
}

struct Finite<'a> {
    gradients: &'a GradientsParams,
    finite: bool,
}

impl ModuleVisitor for Finite<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.finite {
            return;
        }
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let data = gradient.into_data().convert::<f32>();
            self.finite = data
                .as_slice::<f32>()
                .is_ok_and(|values| values.iter().all(|v| v.is_finite()));
        }
    }
}

/// Images that are scored in one forward pass.
const SCORED_TOGETHER: usize = 8;

/// Scores a network that was trained on `device` on the first `count` validation examples (0: all).
///
/// # Errors
/// An interrupt, or data that cannot be read.
pub(crate) fn score(
    net: &SegmentationNet,
    device: &Device,
    data: &dyn SegmentationData,
    count: usize,
    settings: &SegmentationSettings,
    interrupt: &Interrupt,
) -> Result<SegmentationScore, TrainError> {
    let net = net.valid();
    let device = device.clone().inner();
    let total = match count {
        0 => data.len(Split::Val),
        _ => count.min(data.len(Split::Val)),
    };
    let mut score = SegmentationScore::new(settings.clone()).map_err(between)?;
    let mut waiting: Vec<Prepared> = Vec::new();
    for index in 0..total {
        if interrupt.is_set() {
            return Err(TrainError::Interrupted);
        }
        let example = Prepared::whole(&data.example(Split::Val, index)?);
        let other_size = waiting
            .first()
            .is_some_and(|w| (w.height, w.width) != (example.height, example.width));
        if other_size || waiting.len() == SCORED_TOGETHER {
            add_scores(&net, &device, &mut waiting, &mut score)?;
        }
        waiting.push(example);
    }
    add_scores(&net, &device, &mut waiting, &mut score)?;
    Ok(score)
}

/// Scores the waiting examples, which are of one size, and empties the list.
fn add_scores(
    net: &SegmentationNet,
    device: &Device,
    waiting: &mut Vec<Prepared>,
    score: &mut SegmentationScore,
) -> Result<(), TrainError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let batch = Batch::stack(waiting)?;
    waiting.clear();
    let (h, w) = (batch.h, batch.w);
    let labels = batch.labels.clone();
    let logits = net.forward(images(batch, device));
    let classes = logits.dims()[1];
    let mut prediction = vec![0; h * w];
    let values = host_values(&logits);
    for (logits, labels) in values
        .chunks_exact(classes * h * w)
        .zip(labels.chunks_exact(h * w))
    {
        argmax_channels(logits, classes, h * w, &mut prediction).map_err(between)?;
        let target =
            SegmentationTarget::new(labels.to_vec(), w, h, score.settings()).map_err(between)?;
        score.add(&target, &prediction).map_err(between)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn between(error: autoloss_metrics::MetricError) -> TrainError {
    TrainError::Between(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_size_grows_and_falls() {
        let settings = TrainingSettings {
            steps: 10,
            batch: 1,
            crop: 8,
            optimiser: Optimiser::Sgd,
            learning_rate: 1.0,
            momentum: 0.9,
            weight_decay: 0.0,
            warmup: 4,
            power: 1.0,
            threads: 1,
            loader_threads: 0,
        };
        let rates: Vec<f64> = (1..=10).map(|u| settings.rate(u)).collect();
        let want = [0.2, 0.36, 0.48, 0.56, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        assert!(
            rates.iter().zip(want).all(|(r, w)| (r - w).abs() < 1e-12),
            "{rates:?}"
        );
    }
}
