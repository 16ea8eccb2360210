//! The `[screening]` section: the choice of the candidates that are worth an evaluation.

use serde::{Deserialize, Serialize};

/// The `[screening]` section; `default.toml` tells each key's meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "default.toml documents every key, and a test sees to it"
)]
pub struct ScreeningSettings {
    pub rejection: bool,
    pub branches: Branches,
    pub samples: usize,
    pub threshold: f64,
    pub steps: usize,
    pub step_size: f64,
    pub normalise: bool,
    pub predictions: Predictions,
    pub same_gradient: bool,
    pub early_share: f64,
    pub early_gain: f64,
}

/// Procedure for the branches of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branches {
    /// Each branch by itself, by a metric of its own.
    Apart,
    /// All branches together, by the task's metric.
    Together,
}

/// Optimisation of the stored predictions in screening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictions {
    /// Predictions themselves; class probabilities are put back into [0, 1] after each step.
    Bounded,
    /// Predictions themselves, without bounds.
    Free,
    /// Through their logits, where they are class probabilities.
    Logits,
}
