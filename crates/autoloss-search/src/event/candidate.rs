//! Candidates that reached screening: their origins and fates.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::mutation::Mutation;

/// Origin of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A fresh random loss.
    Random,
    /// A plain copy of the parent.
    Copy,
    /// A mutation of the parent.
    Mutation(Mutation),
    /// The parent with a part of a second one.
    Crossover,
    /// Drawn whole from a policy.
    Policy,
    /// Given by the user, see `search.start`.
    Given,
}

impl Origin {
    /// All origins.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Random,
            Self::Copy,
            Self::Crossover,
            Self::Policy,
            Self::Given,
        ];
        plain.into_iter().chain(Mutation::ALL.map(Self::Mutation))
    }

    /// The word of the store and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Copy => "copy",
            Self::Mutation(mutation) => mutation.name(),
            Self::Crossover => "crossover",
            Self::Policy => "policy",
            Self::Given => "given",
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Fate of a candidate that reached screening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Value or gradient not finite, or gradient zero.
    Invalid,
    /// g below the threshold.
    Rejected,
    /// Took over the score of an equivalent candidate.
    Equivalent,
    /// Likely to pass, but another candidate promised more, see `search.choices`.
    NotChosen,
    /// Its training met a value that is not finite and scored 0.
    Stopped,
    /// Its training went wrong otherwise; it has no score.
    Failed,
    /// Its workers were lost again and again; it has no score.
    Lost,
    /// Its training was ended at a rung, see `search.rungs`, or that of an equivalent candidate; it has no
    /// score.
    Pruned,
    /// Trained and scored.
    Scored,
}

impl Fate {
    /// All fates.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Rejected,
        Self::Equivalent,
        Self::NotChosen,
        Self::Stopped,
        Self::Failed,
        Self::Lost,
        Self::Pruned,
        Self::Scored,
    ];

    /// The word of the store and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Equivalent => "equivalent",
            Self::NotChosen => "not chosen",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Pruned => "pruned",
            Self::Scored => "scored",
        }
    }
}

/// A candidate that reached screening.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Its number in the run, from 1.
    pub id: u64,
    /// The proposal it was drawn for, from 0.
    pub proposal: u64,
    /// Number of its draw in the proposal, from 1.
    pub draw: u64,
    /// The parent's number; `None` for a random loss.
    pub parent: Option<u64>,
    /// Kind of its draw.
    pub origin: Origin,
    /// Its formula.
    pub formula: String,
    /// Equal for losses that compute the same.
    pub canonical: String,
    /// g(L; ξ), where it was computed.
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample.
    pub norms: Vec<f64>,
    /// Seconds of screening.
    pub seconds: f64,
    /// Worker that drew it, from 0.
    pub worker: usize,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({}", self.id, self.origin.name())?;
        if let Some(parent) = self.parent {
            write!(f, " of #{parent}")?;
        }
        write!(f, ") {}", self.formula)
    }
}
