//! Candidates between the stages, before there is a verdict.

use std::sync::Arc;

use autoloss_expr::Program;

use super::fingerprint::Fingerprint;
use super::verdict::{Judgement, Verdict};

/// A candidate that is not hopeless by its inputs.
pub struct Flat {
    pub(super) programs: Vec<Program>,
    pub(super) canonical: String,
}

impl Flat {
    /// Equal for losses that compute the same.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// A candidate whose gradient at the first sample is known.
pub struct Pulled {
    pub(super) flat: Flat,
    /// Norm of the first sample's gradient.
    pub(super) norm: f64,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Pulled {
    /// Equal for losses whose gradients have one direction; `None` where that is not to count.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }
}

/// A candidate whose gradients are fine, before its predictions are optimised.
pub struct Open {
    pub(super) flat: Flat,
    pub(super) norms: Vec<f64>,
    pub(super) fingerprint: Option<Fingerprint>,
}

impl Open {
    /// The verdict over it where it is judged no further.
    pub(crate) fn unjudged(&self) -> Verdict {
        Verdict {
            norms: self.norms.clone(),
            fingerprint: self.fingerprint,
            ..Verdict::unasked(self.flat.canonical.clone())
        }
    }
}

/// Result of the stages before the optimisation.
pub enum Prepared {
    /// Hopeless by its inputs alone; the reason.
    Structural(String),
    /// A loss that computes the same was judged before.
    Known(Arc<Verdict>),
    /// Its value or gradient settles it.
    Settled(Arc<Verdict>),
    /// To be optimised, see [`Screener::judge`](super::Screener::judge).
    Open(Open),
}

impl Verdict {
    pub(super) fn invalid(reason: String, norms: Vec<f64>, flat: Flat) -> Self {
        Self {
            judgement: Judgement::Invalid,
            reason: Some(reason),
            g: Some(f64::NEG_INFINITY),
            norms,
            canonical: flat.canonical,
            fingerprint: None,
        }
    }

    /// The verdict for another candidate with the same gradients.
    pub(super) fn of_another(&self, pulled: Pulled) -> Self {
        Self {
            judgement: self.judgement,
            reason: Some(format!("its gradients are those of {}", self.canonical)),
            g: self.g,
            norms: vec![pulled.norm],
            canonical: pulled.flat.canonical,
            fingerprint: pulled.fingerprint,
        }
    }
}
