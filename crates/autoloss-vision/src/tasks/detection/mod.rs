//! Object detection and instance segmentation: a class and a box branch for the proposals of the
//! first stage and for the regions of the second, and a branch for masks.
//!
//! In order: data, network, screening samples (encode), metric of predictions (decode), training.

mod assign;
mod branches;
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
    self as data, Augmentation, CachedScenes, CocoData, DataError, Divided, ObjectData,
    PreparedScene, SceneBatch, SceneLoader, SceneSize, Split, Summary,
};
use autoloss_expr::{Branch, Loss, ZooLoss};
use autoloss_metrics::coco::{Annotations, Kind, Prediction};
use autoloss_nets::{DetectionNet, NetworkError};
use autoloss_scenes::Digits;
use autoloss_search::{
    BranchSpec, Evaluation, EvaluationSet, Interrupt, Job, Reporter, Sample, Schedule, Task,
    TaskError,
};
use burn::module::Module;
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub(super) use branches::specs as branch_specs;
pub use settings::{DetectionSettings, DetectorSettings};

use super::coco_metric::{CocoMetric, scored};
use super::schedules::Family;
use super::{EMBEDDED_COUNTED, SetupError, pictures};
use crate::coco_targets::targets;
use crate::learner::{self, Learner, PerSet, failed, on_threads, split_of};
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};
use loss::DetectionLoss;
use step::{Added, Draws, Pass};

/// Images that are scored in one forward pass.
const SCORED_TOGETHER: usize = 8;

/// Object detection or instance segmentation on a data set with a network and a metric.
pub struct Detection {
    settings: DetectionSettings,
    metric: CocoMetric,
    data: Arc<dyn ObjectData>,
    /// What is to be found in the images that are scored.
    targets: PerSet<Annotations>,
    /// With autodiff.
    device: Device,
    branches: Vec<BranchSpec>,
}

impl Detection {
    /// Opens and checks the data, and builds the network once to see that it can be built.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub fn new(settings: DetectionSettings, device: &Device) -> Result<Self, SetupError> {
        settings.check()?;
        let data = open(&settings, settings.kind())?;
        Self::over(settings, data, device)
    }

    fn over(
        settings: DetectionSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let kind = settings.kind();
        let metric = CocoMetric::from_name(&settings.metric, kind)?;
        let task = Self {
            metric,
            targets: PerSet::new(|set| {
                let most = match set {
                    EvaluationSet::Search => 0,
                    EvaluationSet::Validation => settings.val_images,
                };
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

    /// The same on data that refuse to give the examples of a split.
    #[cfg(test)]
    pub(super) fn refusing(mut self, split: Split) -> Self {
        self.data = Arc::new(crate::testing::Refusing {
            inner: self.data,
            split,
        });
        self
    }

    fn kind(&self) -> Kind {
        self.settings.kind()
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

    /// What a network on a plain device finds in images of a set.
    fn find(
        &self,
        net: &DetectionNet,
        set: EvaluationSet,
        images: Range<usize>,
    ) -> Result<Vec<Prediction>, TrainError> {
        let scenes = images.map(|index| {
            let scene = self.data.scene(split_of(set), index)?;
            Ok(PreparedScene::whole(&scene, self.size()))
        });
        let batch = SceneBatch::stack(scenes.collect::<Result<Vec<_>, TrainError>>()?, 32)?;
        let size = [batch.n, batch.h, batch.w];
        let images = crate::train::images(batch.images, size, &self.device.clone().inner());
        Ok(score::results(
            net,
            images,
            &batch.items,
            &self.settings.detector,
        ))
    }

    /// The losses of the zoo by name, one for each branch there is.
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
        let most = match self.settings.name.is_embedded() {
            true => EMBEDDED_COUNTED,
            false => usize::MAX,
        };
        data::of_scenes(&*self.data, most)
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

impl Task for Detection {
    fn name(&self) -> &str {
        self.settings.name.name()
    }

    fn metric(&self) -> &str {
        self.metric.name()
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
                let sample = |image| {
                    let (settings, metric) = (&self.settings.detector, (self.metric, self.kind()));
                    screen::sample(&pass, &batch.items, image, &self.branches, settings, metric)
                };
                samples.extend((0..batch.n).filter_map(sample));
                if samples.len() >= count {
                    break;
                }
            }
            samples.truncate(count);
            Ok(samples)
        })?
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        learner::evaluate(self, loss, job, interrupt, report)
    }

    fn expected_seconds(&self, _schedule: Schedule) -> Result<Option<f64>, TaskError> {
        learner::expected_seconds(self)
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

impl Family for Detection {
    type Settings = DetectionSettings;
    type Data = Arc<dyn ObjectData>;

    fn new(settings: DetectionSettings, device: &Device) -> Result<Self, SetupError> {
        Self::new(settings, device)
    }

    fn data(&self) -> Arc<dyn ObjectData> {
        Arc::clone(&self.data)
    }

    fn over(
        settings: DetectionSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        Self::over(settings, data, device)
    }

    fn same_data(one: &DetectionSettings, other: &DetectionSettings) -> bool {
        let other = other.clone();
        let alike = DetectionSettings {
            short_side: other.short_side,
            long_side: other.long_side,
            detector: other.detector.clone(),
            val_images: other.val_images,
            network: other.network.clone(),
            training: other.training.clone(),
            augmentation: other.augmentation.clone(),
            ..one.clone()
        };
        alike == other
    }
}

/// The data set as trainings see it: checked, kept in memory, divided.
fn open(settings: &DetectionSettings, kind: Kind) -> Result<Arc<dyn ObjectData>, SetupError> {
    let data: Arc<dyn ObjectData> = match &settings.data {
        None => Arc::new(Digits::new(settings.digits.clone())?),
        Some(dir) => Arc::new(CocoData::open(dir, kind, None)?),
    };
    let bytes = settings.cache_mb.saturating_mul(1 << 20);
    let cached = Arc::new(CachedScenes::new(data, bytes));
    Ok(Arc::new(Divided::objects(cached, settings.hold_out())?))
}
