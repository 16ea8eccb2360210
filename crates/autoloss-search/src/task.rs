//! The only thing the search knows of the world: a task with branches, stored predictions, a
//! metric, and a way to train and score a network, by its proxy or in full.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use autoloss_expr::{Loss, NativeLoss, ParseError, Shape};
use serde::{Deserialize, Serialize};

/// What an input of a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the network predicts; one input of a branch is.
    Prediction {
        /// Whether it is a softmax over the channels: its elements are probabilities, and it has
        /// logits.
        softmax: bool,
    },
    /// What the prediction should be.
    Target,
    /// A function of prediction and target, through which gradients flow into the prediction, such
    /// as the intersection of a predicted and a target box; see [`Derived`].
    Derived,
    /// A number without gradient, such as a weight.
    Constant,
}

/// One named input of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Name in formulas, such as `yhat`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Whether random trees and mutations use it; formulas that are given may use it either way.
    pub searched: bool,
}

impl InputSpec {
    /// An input.
    #[must_use]
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            searched: true,
        }
    }

    /// The input, for given formulas alone.
    #[must_use]
    pub fn not_searched(mut self) -> Self {
        self.searched = false;
        self
    }

    /// The class probabilities `yhat` (a softmax over the channels) and the target `y`.
    #[must_use]
    pub fn probabilities_and_target() -> Vec<Self> {
        vec![
            Self::new("yhat", Role::Prediction { softmax: true }),
            Self::new("y", Role::Target),
        ]
    }

    /// The predicted numbers `yhat` and the target `y`.
    #[must_use]
    pub fn numbers_and_target() -> Vec<Self> {
        vec![
            Self::new("yhat", Role::Prediction { softmax: false }),
            Self::new("y", Role::Target),
        ]
    }

    /// Whether gradients flow through it into the prediction.
    #[must_use]
    pub fn differentiable(&self) -> bool {
        matches!(self.role, Role::Prediction { .. } | Role::Derived)
    }

    /// Whether it tells something of the target.
    #[must_use]
    pub fn knows_target(&self) -> bool {
        matches!(self.role, Role::Target | Role::Derived)
    }

    /// Whether it is a softmax over the channels.
    #[must_use]
    pub fn is_softmax(&self) -> bool {
        self.role == Role::Prediction { softmax: true }
    }
}

/// What a branch of a task offers to its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchSpec {
    /// Name of the branch, such as `rpn_box`.
    pub name: String,
    /// The inputs a tree may use besides the constant 1.
    pub inputs: Vec<InputSpec>,
}

impl BranchSpec {
    /// Where the prediction is among the inputs.
    #[must_use]
    pub fn prediction(&self) -> usize {
        let is = |input: &InputSpec| matches!(input.role, Role::Prediction { .. });
        self.inputs.iter().position(is).unwrap_or(0)
    }

    /// Where the target is among the inputs.
    #[must_use]
    pub fn target(&self) -> usize {
        let is = |input: &InputSpec| input.role == Role::Target;
        self.inputs.iter().position(is).unwrap_or(0)
    }

    /// Where the derived inputs are.
    pub fn derived(&self) -> impl Iterator<Item = usize> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter_map(|(place, input)| (input.role == Role::Derived).then_some(place))
    }

    /// The inputs' names and whether they are differentiable, as programs want them.
    #[must_use]
    pub fn program_inputs(&self) -> Vec<(&str, bool)> {
        let inputs = self.inputs.iter();
        inputs
            .map(|i| (i.name.as_str(), i.differentiable()))
            .collect()
    }
}

/// The derived inputs of a branch at one sample or batch: functions of its prediction.
pub trait Derived: Send + Sync {
    /// The derived inputs at a prediction, in the order of [`BranchSpec::derived`]; each has the
    /// branch's shape.
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>>;

    /// Adds to the prediction's gradient what flows into it through the derived inputs, given the
    /// gradient of each; an empty one is 0.
    fn pull_back(&self, prediction: &[f64], gradients: &[&[f64]], gradient: &mut [f64]);
}

/// Scores predictions of one sample, one field a branch; higher is better, at most 1.
pub type Scorer = Box<dyn Fn(&[&[f32]]) -> f64 + Send + Sync>;

/// Scores the prediction of one branch of one sample; higher is better, at most 1.
pub type BranchScorer = Box<dyn Fn(&[f32]) -> f64 + Send + Sync>;

/// The stored inputs of one branch of one screening sample.
pub struct BranchSample {
    /// The shape all inputs of the branch share; n is 1 for a single sample.
    pub shape: Shape,
    /// One NCHW field an input, in the order of [`BranchSpec::inputs`].
    pub inputs: Vec<Vec<f32>>,
    /// How the derived inputs follow from the prediction, where there are some.
    pub derived: Option<Arc<dyn Derived>>,
    /// A metric of this branch by itself; a task of several branches has one for each.
    pub scorer: Option<BranchScorer>,
}

impl BranchSample {
    /// The sample of a task's only branch: inputs in the branch's order, none of them derived.
    #[must_use]
    pub fn only(shape: Shape, inputs: Vec<Vec<f32>>) -> Self {
        Self {
            shape,
            inputs,
            derived: None,
            scorer: None,
        }
    }
}

/// One screening sample: stored predictions of the untrained network with their targets.
pub struct Sample {
    /// The branches, in the task's order.
    pub branches: Vec<BranchSample>,
    /// The task's metric for this sample, given the prediction of each branch.
    pub scorer: Scorer,
}

/// The examples that a trained network is scored on; neither set holds an example that it was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvaluationSet {
    /// The part of the training data that is held out to choose losses and checkpoints by.
    #[default]
    Search,
    /// The data's own validation set: for results alone, nothing is chosen by it.
    Validation,
}

impl EvaluationSet {
    /// Both sets.
    pub const ALL: [Self; 2] = [Self::Search, Self::Validation];
}

impl fmt::Display for EvaluationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Search => "search set",
            Self::Validation => "validation set",
        })
    }
}

/// The training that a loss is given: cheap, to choose by, or in full, for results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The proxy task, which a search makes many trainings of.
    #[default]
    Proxy,
    /// Full training.
    Full,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "proxy",
            Self::Full => "full training",
        })
    }
}

/// Name of the metric that says, beside scores on the validation set, how the same network scores on the
/// search set: where several losses are scored on the validation set, one is chosen by this number.
pub const SEARCH_SCORE: &str = "search_set";

/// One training to do, and the set to score it on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The training: the task's proxy or its full training.
    pub schedule: Schedule,
    /// The set that the trained network is scored on.
    pub set: EvaluationSet,
    /// Seeds initialisation, order and augmentation. Candidates of one run share it, so that they
    /// differ in the loss alone.
    pub seed: u64,
    /// End with score 0 as soon as the loss or a gradient is not finite.
    pub stop_on_invalid: bool,
    /// How many pictures of the trained network's work are wanted, see [`Evaluation::pictures`].
    pub pictures: usize,
    /// Score all metrics of the task, not the searched one alone.
    pub all_metrics: bool,
    /// Shares of the updates, each between 0 and 1, after which the score on the search set is reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<f64>,
    /// The files of the training that are kept; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeping: Option<Keeping>,
}

/// The files of a training that are kept in a folder: checkpoints, which an interrupted training goes on from, and
/// the trained network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// The folder.
    pub dir: PathBuf,
    /// Updates between two checkpoints.
    pub every: usize,
    /// Score every checkpoint on the search set, and keep the best of them as the network; else the last.
    pub best: bool,
}

impl Job {
    /// The shares in [`Job::reports`] that a training has reached with update `update` of `updates`, and not
    /// before.
    pub fn reports_after(&self, update: usize, updates: usize) -> impl Iterator<Item = f64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of updates"
        )]
        let reached = move |share: &&f64| (**share * updates as f64).ceil() as usize == update;
        self.reports.iter().filter(reached).copied()
    }
}

/// How a proxy training ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All updates were made.
    Finished,
    /// The loss value or a gradient was not finite at the given update (counted from 1).
    Stopped {
        /// The update at which it was seen.
        update: usize,
        /// What was not finite, for the record.
        what: String,
    },
}

/// What a proxy training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The task's metric on the job's set; 0 where the training was stopped.
    pub score: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Loss values along the training: (update, loss value).
    pub curve: Vec<(usize, f64)>,
    /// Further metrics on the same set by name, for the record; [`SEARCH_SCORE`] is of the search set.
    pub metrics: Vec<(String, f64)>,
    /// What the network makes of the first examples of the validation set, for people: PNG files, at
    /// most as many as the job wants; none where the task has no pictures.
    pub pictures: Vec<Vec<u8>>,
    /// Seconds it took.
    pub seconds: f64,
}

/// A request to end early, shared by everything that runs.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Asks everything to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks everything to end if this thread panics before the guard goes out of scope. A thread that
    /// records what others do holds one, so that they do not go on unrecorded.
    #[must_use]
    pub fn set_on_panic(&self) -> SetOnPanic<'_> {
        SetOnPanic(self)
    }
}

/// See [`Interrupt::set_on_panic`].
#[derive(Debug)]
pub struct SetOnPanic<'a>(&'a Interrupt);

impl Drop for SetOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set();
        }
    }
}

/// News of a training before its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A score on the way, where the job asks for it.
    Score {
        /// Share of the updates made.
        share: f64,
        /// The task's metric on the search set.
        score: f64,
    },
    /// An update, where the files of the training are kept.
    Update {
        /// Its number, counted from 1.
        update: usize,
        /// Updates of the whole training.
        of: usize,
        /// Loss value.
        #[serde(deserialize_with = "crate::numbers::number")]
        loss_value: f64,
    },
}

/// Told the reports of a training.
pub type Reporter<'a> = &'a (dyn Fn(Report) + Sync);

/// What a task could not do.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Ended because the user or the budget asked for it; nothing was lost.
    #[error("interrupted")]
    Interrupted,
    /// Anything else, in words a person can act on.
    #[error("{0}")]
    Failed(String),
}

/// A task: branches, screening samples, and the training and scoring of a proxy network.
pub trait Task: Send + Sync {
    /// The name users type.
    fn name(&self) -> &str;

    /// The metric's name.
    fn metric(&self) -> &str;

    /// The branches a loss needs a tree for.
    fn branches(&self) -> &[BranchSpec];

    /// `count` examples of the training set run through the randomly initialised network once.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError>;

    /// Trains a fresh network with the loss on the training set alone, by the job's schedule, and scores it
    /// on the job's set.
    ///
    /// # Errors
    /// [`TaskError::Interrupted`] if the interrupt was set; otherwise what went wrong.
    fn evaluate(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
    ) -> Result<Evaluation, TaskError> {
        self.evaluate_reporting(loss, job, interrupt, &|_| ())
    }

    /// The same, and tells `report` a score after each share of the updates in `job.reports`, and each update where
    /// `job.keeping` is given. A task without scores on the way tells none.
    ///
    /// # Errors
    /// As [`Task::evaluate`]; files that cannot be kept.
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError>;

    /// Equal for the same task over the same data: a worker process with another one is refused.
    fn fingerprint(&self) -> String {
        format!("{} {}", self.name(), self.metric())
    }

    /// Hand-written losses to compare with: (name, loss); the first is the task's usual one.
    fn baselines(&self) -> Vec<(String, Loss)>;

    /// The metric itself as a loss with parametrised curves, for Auto Seg-Loss; `None` where it has none.
    fn surrogate(&self) -> Option<NativeLoss> {
        None
    }

    /// Expected seconds of one training by a schedule, its scoring included, for budgets; `None` where
    /// unknown.
    ///
    /// # Errors
    /// If the task cannot make a training.
    fn expected_seconds(&self, _schedule: Schedule) -> Result<Option<f64>, TaskError> {
        Ok(None)
    }
}

/// Reads a formula over the branches of a task.
///
/// # Errors
/// The column and what was expected there.
pub fn parse_loss(task: &dyn Task, text: &str) -> Result<Loss, ParseError> {
    let branches: Vec<(&str, Vec<&str>)> = task
        .branches()
        .iter()
        .map(|branch| {
            let inputs = branch.inputs.iter().map(|input| input.name.as_str());
            (branch.name.as_str(), inputs.collect())
        })
        .collect();
    Loss::parse(text, &branches)
}
