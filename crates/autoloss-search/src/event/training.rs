//! Trainings with a fixed loss: the reference of a run, and the full trainings at its end.

use std::fmt;

use crate::task::{EvaluationSet, SEARCH_SCORE};

/// One scored training with a fixed loss: the reference of a run, or one of a comparison.
#[derive(Clone, Debug, PartialEq)]
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
    /// Why it was stopped.
    pub note: Option<String>,
    /// (update, loss value).
    pub curve: Vec<(usize, f64)>,
    /// Further metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// Pictures of the network's work as PNG files; a store gives them apart, see
    /// [`Store::pictures`](crate::Store::pictures).
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

/// One training with a fixed loss that went wrong and has no score.
#[derive(Clone, Debug, PartialEq)]
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

/// How one training of a comparison ended.
pub type Ended = Result<Training, FailedTraining>;

/// Purpose of the full trainings at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
