//! Training a network with a loss, whatever the task.

use autoloss_data::DataError;
use autoloss_search::{Interrupt, Outcome};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::device::is_host;
use crate::loss::{LossAt, LossValue};

/// Rule of the parameters' updates.
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
    /// Rows and columns of the training crops, in pixels, where a task crops.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crop: usize,
    /// Rule of the parameters' updates.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl TrainingSettings {
    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("steps", self.steps),
            ("batch", self.batch),
            ("threads", self.threads),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(format!("task.training.{name} is 0, expected at least 1"));
            }
        }
        if self.batch == 1 {
            return Err(
                "task.training.batch is 1, expected at least 2: batch normalisation needs several"
                    .to_owned(),
            );
        }
        let largest = [
            ("threads", self.threads, 256),
            ("loader_threads", self.loader_threads, 256),
            ("steps", self.steps, 1_000_000_000),
            ("warmup", self.warmup, 1_000_000_000),
            ("batch", self.batch, 4096),
            ("crop", self.crop, 8192),
        ];
        for (name, value, largest) in largest {
            if value > largest {
                return Err(format!(
                    "task.training.{name} is {value}, expected at most {largest}"
                ));
            }
        }
        let numbers = [
            ("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1e3),
            ("momentum", self.momentum, 0.0, 1.0),
            ("weight_decay", self.weight_decay, 0.0, 1.0),
            ("power", self.power, 0.0, 10.0),
        ];
        for (name, value, low, high) in numbers {
            if !(low..=high).contains(&value) {
                return Err(format!(
                    "task.training.{name} is {value}, expected {low:e} to {high}"
                ));
            }
        }
        Ok(())
    }

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
    pub(crate) fn optimiser(&self) -> ModuleOptimizer {
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

/// Reason for the early end of a training.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainError {
    /// The user or the budget asked for it.
    #[error("interrupted")]
    Interrupted,
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A failure of the caller between updates, such as that of writing a checkpoint.
    #[error("{0}")]
    Between(String),
}

/// A trained network.
pub(crate) struct Trained<N> {
    /// The network, on the device it was trained on.
    pub net: N,
    /// End of the training: finished or stopped.
    pub outcome: Outcome,
    /// (update, loss value), at most about 100 of them.
    pub curve: Vec<(usize, f64)>,
}

/// State of a training between two updates.
pub(crate) struct Progress<'a, N> {
    /// The update just made, counted from 1.
    pub update: usize,
    /// Its loss value, where the device has told it.
    pub loss_value: Option<f64>,
    /// The network.
    pub net: &'a N,
    /// The optimiser, with its moments.
    pub optimiser: &'a ModuleOptimizer,
    /// (update, loss value) so far.
    pub curve: &'a [(usize, f64)],
}

/// State from which a training goes on: fresh, or that of an earlier process.
pub(crate) struct Begin {
    /// Updates made before.
    pub update: usize,
    /// The optimiser after them.
    pub optimiser: ModuleOptimizer,
    /// (update, loss value) of them.
    pub curve: Vec<(usize, f64)>,
}

impl Begin {
    /// At the first update.
    pub(crate) fn fresh(settings: &TrainingSettings) -> Self {
        Self {
            update: 0,
            optimiser: settings.optimiser(),
            curve: Vec::new(),
        }
    }
}

/// Schedule and conditions of a training, besides network, data and loss.
pub(crate) struct Course<'a> {
    /// The schedule.
    pub settings: &'a TrainingSettings,
    /// End as soon as the loss or a gradient is not finite.
    pub stop_on_invalid: bool,
    /// A request to end early.
    pub interrupt: &'a Interrupt,
    /// Updates between two reads of loss values where a device computes beside the processor. Gradients that are not
    /// finite are noticed at reads alone.
    pub read_every: usize,
}

/// The usual [`Course::read_every`]: a bad training loses that many updates at most.
pub(crate) const READ_EVERY: usize = 20;

/// The loss of a network at an update, counted from 1, on the batch of that update.
pub(crate) type LossOf<'a, N> = Box<dyn FnMut(&N, usize) -> Result<LossAt, TrainError> + Send + 'a>;

/// Work of the caller between two updates, such as writing a checkpoint.
pub(crate) type Between<'a, N> = dyn FnMut(Progress<'_, N>) -> Result<(), String> + 'a;

/// Trains `net` with the loss, and calls `between` after every update.
///
/// # Errors
/// An interrupt, data that cannot be read, or an error of `between`.
pub(crate) fn train<N: Module>(
    mut net: N,
    loss: &mut LossOf<'_, N>,
    course: &Course<'_>,
    begin: Begin,
    between: &mut Between<'_, N>,
) -> Result<Trained<N>, TrainError> {
    let settings = course.settings;
    let (mut optimiser, mut curve) = (begin.optimiser, begin.curve);
    let every = settings.steps.div_ceil(100).max(1);
    let mut magnitudes = Magnitudes::default();
    for update in begin.update + 1..=settings.steps {
        if course.interrupt.is_set() {
            return Err(TrainError::Interrupted);
        }
        let loss = loss(&net, update)?;
        let on_host = is_host(&loss.root.device());
        let at_an_end = update == 1 || update == settings.steps;
        let step = if on_host { 1 } else { course.read_every };
        let read = at_an_end || update.is_multiple_of(step);
        let loss_value = read.then(|| loss.loss_value.get());
        if let Some(loss_value) = loss_value
            && (at_an_end || update % every < step)
        {
            curve.push((update, loss_value));
        }
        let gradients = GradientsParams::from_grads(loss.root.backward(), &net);
        let invalid = match (course.stop_on_invalid, on_host) {
            (false, _) => None,
            (true, true) => not_finite(
                loss.loss_value.get(),
                loss.gradient_is_finite,
                &gradients,
                &net,
            ),
            (true, false) => {
                magnitudes.add(&loss, &gradients, &net);
                match read {
                    true => magnitudes.not_finite(update),
                    false => None,
                }
            }
        };
        if let Some(what) = invalid {
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
            loss_value,
            net: &net,
            optimiser: &optimiser,
            curve: &curve,
        };
        between(progress).map_err(TrainError::Between)?;
    }
    Ok(Trained {
        net,
        outcome: Outcome::Finished,
        curve,
    })
}

/// The next batch of a loader, which never ends.
pub(crate) fn next_batch<B>(
    batches: &mut impl Iterator<Item = Result<B, DataError>>,
) -> Result<B, TrainError> {
    let batch = batches.next().unwrap_or_else(|| {
        Err(DataError::Setting {
            name: "loader",
            reason: "the stream of batches ended".to_owned(),
        })
    });
    Ok(batch?)
}

/// Images on a device, (N, 3, H, W).
pub(crate) fn images(values: Vec<f32>, [n, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [n, 3, h, w]), device)
}

/// The sum of the magnitudes of loss values and gradients on a device since it was last read: one number that is
/// not finite as soon as one of them is not.
#[derive(Default)]
struct Magnitudes {
    sum: Option<Tensor<1>>,
    /// The last update that was read.
    read: usize,
}

impl Magnitudes {
    /// Adds those of an update, without waiting for the device.
    fn add(&mut self, loss: &LossAt, gradients: &GradientsParams, net: &impl Module) {
        if let LossValue::OnDevice(value, _) = &loss.loss_value {
            self.add_tensor((**value).clone().inner());
        }
        let mut visit = Visit {
            gradients,
            sum: self,
        };
        net.visit(&mut visit);
    }

    fn add_tensor<const D: usize>(&mut self, tensor: Tensor<D>) {
        let part = tensor.abs().sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
    }

    /// A sentence where one was not finite in an update since the last read.
    fn not_finite(&mut self, update: usize) -> Option<String> {
        let sum = self.sum.take()?.into_scalar::<f32>();
        let first = std::mem::replace(&mut self.read, update) + 1;
        let what = "the loss value or the gradient of a parameter is not finite";
        (!sum.is_finite()).then(|| match first == update {
            true => what.to_owned(),
            false => format!("{what} in one of the updates {first} to {update}"),
        })
    }
}

struct Visit<'a> {
    gradients: &'a GradientsParams,
    sum: &'a mut Magnitudes,
}

impl ModuleVisitor for Visit<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum.add_tensor(gradient);
        }
    }
}

/// A sentence naming the first number that is not finite.
fn not_finite(
    loss_value: f64,
    of_logits: bool,
    gradients: &GradientsParams,
    net: &impl Module,
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
