//! Trials: the trainings that a study asks for, and their outcomes.

use serde::{Deserialize, Serialize};

use crate::event::{Fate, Training};
use crate::numbers;
use crate::task::Job;

/// Number of a trial in its study: that of its candidate, and 0 for the task's usual loss.
pub type TrialId = u64;

/// Times that a trial is given out before it counts as lost for good.
pub const ATTEMPTS: u32 = 5;

/// A training to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// Times that it was given out before and lost.
    pub attempt: u32,
    /// The formula of the loss.
    pub loss: String,
    /// The training and the set to score it on.
    pub job: Job,
}

/// A training with a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// [`Fate::Scored`] or [`Fate::Stopped`].
    #[serde(default = "scored")]
    pub fate: Fate,
    /// The task's metric; 0 where the training was stopped.
    pub score: f64,
    /// Reason, where it was stopped.
    #[serde(default)]
    pub reason: Option<String>,
    /// Seconds; 0 where a worker leaves it to the search to measure them.
    #[serde(default)]
    pub seconds: f64,
    /// (update, loss value).
    #[serde(default, deserialize_with = "numbers::pairs")]
    pub curve: Vec<(usize, f64)>,
    /// Further metrics by name.
    #[serde(default, deserialize_with = "numbers::pairs")]
    pub metrics: Vec<(String, f64)>,
    /// Pictures of the network's work as PNG files.
    #[serde(default)]
    pub pictures: Vec<Vec<u8>>,
}

const fn scored() -> Fate {
    Fate::Scored
}

impl Trained {
    /// The training of a loss with that name and formula, which the job asked for.
    #[must_use]
    pub fn into_training(self, name: &str, formula: String, job: &Job) -> Training {
        Training {
            name: name.to_owned(),
            formula,
            seed: job.seed,
            set: job.set,
            score: self.score,
            seconds: self.seconds,
            note: self.reason,
            curve: self.curve,
            metrics: self.metrics,
            pictures: self.pictures,
        }
    }
}

/// A training without a score: the task's own error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The error.
    pub message: String,
    /// Seconds until then.
    #[serde(default)]
    pub seconds: f64,
}

impl Failure {
    /// Failure of a trial whose workers were lost as often as it may be given out.
    pub(crate) fn lost(reason: &str) -> Self {
        Self {
            message: format!("its worker was lost {ATTEMPTS} times; the last time: {reason}"),
            seconds: 0.0,
        }
    }
}

/// Outcome of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOutcome {
    /// With a score.
    Trained(Trained),
    /// With an error of the task.
    Failed(Failure),
    /// Ended before its time, on request; a resumed study makes it again.
    Interrupted,
    /// With the loss of its worker, for the reason given: it is given out again, at most [`ATTEMPTS`] times in
    /// all.
    Lost(String),
}

/// Effect of an outcome on a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The outcome counts.
    Counted,
    /// No such trial is in training: it was told before, or never given out. Nothing changes.
    Unknown,
}
