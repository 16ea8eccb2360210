//! Keypoints of persons: one branch, the heatmaps of a person's keypoints, as many as the data set has.
//!
//! Persons are cropped by their annotated boxes, in training and in scoring, so that nothing but the
//! keypoints is scored (Xiao et al. 2018 report that, too, beside boxes of a detector).
//!
//! Keypoints that are not labelled or outside the crop take no part: there both `yhat` and `y` are 0,
//! a perfect prediction, and no gradient flows.
//!
//! In order: data, network, screening samples (encode), metric of predictions (decode), training.

mod settings;

use std::sync::Arc;

use autoloss_data::{
    self as data, CachedScenes, CocoData, CropMap, DataError, Divided, ObjectData, Person,
    PersonAugmentation, PersonBatch, PersonLoader, PersonSize, PreparedPerson, Scene, Skeleton,
    Split, Summary, decode_heatmaps, keypoint_to_coco, persons,
};
use autoloss_expr::{Loss, Shape};
use autoloss_metrics::coco::{Annotations, Image, Kind, Prediction};
use autoloss_nets::{NetworkError, PoseNet};
use autoloss_scenes::Figures;
use autoloss_search::{
    BranchSample, BranchSpec, Evaluation, EvaluationSet, Interrupt, Job, Reporter, Sample,
    Schedule, Task, TaskError,
};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub use settings::PoseSettings;

use super::coco_metric::{CocoMetric, scored};
use super::schedules::Family;
use super::{EMBEDDED_COUNTED, SetupError, pictures, zoo_baselines};
use crate::coco_targets::{target, targets};
use crate::device::is_host;
use crate::learner::{self, Learner, PerSet, failed, on_threads, only_tree, split_of};
use crate::loss::{BranchFields, BranchLoss, LossAt, LossValue, all_finite, carrier, host_values};
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};

/// Persons that are scored in one forward pass.
const SCORED_TOGETHER: usize = 32;

/// Keypoints of persons on a data set with a network and a metric.
pub struct Pose {
    settings: PoseSettings,
    metric: CocoMetric,
    data: Arc<dyn ObjectData>,
    /// The persons to learn from.
    persons: Arc<[Person]>,
    /// The persons that are scored.
    scored: PerSet<Scored>,
    size: PersonSize,
    /// With autodiff.
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
        let most = match set {
            EvaluationSet::Search => 0,
            EvaluationSet::Validation => settings.val_images,
        };
        let targets = targets(data, split_of(set), most, Kind::Keypoints)?;
        let mut persons = persons(data, split_of(set))?;
        persons.retain(|person| person.scene < targets.images.len());
        Ok(Self { persons, targets })
    }
}

impl Pose {
    /// Opens and checks the data, and builds the network once to see that it can be built.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub fn new(settings: PoseSettings, device: &Device) -> Result<Self, SetupError> {
        settings.check()?;
        let data = open(&settings)?;
        Self::over(settings, data, device)
    }

    fn over(
        settings: PoseSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let metric = CocoMetric::from_name(&settings.metric, Kind::Keypoints)?;
        let device = device.clone().autodiff();
        let keypoints = data.skeleton().map_or(0, Skeleton::count);
        let task = Self {
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
            branches: super::name::Family::Pose.branches(),
            settings,
        };
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

    fn shape(&self, persons: usize) -> Shape {
        let [h, w] = self.size.heatmap();
        Shape::new(persons, self.size.keypoints, h, w)
    }

    /// What a network on a plain device finds for persons of a set.
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

    /// The loss of a batch: value, and a number whose backward pass gives its gradient.
    fn loss_at(&self, loss: &mut BranchLoss, heatmaps: &Tensor<4>, batch: &PersonBatch) -> LossAt {
        let on_device = match is_host(&heatmaps.device()) {
            true => None,
            false => self.on_device(loss, heatmaps, batch),
        };
        on_device.unwrap_or_else(|| self.on_host(loss, heatmaps, batch))
    }

    /// The same by Burn; `None` for a loss that the host alone computes.
    fn on_device(
        &self,
        loss: &BranchLoss,
        heatmaps: &Tensor<4>,
        batch: &PersonBatch,
    ) -> Option<LossAt> {
        let (dims, device) = (heatmaps.dims(), heatmaps.device());
        let counts: Vec<bool> = batch.counts.concat();
        let counts = TensorData::new(counts, [dims[0], dims[1], 1, 1]);
        let uncounted = Tensor::<4, Bool>::from_data(counts, &device).bool_not();
        let yhat = heatmaps.clone().mask_fill(uncounted.expand(dims), 0.0);
        let y = TensorData::new(batch.heatmaps.clone(), dims);
        let root = loss.on_device(vec![yhat, Tensor::from_data(y, &device)])?;
        Some(LossAt::on_device(root))
    }

    fn on_host(&self, loss: &mut BranchLoss, heatmaps: &Tensor<4>, batch: &PersonBatch) -> LossAt {
        let mut yhat = host_values(heatmaps);
        self.for_uncounted(batch, |range| yhat[range].fill(0.0));
        let fields = BranchFields {
            shape: self.shape(batch.maps.len()),
            inputs: vec![yhat, batch.heatmaps.clone()],
            derived: None,
        };
        let (loss_value, gradient) = loss.at(&fields);
        let mut gradient = gradient.to_vec();
        self.for_uncounted(batch, |range| gradient[range].fill(0.0));
        let gradient_is_finite = all_finite(&gradient);
        LossAt {
            loss_value: LossValue::Known(loss_value),
            root: carrier(heatmaps, gradient),
            gradient_is_finite,
        }
    }

    /// Calls `f` with the elements of every heatmap that takes no part; its target is 0.
    fn for_uncounted(&self, batch: &PersonBatch, mut f: impl FnMut(std::ops::Range<usize>)) {
        let [h, w] = self.size.heatmap();
        for (heatmap, counts) in batch.counts.iter().flatten().enumerate() {
            if !counts {
                f(heatmap * h * w..(heatmap + 1) * h * w);
            }
        }
    }

    /// The screening sample of a person with the untrained network's heatmaps.
    fn sample(&self, prepared: PreparedPerson, alone: Annotations, yhat: Vec<f32>) -> Sample {
        let mut inputs = vec![yhat, prepared.heatmaps.clone()];
        let (map, size, metric) = (prepared.map, self.size, self.metric);
        let person = alone.targets.first().map_or(1, |target| target.category_id);
        let batch = PersonBatch::stack(&[prepared]);
        self.for_uncounted(&batch, |range| inputs[0][range].fill(0.0));
        let score = move |heatmaps: &[f32]| {
            let of = (alone.images[0].id, person);
            let found = keypoints(heatmaps, &map, size, of);
            metric.of(&scored(&alone, vec![found]))
        };
        // Heatmaps are coarse, and what is beyond the crop is not found: as a share of what the
        // targets themselves reach.
        let best = score(&inputs[1]);
        let scorer = move |predictions: &[&[f32]]| match best > 0.0 {
            true => score(predictions[0]) / best,
            false => 0.0,
        };
        Sample {
            branches: vec![BranchSample::only(self.shape(1), inputs)],
            scorer: Box::new(scorer),
        }
    }

    /// One person of an image as all there is to find.
    fn alone(&self, scene: &Scene, object: usize) -> Annotations {
        let target = target(&scene.objects[object], scene, Kind::Keypoints);
        Annotations {
            images: vec![Image {
                id: scene.id,
                ..Image::default()
            }],
            categories: self
                .scored
                .get(EvaluationSet::Search)
                .targets
                .categories
                .clone(),
            targets: target.into_iter().collect(),
            ..Annotations::empty(Kind::Keypoints)
        }
    }
}

/// The category of an object as [`targets`] have it.
fn category(scene: &Scene, object: usize) -> i64 {
    i64::try_from(scene.objects[object].class).map_or(i64::MAX, |class| class + 1)
}

/// The keypoints that heatmaps of a crop show, as a COCO result of an image and a category.
fn keypoints(
    heatmaps: &[f32],
    map: &CropMap,
    size: PersonSize,
    (image_id, category_id): (i64, i64),
) -> Prediction {
    let found = decode_heatmaps(heatmaps, size);
    let score = found.iter().map(|point| point[2]).sum::<f32>() / found.len() as f32;
    let points = found.into_iter().map(|[x, y, score]| {
        let [x, y] = map.to_image([x, y]);
        let [x, y, _] = keypoint_to_coco([x, y, 1.0]);
        [x, y, f64::from(score)]
    });
    Prediction::of_keypoints(image_id, category_id, score.into(), points.collect())
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
            Ok(self.loss_at(&mut loss, &heatmaps, &batch))
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

impl Task for Pose {
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
        zoo_baselines(&self.branches[0], ["mse", "ohkm"])
    }
}

impl Family for Pose {
    type Settings = PoseSettings;
    type Data = Arc<dyn ObjectData>;

    fn new(settings: PoseSettings, device: &Device) -> Result<Self, SetupError> {
        Self::new(settings, device)
    }

    fn data(&self) -> Arc<dyn ObjectData> {
        Arc::clone(&self.data)
    }

    fn over(
        settings: PoseSettings,
        data: Arc<dyn ObjectData>,
        device: &Device,
    ) -> Result<Self, SetupError> {
        Self::over(settings, data, device)
    }

    fn same_data(one: &PoseSettings, other: &PoseSettings) -> bool {
        let other = other.clone();
        let alike = PoseSettings {
            crop_size: other.crop_size,
            sigma: other.sigma,
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
fn open(settings: &PoseSettings) -> Result<Arc<dyn ObjectData>, SetupError> {
    let data: Arc<dyn ObjectData> = match &settings.data {
        None => Arc::new(Figures::new(settings.figures.clone())?),
        Some(dir) => {
            let sigmas = (!settings.sigmas.is_empty()).then_some(&settings.sigmas[..]);
            Arc::new(CocoData::open(dir, Kind::Keypoints, sigmas)?)
        }
    };
    let bytes = settings.cache_mb.saturating_mul(1 << 20);
    let cached = Arc::new(CachedScenes::new(data, bytes));
    Ok(Arc::new(Divided::objects(cached, settings.hold_out())?))
}
