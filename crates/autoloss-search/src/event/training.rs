//! Trainings with a fixed loss: the reference of a run, and the full trainings at its end.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::task::{EvaluationSet, SEARCH_SCORE};

/// A scored training with a fixed loss: the reference of a run, or a training of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Name of the loss, such as `cross entropy` or `#12`.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// Seed of the training.
    pub seed: u64,
    /// The set that it was scored on.
    pub set: EvaluationSet,
    /// The task's metric; 0 where the training was stopped by a value that is not finite.
    pub score: f64,
    /// Seconds.
    pub seconds: f64,
    /// Reason, where it was stopped.
    pub note: Option<String>,
    /// (update, loss value).
    pub curve: Vec<(usize, f64)>,
    /// Further metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// Pictures of the network's work as PNG files; a store gives them apart, see
    /// [`Store::pictures`](crate::Store::pictures).
    #[serde(skip)]
    pub pictures: Vec<Vec<u8>>,
}

impl Training {
    /// The task's metric on the search set, where it is known.
    #[must_use]
    pub fn search_score(&self) -> Option<f64> {
        if self.set == EvaluationSet::Search {
            return Some(self.score);
        }
        let mut metrics = self.metrics.iter();
        let found = metrics.find(|(name, _)| name == SEARCH_SCORE);
        found.map(|(_, score)| *score)
    }
}

impl fmt::Display for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with seed {}: {:.4}",
            self.name, self.seed, self.score
        )?;
        self.note
            .as_ref()
            .map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

/// A training with a fixed loss that went wrong and has no score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedTraining {
    /// Name of the loss.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// Seed of the training.
    pub seed: u64,
    /// The task's error or panic.
    pub message: String,
    /// Seconds until then.
    pub seconds: f64,
}

impl fmt::Display for FailedTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            seed,
            message,
            ..
        } = self;
        write!(f, "{name} with seed {seed} failed: {message}")
    }
}

/// End of a training of a comparison.
pub type Ended = Result<Training, FailedTraining>;

/// Serialises a training that ended: with its `score`, or with the `message` of its failure.
pub(super) fn either<S: Serializer>(ended: &Ended, serializer: S) -> Result<S::Ok, S::Error> {
    match ended {
        Ok(training) => training.serialize(serializer),
        Err(failed) => failed.serialize(serializer),
    }
}

/// Purpose of the full trainings at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalStage {
    /// Choice of one of the finalists, on the search set.
    Finalists,
    /// Comparison of that finalist with the task's baselines, on the validation set.
    Comparison,
}

impl FinalStage {
    /// The set that the trainings are scored on.
    #[must_use]
    pub const fn set(self) -> EvaluationSet {
        match self {
            Self::Finalists => EvaluationSet::Search,
            Self::Comparison => EvaluationSet::Validation,
        }
    }

    /// The word of the store for its trainings.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Finalists => "finalist",
            Self::Comparison => "final",
        }
    }
}

impl fmt::Display for FinalStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finalists => "choice among the finalists",
            Self::Comparison => "final comparison",
        })
    }
}
