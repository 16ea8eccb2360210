//! A task of your own, without a framework: a line is fitted to points of which a fifth are far off, and the metric is
//! 1 / (1 + median absolute error).
//!
//! ```sh
//! cargo run --release --example custom_task -- runs/line [EVALUATIONS]
//! ```

use std::path::Path;

use autoloss_expr::{Loss, Program, Shape, Workspace};
use autoloss_search::{
    BranchSample, BranchSpec, Evaluation, InputSpec, Interrupt, Job, NewRun, Outcome, Recorder,
    Reporter, Sample, Settings, Task, TaskError, parse_loss, run,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const POINTS: usize = 64;
const UPDATES: usize = 200;

/// Steps that carry a prediction over the distance between two lines, and a threshold that good losses reach.
const SETTINGS: &str = "
[search]
evaluations = 40
workers = 1
[screening]
steps = 200
step_size = 0.05
threshold = 0.4
early_share = 0.0
";

struct Line {
    branches: Vec<BranchSpec>,
}

/// Points (x, y) near a line; with `outliers`, a fifth of them far above it.
fn points(seed: u64, outliers: bool) -> (Vec<f32>, Vec<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let point = |_| {
        let x: f32 = rng.random_range(-1.0..1.0);
        let off = if outliers && rng.random_bool(0.2) {
            4.0
        } else {
            0.0
        };
        (x, 2.0 * x + 1.0 + off + rng.random_range(-0.2..0.2))
    };
    (0..POINTS).map(point).unzip()
}

/// The metric, which the search sees as a number alone: at most 1, higher is better.
fn metric(prediction: &[f32], target: &[f32]) -> f64 {
    let errors = prediction.iter().zip(target).map(|(p, t)| (p - t).abs());
    let mut errors: Vec<f32> = errors.collect();
    errors.sort_by(f32::total_cmp);
    1.0 / (1.0 + f64::from(errors[errors.len() / 2]))
}

impl Task for Line {
    fn name(&self) -> &str {
        "line"
    }

    fn metric(&self) -> &str {
        "1 / (1 + median error)"
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    /// Stored predictions, here those of a line that is far off: screening moves them along a candidate's gradient.
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let sample = |number: usize| {
            let (x, target) = points(seed + number as u64, true);
            let prediction = x.iter().map(|x| -x - 1.0).collect();
            let inputs = vec![prediction, target.clone()];
            Sample {
                branches: vec![BranchSample::only(Shape::new(POINTS, 1, 1, 1), inputs)],
                scorer: Box::new(move |predictions| metric(predictions[0], &target)),
            }
        };
        Ok((0..count).map(sample).collect())
    }

    /// Fits the two numbers of the line with the loss, and scores them on points without outliers.
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        _report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let program = Program::new(&loss.branches[0].tree, &[("yhat", true), ("y", false)])
            .map_err(|error| TaskError::Failed(error.to_string()))?;
        let (mut slope, mut offset) = (0.0, 0.0);
        let (mut workspace, mut gradients) = (Workspace::new(), [Vec::new(), Vec::new()]);
        for update in 0..UPDATES {
            if interrupt.is_set() {
                return Err(TaskError::Interrupted);
            }
            let (x, y) = points(job.seed * 1000 + update as u64, true);
            let yhat: Vec<f32> = x.iter().map(|x| slope * x + offset).collect();
            let shape = Shape::new(POINTS, 1, 1, 1);
            program.gradient(&mut workspace, shape, &[&yhat, &y], &mut gradients);
            let by_slope: f32 = gradients[0].iter().zip(&x).map(|(g, x)| g * x).sum();
            let by_offset: f32 = gradients[0].iter().sum();
            // Steps of a length of their own, so that the scale of a loss does not matter.
            let length = by_slope.hypot(by_offset).max(1e-12);
            let step = 0.1 * (1.0 - update as f32 / UPDATES as f32) / length;
            slope -= step * by_slope;
            offset -= step * by_offset;
        }
        // Losses are chosen by the one set and compared on the other.
        let (x, y) = points(u64::MAX - job.set as u64, false);
        let yhat: Vec<f32> = x.iter().map(|x| slope * x + offset).collect();
        let score = metric(&yhat, &y);
        Ok(Evaluation {
            score: if score.is_finite() { score } else { 0.0 },
            outcome: Outcome::Finished,
            curve: Vec::new(),
            metrics: Vec::new(),
            pictures: Vec::new(),
            seconds: 0.0,
        })
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        let losses = [
            ("squared error", "square(yhat - y)"),
            ("absolute error", "abs(yhat - y)"),
        ];
        let named = losses.map(|(name, formula)| (name.to_owned(), parse_loss(self, formula)));
        named
            .into_iter()
            .filter_map(|(name, loss)| Some((name, loss.ok()?)))
            .collect()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: custom_task FOLDER [EVALUATIONS]")?;
    let inputs = InputSpec::numbers_and_target();
    let task = Line {
        branches: vec![BranchSpec {
            name: "y".to_owned(),
            inputs,
        }],
    };
    let mut settings = Settings::from_toml(SETTINGS)?;
    if let Some(evaluations) = arguments.next() {
        settings.search.evaluations = Some(evaluations.parse()?);
    }
    let about = NewRun {
        task: task.name(),
        metric: task.metric(),
        settings: &settings,
        task_settings: "",
    };
    let mut recorder = Recorder::create(Path::new(&folder), &about)?;
    let report = run(&task, &mut recorder, &Interrupt::default(), &mut |_| ())?;
    println!(
        "{} losses screened, {} trained",
        report.tally.drawn, report.tally.evaluations
    );
    for entry in &report.comparisons {
        println!(
            "{:>16} {:.3}  {}",
            entry.name,
            entry.mean.unwrap_or(0.0),
            entry.formula
        );
    }
    Ok(())
}
