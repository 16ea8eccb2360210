//! Object detection and instance segmentation: a class and a box branch for the proposals of the
//! first stage and for the regions of the second, and a branch for masks.

mod areas;
mod assign;
mod branches;
mod codec;
mod detections;
mod loss;
mod masks;
mod output;
mod proposals;
mod score;
mod screen;
mod settings;
mod step;

use std::ops::Range;
use std::sync::Arc;

use autoloss_data::{
    Augmentation, CocoData, DataError, ObjectData, PreparedScene, SceneBatch, SceneLoader,
    SceneSize, Split, Summary,
};
use autoloss_expr::{Branch, Loss, ZooLoss};
use autoloss_metrics::coco::{Annotations, Kind, Prediction};
use autoloss_nets::{DetectionNet, NetworkError};
use autoloss_scenes::Digits;
use autoloss_search::{BranchSpec, EvaluationSet, Interrupt, Sample, TaskError};
use burn::module::Module;
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub(super) use branches::specs as branch_specs;
pub use settings::{DetectionSettings, DetectorSettings};

use super::coco_metric::{CocoMetric, scored};
use super::data::{divided_scenes, scored_at_most, summary_of_scenes};
use super::errors::SetupError;
use super::keys::FamilyKeys;
use super::pictures;
use super::schedules::OneTraining;
use crate::coco_targets::targets;
use crate::learner::{Learner, PerSet, failed, on_threads, split_of};
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};
use loss::DetectionLoss;
use screen::Sampling;
use step::{Added, Draws, Pass};

/// Images that are scored in one forward pass.
const SCORED_TOGETHER: usize = 8;

/// Object detection or instance segmentation on a data set with a network and a metric.
pub(super) struct Detection {
    settings: DetectionSettings,
    metric: CocoMetric,
    data: Arc<dyn ObjectData>,
    /// The objects in the images that are scored.
    targets: PerSet<Annotations>,
    /// Device of trainings, with autodiff.
    device: Device,
    branches: Vec<BranchSpec>,
}

impl Detection {
    /// This task on data that refuse to give the examples of a split.
    #[cfg(test)]
    pub(super) fn refusing(mut self, split: Split) -> Self {
        self.data = Arc::new(crate::testing::Refusing {
            inner: self.data,
            split,
        });
        self
    }

    fn sampling(&self) -> Sampling<'_> {
        Sampling {
            specs: &self.branches,
            detector: &self.settings.detector,
            metric: self.metric,
            kind: self.settings.kind(),
        }
    }

    fn network(&self, seed: u64) -> Result<DetectionNet, NetworkError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let classes = self.data.class_names().len();
        DetectionNet::init(&self.settings.network, classes, &mut rng, &self.device)
    }

    fn size(&self) -> SceneSize {
        SceneSize {
            short_side: self.settings.short_side,
            long_side: self.settings.long_side,
            divisor: 32,
        }
    }

    fn loader(
        &self,
        seed: u64,
        batch: usize,
        augmentation: Augmentation,
        threads: usize,
    ) -> Result<SceneLoader, TaskError> {
        SceneLoader::scenes(
            Arc::clone(&self.data),
            Split::Train,
            (self.size(), augmentation),
            (batch, threads),
            seed,
        )
        .map_err(failed)
    }

    fn pass(&self, net: &DetectionNet, batch: &SceneBatch, draws: Draws, added: Added) -> Pass {
        let size = [batch.n, batch.h, batch.w];
        let images = images(batch.images.clone(), size, &self.device);
        let detector = &self.settings.detector;
        Pass::new(net, images, &batch.items, detector, draws, added)
    }

    /// Results of a network on a plain device for images of a set.
    fn find(
        &self,
        net: &DetectionNet,
        set: EvaluationSet,
        range: Range<usize>,
    ) -> Result<Vec<Prediction>, TrainError> {
        let scenes = range.map(|index| {
            let scene = self.data.scene(split_of(set), index)?;
            Ok(PreparedScene::whole(&scene, self.size()))
        });
        let batch = SceneBatch::stack(scenes.collect::<Result<Vec<_>, TrainError>>()?, 32)?;
        let size = [batch.n, batch.h, batch.w];
        let images = images(batch.images, size, &self.device.clone().inner());
        Ok(score::results(
            net,
            images,
            &batch.items,
            &self.settings.detector,
        ))
    }

    /// Losses of the zoo by name, in the order of the branches; names of branches that are not there are left out.
    fn baseline(&self, names: [&str; 5]) -> Loss {
        let branches = self.branches.iter().zip(names);
        let branch = |(spec, name): (&BranchSpec, &str)| Branch {
            name: spec.name.clone(),
            tree: ZooLoss::from_name(name)
                .expect("in the zoo, as tested")
                .tree(),
        };
        Loss {
            branches: branches.map(branch).collect(),
        }
    }
}

impl Learner for Detection {
    type Net = DetectionNet;

    fn training(&self) -> &TrainingSettings {
        &self.settings.training
    }

    fn searched_metric(&self) -> &str {
        self.metric.name()
    }

    fn summary(&self) -> Result<Summary, DataError> {
        summary_of_scenes(&*self.data, self.settings.name)
    }

    fn start(
        &self,
        loss: &Loss,
        seed: u64,
        done: usize,
    ) -> Result<(DetectionNet, LossOf<'_, DetectionNet>), TaskError> {
        let mut loss = DetectionLoss::new(loss, &self.branches).map_err(failed)?;
        let training = &self.settings.training;
        let augmentation = self.settings.augmentation.clone();
        let mut loader =
            self.loader(seed, training.batch, augmentation, training.loader_threads)?;
        loader.skip_to(done as u64);
        let at = move |net: &DetectionNet, update: usize| {
            let batch = next_batch(&mut loader)?;
            let draws = Draws {
                seed,
                update: update as u64,
            };
            Ok(loss.at(&self.pass(net, &batch, draws, Added::Objects), &batch))
        };
        Ok((self.network(seed).map_err(failed)?, Box::new(at)))
    }

    fn score(
        &self,
        net: &DetectionNet,
        set: EvaluationSet,
        all: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        let net = net.valid();
        let mut results = Vec::new();
        let targets = self.targets.get(set);
        let total = targets.images.len();
        for first in (0..total).step_by(SCORED_TOGETHER) {
            if interrupt.is_set() {
                return Err(TrainError::Interrupted);
            }
            results.extend(self.find(&net, set, first..total.min(first + SCORED_TOGETHER))?);
        }
        Ok(self.metric.values(&scored(targets, results), all))
    }

    fn pictures(&self, net: &DetectionNet, count: usize) -> Result<Vec<Vec<u8>>, TrainError> {
        let set = EvaluationSet::Validation;
        let targets = self.targets.get(set);
        let count = count.min(targets.images.len());
        let found = self.find(&net.valid(), set, 0..count)?;
        pictures::of_scenes(&*self.data, count, targets, &found)
    }
}

impl OneTraining for Detection {
    type Settings = DetectionSettings;
    type Data = Arc<dyn ObjectData>;

    fn open(settings: &DetectionSettings) -> Result<Arc<dyn ObjectData>, SetupError> {
        let data: Arc<dyn ObjectData> = match &settings.data {
            None => Arc::new(Digits::new(settings.digits.clone())?),
            Some(dir) => Arc::new(CocoData::open(dir, settings.kind(), None)?),
        };
        Ok(divided_scenes(data, settings.common())?)
    }

    fn over(
        settings: DetectionSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let kind = settings.kind();
        let task = Self {
            metric: CocoMetric::from_name(&settings.metric, kind)?,
            targets: PerSet::new(|set| {
                let most = scored_at_most(set, settings.val_images);
                targets(&*data, split_of(set), most, kind)
            })?,
            data,
            device: device.clone().autodiff(),
            branches: branch_specs(kind == Kind::Mask),
            settings,
        };
        task.network(0)?;
        Ok(task)
    }

    fn settings(&self) -> &DetectionSettings {
        &self.settings
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        on_threads(self.settings.training.threads, || {
            let net = self.network(seed).map_err(failed)?;
            let batch = self.settings.training.batch.max(count);
            let mut loader = self.loader(seed, batch, Augmentation::none(), 0)?;
            let mut samples = Vec::with_capacity(count);
            // Images without an object for each branch are passed over, but not for ever.
            for number in 0..=count as u64 + 20 {
                let batch = next_batch(&mut loader).map_err(failed)?;
                let draws = Draws {
                    seed,
                    update: number,
                };
                // On the training device batch normalisation uses the batch itself: its running
                // statistics are of no meaning yet.
                let pass = self.pass(&net, &batch, draws, Added::Near);
                let sample = |image| self.sampling().sample(&pass, &batch.items, image);
                samples.extend((0..batch.n).filter_map(sample));
                if samples.len() >= count {
                    break;
                }
            }
            samples.truncate(count);
            Ok(samples)
        })?
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        let ce = "cross_entropy";
        [
            ("ce_smooth_l1", [ce, "smooth_l1", ce, "smooth_l1", ce]),
            ("ce_giou", [ce, "smooth_l1", ce, "giou", ce]),
        ]
        .map(|(name, losses)| (name.to_owned(), self.baseline(losses)))
        .to_vec()
    }
}
