//! Verdicts over candidates.

use super::fingerprint::Fingerprint;

/// Judgement of screening about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A branch uses no differentiable input, or none that knows the target: nothing was computed.
    Structural,
    /// Its value or gradient is not finite, or its gradient is zero: g = −∞.
    Invalid,
    /// g is below the threshold.
    Rejected,
    /// Worth an evaluation.
    Passed,
}

impl Judgement {
    /// The judgement as results name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structural => "structural",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Passed => "passed",
        }
    }
}

/// The verdict over one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The judgement.
    pub judgement: Judgement,
    /// Reason, where the candidate did not pass.
    pub reason: Option<String>,
    /// g(L; ξ), the mean gain of the metric; `None` where it was not needed to the end.
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample; empty where it was not computed.
    pub norms: Vec<f64>,
    /// Equal for losses that compute the same; empty for structural verdicts.
    pub canonical: String,
    /// Equal for losses whose gradients have one direction.
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Verdict {
    /// The verdict on a loss that passes without being judged.
    pub(crate) fn unasked(canonical: String) -> Self {
        Self {
            judgement: Judgement::Passed,
            reason: None,
            g: None,
            norms: Vec::new(),
            canonical,
            fingerprint: None,
        }
    }

    pub(crate) fn structural(reason: String) -> Self {
        Self {
            judgement: Judgement::Structural,
            reason: Some(reason),
            g: None,
            norms: Vec::new(),
            canonical: String::new(),
            fingerprint: None,
        }
    }
}

/// The verdict of an earlier part of a run over a loss.
pub struct Past {
    /// The judgement.
    pub judgement: Judgement,
    /// Reason, where the candidate did not pass.
    pub reason: Option<String>,
    /// g(L; ξ).
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample.
    pub norms: Vec<f64>,
}
