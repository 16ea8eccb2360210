//! The messages beyond those of every worker: the description of the task, screening samples and scores.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Table;

/// A message to the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Screening samples: batches of the training set, run through the untrained network.
    Samples {
        /// Number of samples.
        count: usize,
        /// Equal seeds give equal samples.
        seed: u64,
        /// Folder for the files of the answer.
        folder: PathBuf,
    },
    /// Scores of predictions for samples, in one answer of the same number.
    Score {
        /// Number of the message.
        id: u64,
        /// The predictions.
        predictions: Vec<Predicted>,
    },
}

/// A prediction to score by the metric.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Predicted {
    /// Number of the sample, from 0.
    pub(crate) sample: usize,
    /// The branch to score by itself; left out: all of them by the task's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
    /// Arrays of the shape of the sample's predictions, one a branch.
    pub(crate) files: Vec<PathBuf>,
}

/// A message from the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The program can work.
    Ready {
        /// Version of the messages.
        version: u32,
        /// The task, which a program may leave out where the search knows it.
        task: Option<Description>,
    },
    /// The program cannot work.
    Refused {
        /// Why.
        reason: String,
    },
    /// The samples asked for.
    Samples(Vec<GivenSample>),
    /// The scores asked for.
    Scores {
        /// Number of the question.
        id: u64,
        /// A number for each prediction, higher is better, at most 1; `null` for one that has no score.
        scores: Vec<Option<f64>>,
    },
    /// The question could not be answered.
    Error {
        /// Why.
        message: String,
    },
}

impl Answer {
    /// The name of the message.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Refused { .. } => "refused",
            Self::Samples(_) => "samples",
            Self::Scores { .. } => "scores",
            Self::Error { .. } => "error",
        }
    }
}

/// The task of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Name of the task.
    pub(crate) name: String,
    /// Name of the metric.
    pub(crate) metric: String,
    /// The network's predictions that have a loss each.
    pub(crate) branches: Vec<BranchDescription>,
    /// Losses to compare with: formulas, or `zoo:NAME`; the first is the task's usual one.
    #[serde(default)]
    pub(crate) baselines: Vec<String>,
    /// Expected seconds of trainings.
    #[serde(default)]
    pub(crate) seconds: Seconds,
    /// Equal for the same data and program.
    #[serde(default)]
    pub(crate) fingerprint: String,
    /// Settings of a search that suit the task, by the tables `search` and `screening`; those of the person who
    /// searches come first.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub(crate) settings: Table,
}

/// Expected seconds of one training, by schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seconds {
    pub(crate) proxy: Option<f64>,
    pub(crate) full: Option<f64>,
}

/// A branch of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BranchDescription {
    /// Name in formulas and messages.
    pub(crate) name: String,
    /// Extent of the second dimension of its predictions.
    pub(crate) channels: usize,
    /// Kind of its predictions.
    #[serde(default)]
    pub(crate) activation: Activation,
    /// The class of positions that count nowhere.
    #[serde(default)]
    pub(crate) ignore_index: Option<i64>,
    /// Whether the program scores this branch by itself, for screening.
    #[serde(default)]
    pub(crate) scored: bool,
    /// Names of further inputs, fields without gradient that come with each sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) given: Vec<String>,
    /// Whether its predictions are the four deltas of boxes, whose overlaps with objects are further inputs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) boxes: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Kind of a branch's predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// Class probabilities, a softmax over the channels.
    #[default]
    Softmax,
    /// Numbers.
    None,
}

/// A screening sample: one entry a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenSample {
    pub(crate) branches: Vec<GivenBranch>,
}

/// A branch of a screening sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenBranch {
    /// File of the predictions: (N, C), with up to two spatial dimensions more.
    pub(crate) prediction: PathBuf,
    /// File of the targets: class numbers of shape (N, spatial), or numbers of the predictions' shape.
    pub(crate) target: PathBuf,
    /// Whether predictions are logits.
    #[serde(default)]
    pub(crate) from_logits: bool,
    /// Files of the further inputs, by name: fields of the prediction's shape.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) given: BTreeMap<String, PathBuf>,
    /// The boxes of a branch that predicts boxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boxes: Option<GivenBoxes>,
}

/// The boxes of a branch of a screening sample, one for each position of the prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenBoxes {
    /// File of the boxes that deltas are relative to, (boxes, 4): x1, y1, x2, y2.
    pub(crate) references: PathBuf,
    /// File of the object of each of them, (boxes, 4).
    pub(crate) objects: PathBuf,
    /// File of the factors of areas in square pixels, (boxes,).
    pub(crate) scales: PathBuf,
    /// Weights of the four deltas.
    pub(crate) weights: [f32; 4],
}
