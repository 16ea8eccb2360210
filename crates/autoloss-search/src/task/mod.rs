//! The only thing the search knows of the world: a task with branches, stored predictions, a
//! metric, and a way to train and score a network, by its proxy or in full.

mod branch;
mod functions;
mod interrupt;
mod training;

use autoloss_expr::{Loss, NativeLoss, ParseError};

pub use branch::{
    BranchSample, BranchScorer, BranchSpec, Derived, InputSpec, Role, Sample, Scorer,
};
pub use functions::{Criterion, FnTask};
pub use interrupt::{Interrupt, SetOnPanic};
pub use training::{
    Evaluation, EvaluationSet, Job, Keeping, Outcome, Report, Reporter, SEARCH_SCORE, Schedule,
};

/// Reason for which a task made no training.
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
    /// [`TaskError::Interrupted`] if the interrupt was set; otherwise the failure.
    fn evaluate(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
    ) -> Result<Evaluation, TaskError> {
        self.evaluate_reporting(loss, job, interrupt, &|_| ())
    }

    /// Trains and scores as [`Task::evaluate`] does, and tells `report` a score after each share of the updates in
    /// `job.reports`, and each update where `job.keeping` is given. A task without scores on the way tells none.
    ///
    /// # Errors
    /// The errors of [`Task::evaluate`]; files that cannot be kept.
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError>;

    /// Equal for the same task over the same data: a worker process with another one is refused.
    fn fingerprint(&self) -> String {
        identity(self)
    }

    /// Hand-written losses to compare with: (name, loss); the first is the task's usual one.
    fn baselines(&self) -> Vec<(String, Loss)>;

    /// The metric itself as a loss with parametrised curves, for Auto Seg-Loss; `None` where it has none.
    fn surrogate(&self) -> Option<NativeLoss> {
        None
    }

    /// Trouble of the task with the work of screening, in words for a person; `None` where there was none.
    fn remark(&self) -> Option<String> {
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

/// Names of a task, its metric and its branches.
pub fn identity<T: Task + ?Sized>(task: &T) -> String {
    let names = task.branches().iter().map(|branch| branch.name.as_str());
    let names: Vec<&str> = names.collect();
    format!("{} {} {}", task.name(), task.metric(), names.join(","))
}

/// Reads a formula over the branches of a task.
///
/// # Errors
/// The column and the expected token.
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
