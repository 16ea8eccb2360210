//! Training of the embedded backbone: classification of single handwritten digits, a task without the metrics and losses
//! that are searched for. The paper's backbones start from ImageNet for the same reason.

use std::ops::Range;
use std::path::Path;

use autoloss_data::{Batch, DataError, Prepared};
use autoloss_expr::ZooLoss;
use autoloss_metrics::argmax_channels;
use autoloss_nets::resnet::ResNet;
use autoloss_nets::{Classifier, NetworkError, NetworkSettings, WeightsError, save_backbone};
use autoloss_scenes::single_digit;
use autoloss_search::Interrupt;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::loss::{ClassLoss, host_values};
use crate::train::{
    Begin, Course, LossOf, Optimiser, TrainError, TrainingSettings, images, next_batch, train,
};

/// Rows and columns of a picture.
const SIZE: usize = 32;
const CLASSES: usize = 10;
/// Pictures in a forward pass of the measurement of accuracy.
const TEST_BATCH: usize = 100;

/// Settings of the training of the embedded backbone.
#[derive(Clone, Copy, Debug)]
pub struct Pretraining {
    /// Seed of the network and of the pictures.
    pub seed: u64,
    /// Updates.
    pub updates: usize,
    /// Pictures an update; no picture is seen twice.
    pub batch: usize,
    /// Pictures that the accuracy is measured on.
    pub tested: usize,
}

impl Default for Pretraining {
    fn default() -> Self {
        Self {
            seed: 0,
            updates: 3000,
            batch: 32,
            tested: 2000,
        }
    }
}

/// Error of the training of the backbone.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The pictures cannot be made.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The training ended before its last update.
    #[error("training of the backbone: {0}")]
    Training(String),
}

/// A trained backbone.
#[derive(Debug)]
pub struct Pretrained {
    backbone: ResNet,
    accuracy: f64,
}

impl Pretrained {
    /// Share of right answers on pictures that the training has not seen, by the same writers.
    #[must_use]
    pub const fn accuracy(&self) -> f64 {
        self.accuracy
    }

    /// Writes the backbone to a safetensors file, in half precision.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        save_backbone(&self.backbone, path)
    }
}

/// Trains the slim backbone from random weights. `on_update` is told each update and its loss value.
///
/// # Errors
/// A training that cannot be made; with settings like the default there is none.
pub fn pretrain(
    settings: &Pretraining,
    on_update: &mut dyn FnMut(usize, f64),
) -> Result<Pretrained, PretrainError> {
    let device = Device::flex().autodiff();
    let backbone = NetworkSettings::default().backbone()?;
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let net = Classifier::init(&backbone, CLASSES, &mut rng, &device);
    let tree = ZooLoss::from_name("cross_entropy").map(ZooLoss::tree);
    let loss = tree.and_then(|tree| ClassLoss::new(&tree).ok());
    let mut loss = loss.expect("the zoo has cross entropy, as its tests show");
    let Pretraining { seed, batch, .. } = *settings;
    let mut batches = (0..).map(|batch_number| pictures(seed, numbers(batch_number, batch)));
    let mut at: LossOf<'_, Classifier> = Box::new(|net: &Classifier, _| {
        let (pictures, digits) = next_batch(&mut batches)?;
        Ok(loss.at(&net.forward(on(pictures, &device)), &digits))
    });
    let schedule = schedule(settings);
    let course = Course {
        settings: &schedule,
        stop_on_invalid: true,
        interrupt: &Interrupt::default(),
        read_every: 1,
    };
    let begin = Begin::fresh(&schedule);
    let trained = train(net, &mut at, &course, begin, &mut |progress| {
        if let Some(loss_value) = progress.loss_value {
            on_update(progress.update, loss_value);
        }
        Ok(())
    });
    let net = trained?.net.valid();
    let seen = (settings.updates * batch) as u64;
    let accuracy = accuracy(&net, seed, seen..seen + settings.tested as u64)?;
    Ok(Pretrained {
        backbone: net.backbone,
        accuracy,
    })
}

impl From<TrainError> for PretrainError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Data(error) => Self::Data(error),
            other => Self::Training(other.to_string()),
        }
    }
}

fn schedule(settings: &Pretraining) -> TrainingSettings {
    TrainingSettings {
        steps: settings.updates,
        batch: settings.batch,
        crop: SIZE,
        optimiser: Optimiser::Adam,
        learning_rate: 0.005,
        momentum: 0.0,
        weight_decay: 0.0,
        warmup: 20,
        power: 0.9,
        threads: 1,
        loader_threads: 0,
    }
}

/// Numbers of the pictures of a batch.
fn numbers(batch_number: u64, batch: usize) -> Range<u64> {
    let batch = batch as u64;
    batch_number * batch..(batch_number + 1) * batch
}

/// Pictures of some numbers, and the digit of each.
fn pictures(seed: u64, numbers: Range<u64>) -> Result<(Batch, Vec<u8>), DataError> {
    let (examples, digits): (Vec<_>, Vec<u8>) = numbers
        .map(|number| single_digit(seed, number, SIZE))
        .unzip();
    let prepared: Vec<Prepared> = examples.iter().map(Prepared::whole).collect();
    Ok((Batch::stack(&prepared)?, digits))
}

/// The pictures on a device.
fn on(pictures: Batch, device: &Device) -> Tensor<4> {
    let shape = [pictures.n, pictures.h, pictures.w];
    images(pictures.images, shape, device)
}

/// Share of pictures whose digit has the largest logit.
fn accuracy(net: &Classifier, seed: u64, numbers: Range<u64>) -> Result<f64, DataError> {
    let count = numbers.end - numbers.start;
    let mut right = 0_u32;
    for first in numbers.clone().step_by(TEST_BATCH) {
        let last = (first + TEST_BATCH as u64).min(numbers.end);
        let (pictures, digits) = pictures(seed, first..last)?;
        let logits = host_values(&net.forward(on(pictures, &Device::flex())));
        for (logits, digit) in logits.chunks_exact(CLASSES).zip(digits) {
            let mut largest = [0];
            argmax_channels(logits, CLASSES, 1, &mut largest)
                .expect("a number of logits for each class");
            right += u32::from(largest == [digit]);
        }
    }
    Ok(f64::from(right) / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_nets::{SegmentationNet, Weights};

    /// Channels of the backbone's last features.
    const DEEP: usize = 48;

    fn short(updates: usize) -> Pretraining {
        Pretraining {
            updates,
            batch: 16,
            tested: 200,
            ..Pretraining::default()
        }
    }

    #[test]
    fn a_short_training_learns_digits() {
        let trained = pretrain(&short(150), &mut |_, _| ()).unwrap();
        assert!(trained.accuracy() > 0.5, "{}", trained.accuracy());
    }

    #[test]
    fn the_file_is_the_same_whatever_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let files = [1, 1, 3].map(|threads| {
            let path = folder.path().join("backbone.safetensors");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let trained = pool
                .build()
                .unwrap()
                .install(|| pretrain(&short(3), &mut |_, _| ()));
            trained.unwrap().save(&path).unwrap();
            std::fs::read(&path).unwrap()
        });
        assert!(files[0] == files[1] && files[0] == files[2]);
    }

    /// Means over the positions of the last features of pictures, with the digit of each.
    fn features(weights: Weights, numbers: Range<u64>) -> Vec<([f32; DEEP], u8)> {
        let settings = NetworkSettings {
            weights,
            ..NetworkSettings::default()
        };
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let net = SegmentationNet::init(&settings, 2, &mut rng, &device).unwrap();
        let (pictures, digits) = pictures(0, numbers).unwrap();
        let [.., deep] = net.backbone().forward(on(pictures, &device));
        let means = host_values(&deep.mean_dim(3).mean_dim(2));
        let (means, _) = means.as_chunks::<DEEP>();
        means.iter().copied().zip(digits).collect()
    }

    /// Share of new pictures whose features are nearest to the mean of their digit.
    fn nearest_mean(weights: Weights) -> f64 {
        let mut means = [[0.0_f32; DEEP]; CLASSES];
        let mut counts = [0.0_f32; CLASSES];
        let new = 1_000_000;
        for (of_one, digit) in features(weights.clone(), new..new + 200) {
            counts[usize::from(digit)] += 1.0;
            for (sum, value) in means[usize::from(digit)].iter_mut().zip(of_one) {
                *sum += value;
            }
        }
        let distance = |of_one: &[f32; DEEP], digit: usize| -> f32 {
            let pairs = of_one.iter().zip(&means[digit]);
            pairs
                .map(|(a, sum)| (a - sum / counts[digit]).powi(2))
                .sum()
        };
        let tested = features(weights, new + 200..new + 400);
        let right = tested.iter().filter(|(of_one, digit)| {
            let nearest =
                (0..CLASSES).min_by(|a, b| distance(of_one, *a).total_cmp(&distance(of_one, *b)));
            nearest == Some(usize::from(*digit))
        });
        right.count() as f64 / tested.len() as f64
    }

    #[test]
    fn features_of_the_embedded_backbone_tell_digits_apart() {
        let [embedded, random] = [Weights::Digits, Weights::Random].map(nearest_mean);
        assert!(embedded > 0.9 && random < 0.5, "{embedded}, {random}");
    }
}
