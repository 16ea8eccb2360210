//! Semantic segmentation: one branch, the class probabilities of every pixel.

mod data;
mod sample;
mod score;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use autoloss_data::{
    Augmentation, Batch, DataError, Loader, LoaderSettings, Prepared, SegmentationData, Split,
    Summary,
};
use autoloss_expr::{Loss, NativeLoss, Shape};
use autoloss_metrics::{Metric, SegmentationScore, SegmentationSettings as ScoreSettings};
use autoloss_nets::{NetworkError, SegmentationNet};
use autoloss_search::{BranchSpec, EvaluationSet, InputSpec, Interrupt, Sample, TaskError};
use burn::module::Module;
use burn::tensor::{Device, activation};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use data::{Data, boundary_distance};
pub(super) use sample::sample;
pub use settings::SegmentationSettings;

use super::data::scored_at_most;
use super::errors::SetupError;
use super::pictures::{self, Panel};
use super::schedules::{OneTraining, zoo_baselines};
use crate::learner::{Learner, failed, on_threads, only_tree, split_of};
use crate::loss::{ClassLoss, host_values};
use crate::memory;
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};

/// The one branch, of the classes of pixels, with its inputs.
pub(super) fn branch_specs() -> Vec<BranchSpec> {
    vec![BranchSpec {
        name: "segmentation".to_owned(),
        inputs: InputSpec::probabilities_and_target(),
    }]
}

/// Semantic segmentation on a data set with a network and a metric.
pub(super) struct Segmentation {
    settings: SegmentationSettings,
    metric: Metric,
    data: Arc<dyn SegmentationData>,
    summary: Summary,
    /// The boundary distance in the pixels of the images as they are used.
    distance: u32,
    /// Device of trainings, with autodiff.
    device: Device,
    branches: Vec<BranchSpec>,
}

impl Segmentation {
    /// This task on data that refuse to give the examples of a split.
    #[cfg(test)]
    pub(super) fn refusing(mut self, split: Split) -> Self {
        self.data = Arc::new(crate::testing::Refusing {
            inner: self.data,
            split,
        });
        self
    }

    fn classes(&self) -> usize {
        self.data.class_names().len()
    }

    fn network(&self, seed: u64) -> Result<SegmentationNet, NetworkError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        SegmentationNet::init(
            &self.settings.network,
            self.classes(),
            &mut rng,
            &self.device,
        )
    }

    /// Settings of the metrics. The boundary distance is given for images of the data set's own size and shrinks
    /// with them.
    fn score_settings(&self, metrics: &[Metric]) -> ScoreSettings {
        ScoreSettings {
            classes: self.classes(),
            background: self.data.background(),
            distance: self.distance,
            metrics: metrics.to_vec(),
        }
    }

    /// Training examples, `batch` at once, made by `workers` threads.
    fn loader(
        &self,
        seed: u64,
        batch: usize,
        augmentation: Augmentation,
        workers: usize,
    ) -> Result<Loader, DataError> {
        let crop = self.settings.training.crop;
        let settings = LoaderSettings {
            batch,
            crop: (crop, crop),
            augmentation,
            workers,
            prefetch: 2 * workers,
        };
        Loader::new(Arc::clone(&self.data), Split::Train, settings, seed)
    }

    /// The first `count` training examples in an order that the seed gives, cropped but not varied.
    fn stored_batch(&self, count: usize, seed: u64) -> Result<Batch, DataError> {
        let mut loader = self.loader(seed, count, Augmentation::none(), 0)?;
        loader.next().expect("a loader never ends")
    }

    /// Screening samples from a batch and the untrained network's probabilities for it.
    fn samples_of(&self, batch: &Batch, probabilities: &[f32]) -> Result<Vec<Sample>, TaskError> {
        let shape = Shape::new(1, self.classes(), batch.h, batch.w);
        let settings = self.score_settings(&[self.metric]);
        let labels = batch.labels.chunks_exact(batch.h * batch.w);
        let predictions = probabilities.chunks_exact(shape.len());
        labels
            .zip(predictions)
            .map(|(labels, yhat)| sample(shape, labels, yhat.to_vec(), &settings, self.metric))
            .collect()
    }
}

impl Learner for Segmentation {
    type Net = SegmentationNet;

    fn training(&self) -> &TrainingSettings {
        &self.settings.training
    }

    fn searched_metric(&self) -> &str {
        self.metric.name()
    }

    fn note(&self) -> Option<String> {
        let scaled = self.distance != self.settings.boundary_distance;
        (self.metric.needs_edges() && scaled).then(|| {
            format!(
                "boundary distance: {} pixels in the reduced images, {} at full size",
                self.distance, self.settings.boundary_distance
            )
        })
    }

    fn summary(&self) -> Result<Summary, DataError> {
        Ok(self.summary.clone())
    }

    fn start(
        &self,
        loss: &Loss,
        seed: u64,
        done: usize,
    ) -> Result<(SegmentationNet, LossOf<'_, SegmentationNet>), TaskError> {
        let tree = only_tree(loss, &self.branches[0].name)?;
        let mut loss = ClassLoss::new(tree).map_err(failed)?;
        let training = &self.settings.training;
        let augmentation = self.settings.augmentation.clone();
        let loader = self.loader(seed, training.batch, augmentation, training.loader_threads);
        let mut loader = loader.map_err(failed)?;
        loader.skip_to(done as u64);
        let at = move |net: &SegmentationNet, _| {
            let batch = next_batch(&mut loader)?;
            let logits = net.forward(images(
                batch.images,
                [batch.n, batch.h, batch.w],
                &self.device,
            ));
            Ok(loss.at(&logits, &batch.labels))
        };
        Ok((self.network(seed).map_err(failed)?, Box::new(at)))
    }

    fn score(
        &self,
        net: &SegmentationNet,
        set: EvaluationSet,
        all: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        let metrics = match all {
            true => Metric::ALL.to_vec(),
            false => vec![self.metric],
        };
        let settings = self.score_settings(&metrics);
        let split = split_of(set);
        let count = match scored_at_most(set, self.settings.val_images) {
            0 => self.data.len(split),
            most => most.min(self.data.len(split)),
        };
        let examples = (0..count).map(|index| self.data.example(split, index));
        let score = score::score(net, &self.device, examples, &settings, interrupt)?;
        let named = |metric: &Metric| (metric.name().to_owned(), score.get(*metric));
        Ok(metrics.iter().map(named).collect())
    }

    fn pictures(&self, net: &SegmentationNet, count: usize) -> Result<Vec<Vec<u8>>, TrainError> {
        let net = net.valid();
        let device = self.device.clone().inner();
        let picture = |index: usize| {
            let example = self.data.example(Split::Val, index)?;
            let size = [example.width, example.height];
            let mut prepared = vec![Prepared::whole(&example)];
            let mut found = Vec::new();
            score::predict(&net, &device, &mut prepared, |_, labels| {
                found = labels.to_vec();
                Ok(())
            })?;
            Ok(pictures::png(&[
                Panel::of_image(&example.image, size),
                Panel::of_labels(&example.labels, size),
                Panel::of_labels(&found, size),
            ]))
        };
        let count = count.min(self.data.len(Split::Val));
        (0..count).map(picture).collect()
    }
}

impl OneTraining for Segmentation {
    type Settings = SegmentationSettings;
    type Data = Data;

    fn open(settings: &SegmentationSettings) -> Result<Data, SetupError> {
        data::open(settings)
    }

    fn over(
        settings: SegmentationSettings,
        (data, summary): Data,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let metric = Metric::from_name(&settings.metric)?;
        let task = Self {
            metric,
            data,
            summary,
            distance: boundary_distance(&settings)?,
            device: device.clone().autodiff(),
            branches: branch_specs(),
            settings,
        };
        SegmentationScore::new(task.score_settings(&[metric]))?;
        task.network(0)?;
        Ok(task)
    }

    fn settings(&self) -> &SegmentationSettings {
        &self.settings
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let crop = self.settings.training.crop;
        // Predictions, targets, and both in the network.
        memory::check("screening.samples", &[count, crop, crop, self.classes()], 4)
            .map_err(TaskError::Failed)?;
        let batch = self.stored_batch(count, seed).map_err(failed)?;
        let size = [batch.n, batch.h, batch.w];
        let probabilities = on_threads(self.settings.training.threads, || {
            let net = self.network(seed).map_err(failed)?;
            // On the training device batch normalisation uses the batch itself: its running
            // statistics are of no meaning yet.
            let logits = net.forward(images(batch.images.clone(), size, &self.device));
            Ok(host_values(&activation::softmax(logits, 1)))
        })??;
        self.samples_of(&batch, &probabilities)
    }

    fn surrogate(&self) -> Option<NativeLoss> {
        let name = format!("asl_{}", self.metric.name());
        let mut parameters = NativeLoss::new(&name, &[]).ok()?.parameters().to_vec();
        *parameters.last_mut()? = f64::from(self.distance.min(64));
        NativeLoss::new(&name, &parameters).ok()
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        zoo_baselines(&self.branches[0], ["cross_entropy", "dice"])
    }
}
