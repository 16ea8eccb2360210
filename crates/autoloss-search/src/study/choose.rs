//! Choice of the candidate to train: among several that are likely to pass screening, the one whose score is
//! expected to improve on the best the most, see `search.choices`.

use std::sync::Arc;

use super::contender::{Contender, Rejected};
use super::context::Context;
use crate::event::Fate;
use crate::predictor::Predictor;
use crate::screening::{Judgement, Scratch, Signature};
use crate::task::Interrupt;

/// Distance of signatures below which losses train alike: they differ in scale and rounding.
const ALIKE: f64 = 1e-5;

/// The candidates that a proposal has found.
#[derive(Default)]
pub(crate) struct Round {
    contenders: Vec<Contender>,
    /// Candidates found, those equivalent to others included.
    found: usize,
}

impl Round {
    /// Counts a candidate that was found.
    pub(crate) const fn count(&mut self) {
        self.found += 1;
    }

    /// Whether there are as many candidates as there are to be choices.
    pub(crate) const fn is_full(&self, choices: usize) -> bool {
        self.found >= choices && !self.contenders.is_empty()
    }

    /// Whether there is nothing to choose from.
    pub(crate) const fn is_empty(&self) -> bool {
        self.contenders.is_empty()
    }

    /// Adds a candidate, unless it trains as one of them does: then it is rejected.
    pub(crate) fn add(&mut self, contender: Contender) -> Option<Rejected> {
        let is_alike = |other: &&Contender| match (&other.signature, &contender.signature) {
            (Some(a), Some(b)) => a.distance(b) < ALIKE,
            _ => false,
        };
        if let Some(other) = self.contenders.iter().find(is_alike) {
            let reason = format!("pulls as `{}`", other.candidate.formula);
            return Some(Rejected::new(contender.candidate, Fate::NotChosen, reason));
        }
        self.contenders.push(contender);
        None
    }
}

/// The scores by which a choice is made, at the moment that it begins.
pub(crate) struct Prospects {
    /// Trained losses.
    pub(crate) predictor: Arc<Predictor>,
    /// Losses in training.
    pub(crate) in_training: Vec<Arc<Signature>>,
}

impl Prospects {
    /// The candidates of a round, the most promising first; equal ones keep their order.
    fn sorted(self, contenders: Vec<Contender>) -> Vec<Contender> {
        let Some(process) = self.predictor.fit(&self.in_training) else {
            return contenders;
        };
        let promise = |contender: &Contender| {
            let signature = contender.signature.as_deref();
            signature.map_or(f64::NEG_INFINITY, |s| process.expected_improvement(s))
        };
        let mut promising: Vec<_> = contenders.into_iter().map(|c| (promise(&c), c)).collect();
        promising.sort_by(|a, b| b.0.total_cmp(&a.0));
        promising
            .into_iter()
            .map(|(_, contender)| contender)
            .collect()
    }
}

/// The candidate of a round that promises the most and passes screening; `None` where none passes, or after an
/// interrupt. All others are put to the rejected ones.
pub(crate) fn choose(
    round: &mut Round,
    prospects: Prospects,
    (context, scratch): (&Context, &mut Scratch),
    interrupt: &Interrupt,
    rejected: &mut Vec<Rejected>,
) -> Option<Contender> {
    let contenders = std::mem::take(round).contenders;
    let mut sorted = prospects.sorted(contenders).into_iter();
    let chosen = loop {
        let contender = sorted.next()?;
        if interrupt.is_set() {
            return None;
        }
        match finish(contender, context, scratch) {
            Ok(chosen) => break chosen,
            Err(failed) => rejected.push(*failed),
        }
    };
    rejected.extend(sorted.map(|other| {
        let reason = "another one promised more".to_owned();
        Rejected::new(other.candidate, Fate::NotChosen, reason)
    }));
    Some(chosen)
}

/// Screens a candidate to the end.
fn finish(
    mut contender: Contender,
    context: &Context,
    scratch: &mut Scratch,
) -> Result<Contender, Box<Rejected>> {
    if let Some(open) = contender.open.take() {
        let verdict = context.screening.finish(&open, scratch);
        contender.candidate.g = verdict.g;
        if verdict.judgement != Judgement::Passed {
            return Err(Box::new(Rejected::judged(contender.candidate, &verdict)));
        }
    }
    Ok(contender)
}
