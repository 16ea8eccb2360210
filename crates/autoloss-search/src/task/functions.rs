//! A task made of functions, for those that need no more than one branch and a training loop.

use std::sync::Arc;
use std::time::Instant;

use autoloss_expr::{Loss, ParseError, Program, Shape, Workspace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    BranchSample, BranchSpec, Evaluation, InputSpec, Interrupt, Job, Outcome, Reporter, Sample,
    Task, TaskError, parse_loss,
};

type Metric = dyn Fn(&[f32], &[f32]) -> f64 + Send + Sync;
type Draw = dyn Fn(&mut ChaCha8Rng) -> (Shape, Vec<f32>, Vec<f32>) + Send + Sync;
type Train = dyn Fn(&mut Criterion<'_>, &Job) -> Result<f64, TaskError> + Send + Sync;

/// A task of one branch whose inputs are a prediction and a target.
///
/// ```
/// use autoloss_expr::Shape;
/// use autoloss_search::{FnTask, InputSpec, Interrupt, Job, Task};
///
/// // One number is to become 2.
/// let shape = Shape::new(1, 1, 1, 1);
/// let task = FnTask::new("two", InputSpec::numbers_and_target())
///     .metric("closeness", |prediction, target| 1.0 / (1.0 + f64::from((prediction[0] - target[0]).abs())))
///     .sample(move |_| (shape, vec![0.0], vec![2.0]))
///     .train(move |criterion, _| {
///         let mut number = [0.0];
///         for _ in 0..50 {
///             number[0] -= 0.2 * criterion.gradient(shape, &number, &[2.0])?[0];
///         }
///         Ok(1.0 / (1.0 + f64::from((number[0] - 2.0).abs())))
///     })
///     .baseline("squared error", "square(yhat - y)")?;
/// let (_, loss) = &task.baselines()[0];
/// assert!(task.evaluate(loss, &Job::default(), &Interrupt::default())?.score > 0.99);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FnTask {
    name: String,
    branches: Vec<BranchSpec>,
    metric_name: String,
    metric: Option<Arc<Metric>>,
    draw: Option<Box<Draw>>,
    train: Option<Box<Train>>,
    baselines: Vec<(String, Loss)>,
}

impl FnTask {
    /// A task whose only branch has these inputs: [`InputSpec::probabilities_and_target`] or
    /// [`InputSpec::numbers_and_target`]. Its functions are to be given, too.
    #[must_use]
    pub fn new(name: &str, inputs: Vec<InputSpec>) -> Self {
        Self {
            name: name.to_owned(),
            branches: vec![BranchSpec {
                name: "output".to_owned(),
                inputs,
            }],
            metric_name: "score".to_owned(),
            metric: None,
            draw: None,
            train: None,
            baselines: Vec::new(),
        }
    }

    /// The metric of a prediction and its target: higher is better, at most 1.
    #[must_use]
    pub fn metric(
        mut self,
        name: &str,
        metric: impl Fn(&[f32], &[f32]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        self.metric_name = name.to_owned();
        self.metric = Some(Arc::new(metric));
        self
    }

    /// Draws a training sample with the untrained network's prediction of it: shape, prediction and target, both
    /// fields of that shape.
    #[must_use]
    pub fn sample(
        mut self,
        draw: impl Fn(&mut ChaCha8Rng) -> (Shape, Vec<f32>, Vec<f32>) + Send + Sync + 'static,
    ) -> Self {
        self.draw = Some(Box::new(draw));
        self
    }

    /// Trains a fresh network from the job's seed with the gradients of a loss, and returns the metric on the job's
    /// set.
    #[must_use]
    pub fn train(
        mut self,
        train: impl Fn(&mut Criterion<'_>, &Job) -> Result<f64, TaskError> + Send + Sync + 'static,
    ) -> Self {
        self.train = Some(Box::new(train));
        self
    }

    /// Adds a hand-written loss to compare with; the first is the task's usual one.
    ///
    /// # Errors
    /// The formula's first fault.
    pub fn baseline(mut self, name: &str, formula: &str) -> Result<Self, ParseError> {
        let loss = parse_loss(&self, formula)?;
        self.baselines.push((name.to_owned(), loss));
        Ok(self)
    }
}

impl Task for FnTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn metric(&self) -> &str {
        &self.metric_name
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let (draw, metric) = (given(&self.draw, "sample")?, given(&self.metric, "metric")?);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sample = |_| {
            let (shape, prediction, target) = draw(&mut rng);
            check_fields(shape, &prediction, &target)?;
            let (metric, of) = (metric.clone(), target.clone());
            Ok(Sample {
                branches: vec![BranchSample::only(shape, vec![prediction, target])],
                scorer: Box::new(move |predictions| metric(predictions[0], &of)),
            })
        };
        (0..count).map(sample).collect()
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let start = Instant::now();
        let mut criterion = Criterion::new(loss, &self.branches[0], job, interrupt)?;
        let score = given(&self.train, "train")?(&mut criterion, job);
        let update = criterion.curve.len();
        let stopped = |what: &str| Outcome::Stopped {
            update,
            what: what.to_owned(),
        };
        let (score, outcome) = match score {
            _ if criterion.is_stopped => {
                (0.0, stopped("the loss value or its gradient is not finite"))
            }
            Ok(score) if score.is_finite() => (score, Outcome::Finished),
            Ok(_) => (0.0, stopped("the score is not finite")),
            Err(error) => return Err(error),
        };
        Ok(Evaluation {
            outcome,
            curve: criterion.curve,
            ..Evaluation::finished(score, start.elapsed().as_secs_f64())
        })
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.baselines.clone()
    }
}

/// A function of a task.
fn given<'a, T>(function: &'a Option<T>, name: &str) -> Result<&'a T, TaskError> {
    let missing = || TaskError::Failed(format!("the task was given no function `{name}`"));
    function.as_ref().ok_or_else(missing)
}

fn check_fields(shape: Shape, prediction: &[f32], target: &[f32]) -> Result<(), TaskError> {
    if shape.len() > 0 && (prediction.len(), target.len()) == (shape.len(), shape.len()) {
        return Ok(());
    }
    Err(TaskError::Failed(format!(
        "prediction and target have {} and {} elements, expected {} each, at least 1",
        prediction.len(),
        target.len(),
        shape.len()
    )))
}

/// A loss as a training sees it.
pub struct Criterion<'a> {
    program: Program,
    workspace: Workspace,
    gradients: [Vec<f32>; 2],
    curve: Vec<(usize, f64)>,
    stops: bool,
    is_stopped: bool,
    interrupt: &'a Interrupt,
}

impl<'a> Criterion<'a> {
    fn new(
        loss: &Loss,
        branch: &BranchSpec,
        job: &Job,
        interrupt: &'a Interrupt,
    ) -> Result<Self, TaskError> {
        let program = Program::new(&loss.branches[0].tree, &branch.program_inputs())
            .map_err(|error| TaskError::Failed(error.to_string()))?;
        Ok(Self {
            program,
            workspace: Workspace::new(),
            gradients: [Vec::new(), Vec::new()],
            curve: Vec::new(),
            stops: job.stop_on_invalid,
            is_stopped: false,
            interrupt,
        })
    }

    /// The gradient of the loss for a prediction, one a call for each update; the loss value goes to the record.
    ///
    /// # Errors
    /// Fields of another size than the shape's; a value that is not finite, where the job wants to stop there, and a
    /// request to end early: the training is to return them.
    pub fn gradient(
        &mut self,
        shape: Shape,
        prediction: &[f32],
        target: &[f32],
    ) -> Result<&[f32], TaskError> {
        check_fields(shape, prediction, target)?;
        if self.interrupt.is_set() {
            return Err(TaskError::Interrupted);
        }
        let inputs = [prediction, target];
        let value = self
            .program
            .gradient(&mut self.workspace, shape, &inputs, &mut self.gradients);
        self.curve.push((self.curve.len() + 1, value));
        let finite = value.is_finite() && self.gradients[0].iter().all(|x| x.is_finite());
        if self.stops && !finite {
            self.is_stopped = true;
            return Err(TaskError::Interrupted);
        }
        Ok(&self.gradients[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(2, 1, 1, 1);

    /// Two numbers are to become 1 and 2.
    fn task(updates: usize) -> FnTask {
        let target = [1.0, 2.0];
        let metric =
            |p: &[f32], y: &[f32]| 1.0 - f64::from((p[0] - y[0]).abs() + (p[1] - y[1]).abs());
        FnTask::new("pair", InputSpec::numbers_and_target())
            .metric("closeness", metric)
            .sample(move |_| (SHAPE, vec![0.5, 0.5], target.to_vec()))
            .train(move |criterion, _| {
                let mut numbers = [0.5, 0.5];
                for _ in 0..updates {
                    let gradient = criterion.gradient(SHAPE, &numbers, &target)?;
                    let step = |(x, slope): (&mut f32, &f32)| *x -= 0.2 * slope;
                    numbers.iter_mut().zip(gradient).for_each(step);
                }
                Ok(metric(&numbers, &target))
            })
    }

    fn evaluate(
        task: &FnTask,
        formula: &str,
        interrupt: &Interrupt,
    ) -> Result<Evaluation, TaskError> {
        let loss = parse_loss(task, formula).unwrap();
        let job = Job {
            stop_on_invalid: true,
            ..Job::default()
        };
        task.evaluate(&loss, &job, interrupt)
    }

    #[test]
    fn a_training_follows_the_gradients_of_its_loss() {
        let (task, interrupt) = (task(100), Interrupt::default());
        let good = evaluate(&task, "square(yhat - y)", &interrupt).unwrap();
        assert!(good.score > 0.999, "{good:?}");
        assert_eq!((good.curve.len(), good.outcome), (100, Outcome::Finished));
        assert!(good.curve[0].1 > good.curve[99].1);
        let samples = task.samples(3, 0).unwrap();
        assert!((samples[0].scorer)(&[&[1.0, 2.0]]) > 0.999);
    }

    #[test]
    fn trainings_stop_at_values_that_are_not_finite_and_on_request() {
        let (task, interrupt) = (task(5), Interrupt::default());
        let stopped = evaluate(&task, "exp(exp(exp(exp(y + y + y))))", &interrupt).unwrap();
        let at = |outcome: &Outcome| matches!(outcome, Outcome::Stopped { update: 1, .. });
        assert!(stopped.score == 0.0 && at(&stopped.outcome), "{stopped:?}");
        interrupt.set();
        let ended = evaluate(&task, "square(yhat - y)", &interrupt);
        assert!(matches!(ended, Err(TaskError::Interrupted)));
    }

    #[test]
    fn faults_of_the_functions_are_named() {
        let other = |_: &mut ChaCha8Rng| (SHAPE, vec![0.0], vec![1.0, 2.0]);
        let message = task(1)
            .sample(other)
            .samples(1, 0)
            .err()
            .unwrap()
            .to_string();
        assert_eq!(
            message,
            "prediction and target have 1 and 2 elements, expected 2 each, at least 1"
        );
        let untrained = FnTask::new("none", InputSpec::numbers_and_target());
        let message = evaluate(&untrained, "yhat", &Interrupt::default()).unwrap_err();
        assert_eq!(
            message.to_string(),
            "the task was given no function `train`"
        );
        assert!(task(1).baseline("wrong", "square(yhat -").is_err());
        let nan = task(1).train(|_, _| Ok(f64::NAN));
        let stopped = evaluate(&nan, "yhat", &Interrupt::default()).unwrap();
        assert!(matches!(stopped.outcome, Outcome::Stopped { .. }) && stopped.score == 0.0);
    }
}
