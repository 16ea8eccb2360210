//! Keypoints of persons: one branch, the heatmaps of a person's keypoints, as many as the data set has.
//!
//! Persons are cropped by their annotated boxes, in training and in scoring, so that nothing but the
//! keypoints is scored (Xiao et al. 2018 report that, too, beside boxes of a detector).
//!
//! Keypoints that are not labelled or outside the crop take no part: there both `yhat` and `y` are 0,
//! a perfect prediction, and no gradient flows.

mod results;
mod sample;
mod settings;
mod target;

use std::sync::Arc;

use autoloss_data::{
    CocoData, DataError, ObjectData, Person, PersonAugmentation, PersonBatch, PersonLoader,
    PersonSize, PreparedPerson, Skeleton, Split, Summary, persons,
};
use autoloss_expr::{Loss, Shape};
use autoloss_metrics::coco::{Annotations, Kind, Prediction};
use autoloss_nets::{NetworkError, PoseNet};
use autoloss_scenes::Figures;
use autoloss_search::{BranchSpec, EvaluationSet, InputSpec, Interrupt, Sample, TaskError};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub use settings::PoseSettings;

use results::{category, keypoints};
use target::Heatmaps;

use super::coco_metric::{CocoMetric, scored};
use super::data::{divided_scenes, scored_at_most, summary_of_scenes};
use super::errors::SetupError;
use super::keys::FamilyKeys;
use super::pictures;
use super::schedules::{OneTraining, zoo_baselines};
use crate::coco_targets::targets;
use crate::learner::{Learner, PerSet, failed, on_threads, only_tree, split_of};
use crate::loss::{BranchLoss, host_values};
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};

/// Persons that are scored in one forward pass.
const SCORED_TOGETHER: usize = 32;

/// The one branch, of the heatmaps of keypoints, with its inputs.
pub(super) fn branch_specs() -> Vec<BranchSpec> {
    vec![BranchSpec {
        name: "heatmap".to_owned(),
        inputs: InputSpec::numbers_and_target(),
    }]
}

/// Keypoints of persons on a data set with a network and a metric.
pub(super) struct Pose {
    settings: PoseSettings,
    metric: CocoMetric,
    data: Arc<dyn ObjectData>,
    /// The persons to learn from.
    persons: Arc<[Person]>,
    /// The persons that are scored.
    scored: PerSet<Scored>,
    size: PersonSize,
    /// Device of trainings, with autodiff.
    device: Device,
    branches: Vec<BranchSpec>,
}

/// The persons of a set that are scored.
struct Scored {
    persons: Vec<Person>,
    /// Their keypoints.
    targets: Annotations,
}

impl Scored {
    fn new(
        data: &dyn ObjectData,
        set: EvaluationSet,
        settings: &PoseSettings,
    ) -> Result<Self, DataError> {
        let most = scored_at_most(set, settings.val_images);
        let targets = targets(data, split_of(set), most, Kind::Keypoints)?;
        let mut persons = persons(data, split_of(set))?;
        persons.retain(|person| person.scene < targets.images.len());
        Ok(Self { persons, targets })
    }
}

impl Pose {
    /// This task on data that refuse to give the examples of a split.
    #[cfg(test)]
    pub(super) fn refusing(mut self, split: Split) -> Self {
        self.data = Arc::new(crate::testing::Refusing {
            inner: self.data,
            split,
        });
        self
    }

    fn loader(
        &self,
        seed: u64,
        batch: usize,
        augmentation: PersonAugmentation,
        threads: usize,
    ) -> Result<PersonLoader, DataError> {
        PersonLoader::persons(
            Arc::clone(&self.data),
            Arc::clone(&self.persons),
            (self.size, augmentation),
            (batch, threads),
            seed,
        )
    }

    fn heatmaps(&self, net: &PoseNet, batch: &PersonBatch, device: &Device) -> Tensor<4> {
        let [h, w] = self.size.crop;
        net.forward(images(
            batch.images.clone(),
            [batch.maps.len(), h, w],
            device,
        ))
    }

    /// The target of a loss of heatmaps.
    fn target<'a>(&self, batch: &'a PersonBatch) -> Heatmaps<'a> {
        Heatmaps {
            batch,
            size: self.size.heatmap(),
        }
    }

    fn shape(&self, persons: usize) -> Shape {
        let [h, w] = self.size.heatmap();
        Shape::new(persons, self.size.keypoints, h, w)
    }

    /// Results of a network on a plain device for persons of a set.
    fn find(
        &self,
        net: &PoseNet,
        set: EvaluationSet,
        persons: &[Person],
    ) -> Result<Vec<Prediction>, TrainError> {
        let mut of = Vec::with_capacity(persons.len());
        let mut prepared = Vec::with_capacity(persons.len());
        for person in persons {
            let scene = self.data.scene(split_of(set), person.scene)?;
            of.push((scene.id, category(&scene, person.object)));
            prepared.push(PreparedPerson::whole(&scene, person.object, self.size));
        }
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let batch = PersonBatch::stack(&prepared);
        let heatmaps = host_values(&self.heatmaps(net, &batch, &self.device.clone().inner()));
        let [h, w] = self.size.heatmap();
        let each = heatmaps.chunks_exact(self.size.keypoints * h * w);
        let each = each.zip(&batch.maps).zip(of);
        let found = each.map(|((heatmaps, map), of)| keypoints(heatmaps, map, self.size, of));
        Ok(found.collect())
    }
}

fn network(
    settings: &PoseSettings,
    keypoints: usize,
    seed: u64,
    device: &Device,
) -> Result<PoseNet, NetworkError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    PoseNet::init(&settings.network, keypoints, &mut rng, device)
}

impl Learner for Pose {
    type Net = PoseNet;

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
    ) -> Result<(PoseNet, LossOf<'_, PoseNet>), TaskError> {
        let spec = &self.branches[0];
        let tree = only_tree(loss, &spec.name)?;
        let mut loss = BranchLoss::new(tree, spec).map_err(failed)?;
        let training = &self.settings.training;
        let augmentation = self.settings.augmentation.clone();
        let loader = self.loader(seed, training.batch, augmentation, training.loader_threads);
        let mut loader = loader.map_err(failed)?;
        loader.skip_to(done as u64);
        let at = move |net: &PoseNet, _| {
            let batch = next_batch(&mut loader)?;
            let heatmaps = self.heatmaps(net, &batch, &self.device);
            Ok(loss.at_partial(&heatmaps, &self.target(&batch)))
        };
        let net =
            network(&self.settings, self.size.keypoints, seed, &self.device).map_err(failed)?;
        Ok((net, Box::new(at)))
    }

    fn score(
        &self,
        net: &PoseNet,
        set: EvaluationSet,
        all: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        let net = net.valid();
        let Scored { persons, targets } = self.scored.get(set);
        let mut results = Vec::with_capacity(persons.len());
        for persons in persons.chunks(SCORED_TOGETHER) {
            if interrupt.is_set() {
                return Err(TrainError::Interrupted);
            }
            results.extend(self.find(&net, set, persons)?);
        }
        Ok(self.metric.values(&scored(targets, results), all))
    }

    fn pictures(&self, net: &PoseNet, count: usize) -> Result<Vec<Vec<u8>>, TrainError> {
        let set = EvaluationSet::Validation;
        let Scored { persons, targets } = self.scored.get(set);
        let count = count.min(self.data.len(Split::Val));
        let shown = persons.iter().filter(|person| person.scene < count);
        let found = self.find(&net.valid(), set, &shown.copied().collect::<Vec<_>>())?;
        pictures::of_scenes(&*self.data, count, targets, &found)
    }
}

impl OneTraining for Pose {
    type Settings = PoseSettings;
    type Data = Arc<dyn ObjectData>;

    fn open(settings: &PoseSettings) -> Result<Arc<dyn ObjectData>, SetupError> {
        let data: Arc<dyn ObjectData> = match &settings.data {
            None => Arc::new(Figures::new(settings.figures.clone())?),
            Some(dir) => {
                let sigmas = (!settings.sigmas.is_empty()).then_some(&settings.sigmas[..]);
                Arc::new(CocoData::open(dir, Kind::Keypoints, sigmas)?)
            }
        };
        Ok(divided_scenes(data, settings.common())?)
    }

    fn over(
        settings: PoseSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let metric = CocoMetric::from_name(&settings.metric, Kind::Keypoints)?;
        let device = device.clone().autodiff();
        let keypoints = data.skeleton().map_or(0, Skeleton::count);
        Ok(Self {
            metric,
            persons: persons(&*data, Split::Train)?.into(),
            scored: PerSet::new(|set| Scored::new(&*data, set, &settings))?,
            data,
            size: PersonSize {
                keypoints,
                crop: settings.crop_size,
                stride: network(&settings, keypoints, 0, &device)?.stride(),
                sigma: settings.sigma,
            },
            device,
            branches: branch_specs(),
            settings,
        })
    }

    fn settings(&self) -> &PoseSettings {
        &self.settings
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        on_threads(self.settings.training.threads, || {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = count.min(self.persons.len());
            let chosen = rand::seq::index::sample(&mut rng, self.persons.len(), count);
            let chosen: Vec<Person> = chosen.into_iter().map(|i| self.persons[i]).collect();
            let (mut prepared, mut alone) = (Vec::new(), Vec::new());
            for person in chosen {
                let scene = self.data.scene(Split::Train, person.scene);
                let scene = scene.map_err(failed)?;
                prepared.push(PreparedPerson::whole(&scene, person.object, self.size));
                alone.push(self.alone(&scene, person.object));
            }
            let batch = PersonBatch::stack(&prepared);
            let net =
                network(&self.settings, self.size.keypoints, seed, &self.device).map_err(failed)?;
            // On the training device batch normalisation uses the batch itself: its running
            // statistics are of no meaning yet.
            let heatmaps = host_values(&self.heatmaps(&net, &batch, &self.device));
            let each = heatmaps.chunks_exact(self.shape(1).len());
            let each = each.zip(prepared.into_iter().zip(alone));
            Ok(each
                .map(|(yhat, (prepared, alone))| self.sample(prepared, alone, yhat.to_vec()))
                .collect())
        })?
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        zoo_baselines(&self.branches[0], ["mse", "ohkm"])
    }
}
