//! Candidates between screening and training, and those that are not trained.

use std::sync::Arc;

use autoloss_expr::Loss;

use crate::event::{Candidate, Fate};
use crate::screening::{Judgement, Open, Signature, Verdict};

/// A candidate that passed screening, or is likely to.
pub(crate) struct Contender {
    pub(crate) candidate: Candidate,
    /// Its loss without the factors that balance the branches, which the candidate's formula has.
    pub(crate) loss: Loss,
    /// Its signature, where scores are predicted.
    pub(crate) signature: Option<Arc<Signature>>,
    /// Its expected improvement, as the local search of its round counts it.
    pub(crate) promise: f64,
    /// State of its screening, where that is not at its end.
    pub(crate) open: Option<Box<Open>>,
}

impl Contender {
    pub(crate) const fn new(candidate: Candidate, loss: Loss) -> Self {
        Self {
            candidate,
            loss,
            signature: None,
            promise: 0.0,
            open: None,
        }
    }
}

/// A candidate that is not trained.
pub(crate) struct Rejected {
    pub(crate) candidate: Candidate,
    pub(crate) fate: Fate,
    pub(crate) reason: String,
}

impl Rejected {
    pub(crate) const fn new(candidate: Candidate, fate: Fate, reason: String) -> Self {
        Self {
            candidate,
            fate,
            reason,
        }
    }

    /// A candidate that a verdict rejects.
    pub(crate) fn judged(candidate: Candidate, verdict: &Verdict) -> Self {
        let fate = match verdict.judgement {
            Judgement::Invalid => Fate::Invalid,
            _ => Fate::Rejected,
        };
        Self::new(candidate, fate, verdict.reason.clone().unwrap_or_default())
    }
}
