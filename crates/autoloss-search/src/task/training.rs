//! Trainings: the jobs that a task is given, and their results.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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

/// A training to make, and the set to score it on.
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
    /// Number of pictures of the trained network's work, see [`Evaluation::pictures`].
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

/// End of a proxy training.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All updates were made.
    Finished,
    /// The loss value or a gradient was not finite at the given update (counted from 1).
    Stopped {
        /// The update at which it was seen.
        update: usize,
        /// The value that was not finite, in words.
        what: String,
    },
}

/// Result of a proxy training.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The task's metric on the job's set; 0 where the training was stopped.
    pub score: f64,
    /// End of the training.
    pub outcome: Outcome,
    /// Loss values along the training: (update, loss value).
    pub curve: Vec<(usize, f64)>,
    /// Further metrics on the same set by name, for the record; [`SEARCH_SCORE`] is of the search set.
    pub metrics: Vec<(String, f64)>,
    /// Outputs of the network for the first examples of the validation set, for people: PNG files, at
    /// most as many as the job wants; none where the task has no pictures.
    pub pictures: Vec<Vec<u8>>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Evaluation {
    /// A training that made all its updates in some seconds, with a score and nothing beside it.
    #[must_use]
    pub const fn finished(score: f64, seconds: f64) -> Self {
        Self {
            score,
            outcome: Outcome::Finished,
            curve: Vec::new(),
            metrics: Vec::new(),
            pictures: Vec::new(),
            seconds,
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
