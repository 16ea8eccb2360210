//! Semantic segmentation: one branch, the class probabilities of every pixel.
//!
//! In order: data, network, screening samples (encode), metric of predictions (decode), training.

mod settings;

use std::sync::Arc;

use autoloss_data::{
    self as data, Augmentation, Batch, Cached, DataError, Divided, Example, Loader, LoaderSettings,
    Pictures, Prepared, Resized, SegmentationData, Split, Summary,
};
use autoloss_expr::{Loss, NativeLoss, Shape};
use autoloss_metrics::{
    Metric, SegmentationScore, SegmentationSettings as ScoreSettings, SegmentationTarget,
    argmax_channels,
};
use autoloss_nets::{NetworkError, SegmentationNet};
use autoloss_scenes::Digits;
use autoloss_search::{
    BranchSample, BranchSpec, Evaluation, EvaluationSet, Interrupt, Job, Reporter, Sample,
    Schedule, Task, TaskError,
};
use burn::module::Module;
use burn::tensor::{Device, activation};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub use settings::SegmentationSettings;

use super::pictures::Panel;
use super::schedules::Family;
use super::{EMBEDDED_COUNTED, SetupError, TaskName, pictures, zoo_baselines};
use crate::learner::{self, Learner, failed, on_threads, only_tree, split_of};
use crate::loss::{ClassLoss, for_ignored, host_values, one_hot};
use crate::memory;
use crate::train::{LossOf, TrainError, TrainingSettings, images, next_batch};

/// Semantic segmentation on a data set with a network and a metric.
pub struct Segmentation {
    settings: SegmentationSettings,
    metric: Metric,
    data: Arc<dyn SegmentationData>,
    summary: Summary,
    /// The boundary distance in the pixels of the images as they are used.
    distance: u32,
    /// With autodiff.
    device: Device,
    branches: Vec<BranchSpec>,
}

impl Segmentation {
    /// Opens and checks the data, and builds the network once to see that it can be built.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub fn new(settings: SegmentationSettings, device: &Device) -> Result<Self, SetupError> {
        settings.check()?;
        let data = open(&settings)?;
        Self::over(settings, data, device)
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
            branches: super::name::Family::Segmentation.branches(),
            settings,
        };
        SegmentationScore::new(task.score_settings(&[metric]))?;
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

    /// How predictions are scored; the boundary distance belongs to images of the data set's own
    /// size and shrinks with them.
    fn score_settings(&self, metrics: &[Metric]) -> ScoreSettings {
        ScoreSettings {
            classes: self.classes(),
            background: self.data.background(),
            distance: self.distance,
            metrics: metrics.to_vec(),
        }
    }

    fn loader(&self, seed: u64) -> Result<Loader, DataError> {
        let training = &self.settings.training;
        let settings = LoaderSettings {
            batch: training.batch,
            crop: (training.crop, training.crop),
            augmentation: self.settings.augmentation.clone(),
            workers: training.loader_threads,
            prefetch: 2 * training.loader_threads,
        };
        Loader::new(Arc::clone(&self.data), Split::Train, settings, seed)
    }

    /// The first `count` training examples in an order that the seed gives, cropped but not varied.
    fn stored_batch(&self, count: usize, seed: u64) -> Result<Batch, DataError> {
        let crop = self.settings.training.crop;
        let settings = LoaderSettings {
            batch: count,
            crop: (crop, crop),
            augmentation: Augmentation::none(),
            workers: 0,
            prefetch: 0,
        };
        let mut loader = Loader::new(Arc::clone(&self.data), Split::Train, settings, seed)?;
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

/// The boundary distance in the pixels of the reduced images, at least 1.
fn boundary_distance(settings: &SegmentationSettings) -> Result<u32, DataError> {
    let full = settings.boundary_distance;
    if settings.longest_side == 0 {
        return Ok(full);
    }
    let original = open_original(settings)?.example(Split::Val, 0)?;
    let longer = original.width.max(original.height);
    let share = settings.longest_side.min(longer) as f64 / longer as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32"
    )]
    Ok(((f64::from(full) * share).round() as u32).max(1))
}

/// One screening sample; ignored pixels are predicted perfectly from the start, as in training.
pub(super) fn sample(
    shape: Shape,
    labels: &[u8],
    mut yhat: Vec<f32>,
    settings: &ScoreSettings,
    metric: Metric,
) -> Result<Sample, TaskError> {
    let y = one_hot(labels, shape);
    for_ignored(labels, shape, |i| yhat[i] = y[i]);
    let target = SegmentationTarget::new(labels.to_vec(), shape.w, shape.h, settings);
    let target = target.map_err(failed)?;
    let settings = settings.clone();
    let scorer = move |predictions: &[&[f32]]| {
        let pixels = shape.h * shape.w;
        let mut labels = vec![0; pixels];
        let mut score = SegmentationScore::new(settings.clone()).expect("settings checked above");
        let found = argmax_channels(predictions[0], shape.c, pixels, &mut labels);
        // What is predicted for an ignored pixel is uniform, so that the largest class would be the
        // first by its place alone, and make edges.
        for (label, target) in labels.iter_mut().zip(target.labels()) {
            if usize::from(*target) >= shape.c {
                *label = data::IGNORE;
            }
        }
        found
            .and_then(|()| score.score(&target, &labels, metric))
            .expect("predictions have the sample's shape")
    };
    Ok(Sample {
        branches: vec![BranchSample::only(shape, vec![yhat, y])],
        scorer: Box::new(scorer),
    })
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
        let mut loader = self.loader(seed).map_err(failed)?;
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
        let count = match (set, self.settings.val_images) {
            (EvaluationSet::Search, _) | (_, 0) => self.data.len(split),
            (EvaluationSet::Validation, most) => most.min(self.data.len(split)),
        };
        let examples = (0..count).map(|index| self.data.example(split, index));
        let score = score(net, &self.device, examples, &settings, interrupt)?;
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
            predict(&net, &device, &mut prepared, |_, labels| {
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

impl Task for Segmentation {
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
        let crop = self.settings.training.crop;
        // Predictions, targets, and both in the network.
        memory::check("screening.samples", &[count, crop, crop, self.classes()], 4)
            .map_err(TaskError::Failed)?;
        let batch = self.stored_batch(count, seed).map_err(failed)?;
        let probabilities = on_threads(self.settings.training.threads, || {
            let net = self.network(seed).map_err(failed)?;
            // On the training device batch normalisation uses the batch itself: its running
            // statistics are of no meaning yet.
            let images = images(
                batch.images.clone(),
                [batch.n, batch.h, batch.w],
                &self.device,
            );
            Ok(host_values(&activation::softmax(net.forward(images), 1)))
        })??;
        self.samples_of(&batch, &probabilities)
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

impl Family for Segmentation {
    type Settings = SegmentationSettings;
    type Data = Data;

    fn new(settings: SegmentationSettings, device: &Device) -> Result<Self, SetupError> {
        Self::new(settings, device)
    }

    fn data(&self) -> Data {
        (Arc::clone(&self.data), self.summary.clone())
    }

    fn over(
        settings: SegmentationSettings,
        data: Data,
        device: &Device,
    ) -> Result<Self, SetupError> {
        Self::over(settings, data, device)
    }

    fn same_data(one: &SegmentationSettings, other: &SegmentationSettings) -> bool {
        let other = other.clone();
        let alike = SegmentationSettings {
            boundary_distance: other.boundary_distance,
            val_images: other.val_images,
            network: other.network.clone(),
            training: other.training.clone(),
            augmentation: other.augmentation.clone(),
            ..one.clone()
        };
        alike == other
    }
}

/// A data set with its summary.
type Data = (Arc<dyn SegmentationData>, Summary);

/// The data set as trainings see it: checked, reduced, kept in memory, divided.
fn open(settings: &SegmentationSettings) -> Result<Data, SetupError> {
    let mut data = open_original(settings)?;
    if settings.longest_side > 0 {
        data = Arc::new(Resized::new(data, settings.longest_side));
    }
    let cached: Arc<dyn SegmentationData> =
        Arc::new(Cached::new(data, settings.cache_mb.saturating_mul(1 << 20)));
    let read = match settings.name.is_embedded() {
        true => data::of_label_maps(&*cached, EMBEDDED_COUNTED)?,
        false => data::check(&*cached)?,
    };
    let counts = data::count_labels_of(&*cached, Split::Train)?;
    let divided = Divided::segmentation(cached, &counts, settings.hold_out())?;
    let summary = divided.summary(&counts, read)?;
    Ok((Arc::new(divided), summary))
}

fn open_original(settings: &SegmentationSettings) -> Result<Arc<dyn SegmentationData>, DataError> {
    let dir = settings.data.clone().unwrap_or_default();
    Ok(match settings.name {
        TaskName::Digits => Arc::new(Digits::new(settings.digits.clone())?),
        TaskName::Voc => Arc::new(Pictures::voc(dir, settings.label_files()?)?),
        TaskName::Cityscapes => Arc::new(Pictures::cityscapes(dir)?),
        _ => unreachable!("settings of segmentation name a task of segmentation"),
    })
}

/// Images that are scored in one forward pass.
const SCORED_TOGETHER: usize = 8;

/// Scores a network that was trained on `device` on some examples.
///
/// # Errors
/// An interrupt, or data that cannot be read.
fn score(
    net: &SegmentationNet,
    device: &Device,
    examples: impl Iterator<Item = Result<Example, DataError>>,
    settings: &ScoreSettings,
    interrupt: &Interrupt,
) -> Result<SegmentationScore, TrainError> {
    let net = net.valid();
    let device = device.clone().inner();
    let mut score = SegmentationScore::new(settings.clone()).map_err(between)?;
    let mut waiting: Vec<Prepared> = Vec::new();
    for example in examples {
        if interrupt.is_set() {
            return Err(TrainError::Interrupted);
        }
        let example = Prepared::whole(&example?);
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
    let size = waiting
        .first()
        .map_or([0; 2], |first| [first.width, first.height]);
    predict(net, device, waiting, |target, prediction| {
        let [w, h] = size;
        let target = SegmentationTarget::new(target.to_vec(), w, h, score.settings());
        score
            .add(&target.map_err(between)?, prediction)
            .map_err(between)
    })
}

/// Calls `f` with the target and the predicted label map of the examples, which are of one size, and
/// empties the list.
fn predict(
    net: &SegmentationNet,
    device: &Device,
    examples: &mut Vec<Prepared>,
    mut f: impl FnMut(&[u8], &[u8]) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    if examples.is_empty() {
        return Ok(());
    }
    let batch = Batch::stack(examples)?;
    examples.clear();
    let (h, w) = (batch.h, batch.w);
    let labels = batch.labels.clone();
    let logits = net.forward(images(batch.images, [batch.n, h, w], device));
    let classes = logits.dims()[1];
    let mut prediction = vec![0; h * w];
    let values = host_values(&logits);
    let each = values.chunks_exact(classes * h * w);
    for (logits, labels) in each.zip(labels.chunks_exact(h * w)) {
        argmax_channels(logits, classes, h * w, &mut prediction).map_err(between)?;
        f(labels, &prediction)?;
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
    use autoloss_expr::{Tree, ZooKind, ZooLoss};
    use autoloss_search::{Judgement, Outcome, Scratch, Screener, Settings};

    fn digits(change: impl FnOnce(&mut SegmentationSettings)) -> Segmentation {
        let mut settings = SegmentationSettings::preset(TaskName::Digits);
        change(&mut settings);
        Segmentation::new(settings, &Device::flex()).unwrap()
    }

    /// Scenes and a training of a fraction of a second.
    fn tiny(settings: &mut SegmentationSettings) {
        settings.digits.size = 32;
        settings.digits.train = 64;
        settings.search_images = 8;
        settings.val_images = 8;
        settings.training.crop = 32;
        settings.training.steps = 6;
        settings.training.batch = 4;
    }

    fn loss(formula: &str) -> Loss {
        let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
        Loss::single("segmentation", tree)
    }

    fn evaluate(task: &Segmentation, formula: &str, seed: u64) -> Evaluation {
        let job = Job {
            seed,
            stop_on_invalid: true,
            ..Job::default()
        };
        task.evaluate(&loss(formula), &job, &Interrupt::default())
            .unwrap()
    }

    #[test]
    fn hand_written_losses_pass_screening_with_room_and_wrong_signs_fail() {
        for metric in ["miou", "bf1"] {
            let task = digits(|settings| metric.clone_into(&mut settings.metric));
            let settings = Settings::default();
            let screener = Screener::new(&task, &settings).unwrap();
            let mut scratch = Scratch::default();
            let of_classes = |zoo: &&ZooLoss| {
                let inputs = zoo.tree();
                // Squared and absolute errors train classes, too.
                let fits = zoo.kind == ZooKind::Classes || ["mse", "l1"].contains(&zoo.name);
                let tree = inputs.native().is_none();
                fits && tree && inputs.inputs().is_subset(&["yhat", "y"].into())
            };
            for zoo in ZooLoss::all().filter(of_classes) {
                let verdict = screener.screen(&loss(zoo.formula), &mut scratch);
                let g = verdict.g.unwrap_or_default();
                assert!(g > 0.75, "{} with {metric}: g = {g}", zoo.name);
                let wrong = loss(&format!("-({})", zoo.formula));
                let verdict = screener.screen(&wrong, &mut scratch);
                assert_ne!(verdict.judgement, Judgement::Passed, "-{}", zoo.name);
            }
        }
    }

    #[test]
    fn an_evaluation_is_a_function_of_loss_and_seed() {
        let once = digits(tiny);
        let threaded = digits(|settings| {
            tiny(settings);
            settings.training.threads = 2;
            settings.training.loader_threads = 2;
        });
        let first = evaluate(&once, "-(y * log(yhat))", 3);
        let again = evaluate(&once, "-(y * log(yhat))", 3);
        assert_eq!((first.score, &first.curve), (again.score, &again.curve));
        let other = evaluate(&threaded, "-(y * log(yhat))", 3);
        assert_eq!((first.score, &first.curve), (other.score, &other.curve));
        assert_ne!(first.curve, evaluate(&once, "-(y * log(yhat))", 4).curve);
    }

    #[test]
    fn training_lowers_the_loss() {
        let task = digits(|settings| {
            tiny(settings);
            settings.training.steps = 30;
        });
        let curve = evaluate(&task, "-(y * log(yhat))", 0).curve;
        let (first, last) = (curve[0].1, curve[curve.len() - 1].1);
        assert!(last < 0.6 * first, "from {first} to {last}");
    }

    #[test]
    fn invalid_trainings_stop_at_once_unless_told_not_to() {
        let task = digits(tiny);
        let stopped = evaluate(&task, "exp(inv(yhat - yhat))", 0);
        assert!(matches!(
            stopped.outcome,
            Outcome::Stopped { update: 1, .. }
        ));
        assert_eq!(stopped.score, 0.0);
        let job = Job {
            seed: 0,
            stop_on_invalid: false,
            ..Job::default()
        };
        let invalid = loss("exp(inv(yhat - yhat))");
        let through = task
            .evaluate(&invalid, &job, &Interrupt::default())
            .unwrap();
        assert_eq!(through.outcome, Outcome::Finished);
        // No update is left out, and a network of invalid parameters predicts no class: it scores 0,
        // not what the first class everywhere would.
        assert_eq!(through.curve.len(), task.settings.training.steps);
        assert!(through.curve.iter().all(|(_, value)| !value.is_finite()));
        assert_eq!(through.score, 0.0);
    }

    #[test]
    fn an_interrupt_ends_a_training() {
        let task = digits(tiny);
        let interrupt = Interrupt::default();
        interrupt.set();
        let job = Job {
            seed: 0,
            stop_on_invalid: true,
            ..Job::default()
        };
        let ended = task.evaluate(&loss("-(y * log(yhat))"), &job, &interrupt);
        assert!(matches!(ended, Err(TaskError::Interrupted)));
    }

    #[test]
    fn ignored_pixels_start_as_predicted_perfectly() {
        let shape = Shape::new(1, 2, 1, 2);
        let settings = ScoreSettings {
            classes: 2,
            background: None,
            distance: 1,
            metrics: vec![Metric::MIoU],
        };
        let yhat = vec![0.9, 0.8, 0.1, 0.2];
        let sample = sample(shape, &[1, 255], yhat, &settings, Metric::MIoU).unwrap();
        assert_eq!(sample.branches[0].inputs[0], [0.9, 0.5, 0.1, 0.5]);
        assert_eq!(sample.branches[0].inputs[1], [0.0, 0.5, 1.0, 0.5]);
        assert_eq!((sample.scorer)(&[&[0.9, 0.5, 0.1, 0.5]]), 0.0);
        assert_eq!((sample.scorer)(&[&[0.1, 0.5, 0.9, 0.5]]), 1.0);
    }

    /// A perfect prediction of all that counts has the target's edges, whatever lies beside it.
    #[test]
    fn ignored_pixels_make_no_edges_in_screening() {
        let shape = Shape::new(1, 2, 1, 6);
        let labels = [1, 1, 255, 255, 0, 1];
        for metric in Metric::ALL {
            let settings = ScoreSettings {
                classes: 2,
                background: None,
                distance: 0,
                metrics: vec![metric],
            };
            let sample = sample(shape, &labels, vec![0.5; 12], &settings, metric).unwrap();
            let right = sample.branches[0].inputs[1].clone();
            assert_eq!((sample.scorer)(&[&right]), 1.0, "{metric:?}");
        }
    }
}
