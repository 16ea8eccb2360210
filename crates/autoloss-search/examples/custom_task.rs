//! A task of your own, without a framework: a line is fitted to points of which two fifths are far off, and the metric is
//! 1 / (1 + median absolute error).
//!
//! ```sh
//! cargo run --release --example custom_task -- runs/line [EVALUATIONS]
//! ```

use std::path::Path;

use autoloss_expr::Shape;
use autoloss_search::{
    Criterion, FnTask, InputSpec, Interrupt, Job, NewRun, Recorder, Settings, TaskError, run,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SHAPE: Shape = Shape::new(128, 1, 1, 1);

/// Steps that carry a prediction over the distance between two lines, and a threshold that good losses reach.
const SETTINGS: &str = "search = { evaluations = 40, workers = 1 }
screening = { steps = 200, step_size = 0.05, threshold = 0.4, early_share = 0.0 }";

/// Points (x, y) near a line, a share of them far above it.
fn points(rng: &mut ChaCha8Rng, outliers: f64) -> (Vec<f32>, Vec<f32>) {
    let point = |_| {
        let x: f32 = rng.random_range(-1.0..1.0);
        let off = if rng.random_bool(outliers) { 4.0 } else { 0.0 };
        (x, 2.0 * x + 1.0 + off + rng.random_range(-0.2..0.2))
    };
    (0..SHAPE.len()).map(point).unzip()
}

/// The metric, which the search sees as a number alone: at most 1, higher is better.
fn metric(prediction: &[f32], target: &[f32]) -> f64 {
    let errors = prediction.iter().zip(target).map(|(p, t)| (p - t).abs());
    let mut errors: Vec<f32> = errors.collect();
    errors.sort_by(f32::total_cmp);
    1.0 / (1.0 + f64::from(errors[errors.len() / 2]))
}

/// Fits the two numbers of the line with a loss, and scores them on points without outliers.
fn fit(criterion: &mut Criterion<'_>, job: &Job) -> Result<f64, TaskError> {
    let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
    let (mut slope, mut offset) = (0.0, 0.0);
    for update in 0..200 {
        let (x, y) = points(&mut rng, 0.4);
        let yhat: Vec<f32> = x.iter().map(|x| slope * x + offset).collect();
        let gradient = criterion.gradient(SHAPE, &yhat, &y)?;
        let by_slope: f32 = gradient.iter().zip(&x).map(|(g, x)| g * x).sum();
        let by_offset: f32 = gradient.iter().sum();
        // Steps of a length of their own, so that the scale of a loss does not matter.
        let step = 0.1 * (1.0 - update as f32 / 200.0) / by_slope.hypot(by_offset).max(1e-12);
        (slope, offset) = (slope - step * by_slope, offset - step * by_offset);
    }
    // Losses are chosen by the one set and compared on the other.
    let (x, y) = points(
        &mut ChaCha8Rng::seed_from_u64(u64::MAX - job.set as u64),
        0.0,
    );
    let yhat: Vec<f32> = x.iter().map(|x| slope * x + offset).collect();
    Ok(metric(&yhat, &y))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: custom_task FOLDER [EVALUATIONS]")?;
    // Screening moves stored predictions along a candidate's gradient: here those of a line that is far off.
    let sample = |rng: &mut ChaCha8Rng| {
        let (x, y) = points(rng, 0.4);
        (SHAPE, x.iter().map(|x| -x - 1.0).collect(), y)
    };
    let task = FnTask::new("line", InputSpec::numbers_and_target())
        .metric("1 / (1 + median error)", metric)
        .sample(sample)
        .train(fit)
        .baseline("squared error", "square(yhat - y)")?
        .baseline("absolute error", "abs(yhat - y)")?;
    let mut settings = Settings::from_toml(SETTINGS)?;
    if let Some(evaluations) = arguments.next() {
        settings.search.evaluations = Some(evaluations.parse()?);
    }
    let about = NewRun::of(&task, &settings);
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
