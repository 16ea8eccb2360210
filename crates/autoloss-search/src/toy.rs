//! A task that needs no data and takes microseconds: for examples and for tests.
//!
//! Four classes of pixels are to be told apart by a linear classifier from four noisy features. The
//! metric is the share of pixels whose most probable class is the target.
//!
//! Pictures are drawn anew from the seed of each training, those it is scored on from a stream of their
//! own: no two seeds share one, so that the search set and the validation set differ as the seeds do.

use std::time::Instant;

use autoloss_expr::{Loss, Program, Shape, Workspace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::settings::Settings;
use crate::task::{
    BranchSample, BranchSpec, Evaluation, InputSpec, Interrupt, Job, Outcome, Report, Reporter,
    Sample, Schedule, Task, TaskError, parse_loss,
};

/// Settings of a search of `evaluations` that trains every loss it draws: nothing is screened, chosen or found
/// equivalent, and nothing is trained at the end.
#[must_use]
pub fn unscreened(evaluations: u64) -> Settings {
    let mut settings = Settings::default();
    settings.search.evaluations = Some(evaluations);
    settings.search.choices = 1;
    settings.search.final_losses = 0;
    settings.search.equivalence = false;
    settings.screening.rejection = false;
    settings.screening.samples = 1;
    settings
}

const CLASSES: usize = 4;
const SIDE: usize = 6;
const PIXELS: usize = SIDE * SIDE;
const UPDATES: usize = 12;
const STEP_SIZE: f32 = 0.5;

/// Updates of a training.
const fn updates(schedule: Schedule) -> usize {
    match schedule {
        Schedule::Proxy => UPDATES,
        Schedule::Full => 10 * UPDATES,
    }
}

/// Mean score on pictures that the job's trainings do not see.
fn held_out_score(job: &Job, weights: &[f32]) -> f64 {
    let mut held_out = ChaCha8Rng::seed_from_u64(job.seed ^ 1);
    let scores = (0..8).map(|_| {
        let picture = Picture::random(&mut held_out);
        accuracy(&picture.predict(weights), &picture.target)
    });
    scores.sum::<f64>() / 8.0
}

/// The toy task.
pub struct Toy {
    branches: Vec<BranchSpec>,
}

impl Default for Toy {
    fn default() -> Self {
        Self::new()
    }
}

/// Features and one-hot targets of one picture, both of shape (1, 4, 6, 6).
struct Picture {
    features: Vec<f32>,
    target: Vec<f32>,
}

impl Picture {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut features = vec![0.0; CLASSES * PIXELS];
        let mut target = vec![0.0; CLASSES * PIXELS];
        // Quarters of a picture belong to one class each, so that pooling finds something to pool.
        let quarters: [usize; 4] = std::array::from_fn(|_| rng.random_range(0..CLASSES));
        for pixel in 0..PIXELS {
            let (row, column) = (pixel / SIDE, pixel % SIDE);
            let class = quarters[row / 3 * 2 + column / 3];
            target[class * PIXELS + pixel] = 1.0;
            for feature in 0..CLASSES {
                let signal = if feature == class { 0.7 } else { 0.0 };
                features[feature * PIXELS + pixel] = signal + rng.random::<f32>();
            }
        }
        Self { features, target }
    }

    /// Probabilities of the classes, by softmax over linear functions of the features.
    fn predict(&self, weights: &[f32]) -> Vec<f32> {
        let mut prediction = vec![0.0; CLASSES * PIXELS];
        for pixel in 0..PIXELS {
            let mut logits = [0.0; CLASSES];
            for (class, logit) in logits.iter_mut().enumerate() {
                for feature in 0..CLASSES {
                    let x = self.features[feature * PIXELS + pixel];
                    *logit += weights[class * CLASSES + feature] * x;
                }
            }
            let highest = logits.iter().copied().fold(f32::MIN, f32::max);
            let exponentials = logits.map(|logit| (logit - highest).exp());
            let sum: f32 = exponentials.iter().sum();
            for (class, exponential) in exponentials.iter().enumerate() {
                prediction[class * PIXELS + pixel] = exponential / sum;
            }
        }
        prediction
    }

    /// Moves the weights against a gradient with respect to the prediction.
    fn learn(&self, weights: &mut [f32], prediction: &[f32], gradient: &[f32]) {
        for pixel in 0..PIXELS {
            let at = |field: &[f32], class: usize| field[class * PIXELS + pixel];
            let mean: f32 = (0..CLASSES)
                .map(|c| at(gradient, c) * at(prediction, c))
                .sum();
            for class in 0..CLASSES {
                let slope = at(prediction, class) * (at(gradient, class) - mean);
                for feature in 0..CLASSES {
                    weights[class * CLASSES + feature] -=
                        STEP_SIZE * slope * at(&self.features, feature);
                }
            }
        }
    }
}

/// The share of pixels whose most probable class is the target.
fn accuracy(prediction: &[f32], target: &[f32]) -> f64 {
    let correct = |pixel: &usize| {
        let at = |field: &[f32], class: usize| field[class * PIXELS + pixel];
        let best = (1..CLASSES).fold(0, |best, class| {
            if at(prediction, class) > at(prediction, best) {
                class
            } else {
                best
            }
        });
        at(target, best) == 1.0
    };
    (0..PIXELS).filter(correct).count() as f64 / PIXELS as f64
}

fn random_weights(rng: &mut ChaCha8Rng) -> Vec<f32> {
    (0..CLASSES * CLASSES)
        .map(|_| rng.random::<f32>() - 0.5)
        .collect()
}

impl Toy {
    /// The task.
    #[must_use]
    pub fn new() -> Self {
        Self {
            branches: vec![BranchSpec {
                name: "class".to_owned(),
                inputs: InputSpec::probabilities_and_target(),
            }],
        }
    }
}

impl Task for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn metric(&self) -> &str {
        "accuracy"
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let weights = random_weights(&mut rng);
        let sample = |_| {
            let picture = Picture::random(&mut rng);
            let prediction = picture.predict(&weights);
            let target = picture.target.clone();
            Sample {
                branches: vec![BranchSample::only(
                    Shape::new(1, CLASSES, SIDE, SIDE),
                    vec![prediction, picture.target],
                )],
                scorer: Box::new(move |predictions| accuracy(predictions[0], &target)),
            }
        };
        Ok((0..count).map(sample).collect())
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let start = Instant::now();
        let tree = &loss.branches[0].tree;
        let program = Program::new(tree, &[("yhat", true), ("y", false)])
            .map_err(|e| TaskError::Failed(e.to_string()))?;
        let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
        let mut weights = random_weights(&mut rng);
        let mut workspace = Workspace::new();
        let mut gradients = [Vec::new(), Vec::new()];
        let mut curve = Vec::new();
        let mut outcome = Outcome::Finished;
        for update in 1..=updates(job.schedule) {
            if interrupt.is_set() {
                return Err(TaskError::Interrupted);
            }
            let picture = Picture::random(&mut rng);
            let prediction = picture.predict(&weights);
            let shape = Shape::new(1, CLASSES, SIDE, SIDE);
            let inputs = [prediction.as_slice(), picture.target.as_slice()];
            let loss_value = program.gradient(&mut workspace, shape, &inputs, &mut gradients);
            let finite = loss_value.is_finite() && gradients[0].iter().all(|x| x.is_finite());
            if job.stop_on_invalid && !finite {
                outcome = Outcome::Stopped {
                    update,
                    what: "the loss value or its gradient is not finite".to_owned(),
                };
                break;
            }
            picture.learn(&mut weights, &prediction, &gradients[0]);
            curve.push((update, loss_value));
            let reported = job.reports_after(update, updates(job.schedule));
            reported.for_each(|share| {
                let score = held_out_score(job, &weights);
                report(Report::Score { share, score });
            });
        }
        let score = match outcome {
            Outcome::Finished => held_out_score(job, &weights),
            Outcome::Stopped { .. } => 0.0,
        };
        Ok(Evaluation {
            pictures: Vec::new(),
            score,
            outcome,
            curve,
            metrics: vec![("error".to_owned(), 1.0 - score)],
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        [
            ("cross entropy", "-(y * log(yhat))"),
            ("squared error", "square(yhat - y)"),
        ]
        .map(|(name, text)| {
            let loss = parse_loss(self, text).expect("the baselines are well-formed");
            (name.to_owned(), loss)
        })
        .to_vec()
    }
}
