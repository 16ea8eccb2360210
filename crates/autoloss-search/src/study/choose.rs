//! Choice of the candidate to train: among several that are likely to pass screening, the one whose score is
//! expected to improve on the best the most, see `search.choices`. Part of them come from a local search for the
//! largest expected improvement, see `search.local_search`.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::contender::{Contender, Rejected};
use super::context::Context;
use crate::event::Fate;
use crate::population::drawn;
use crate::predictor::{Predictor, Process};
use crate::screening::{Judgement, Scratch, Signature};
use crate::settings::SearchSettings;
use crate::task::Interrupt;

/// Distance of signatures below which losses train alike: they differ in scale and rounding.
const ALIKE: f64 = 1e-5;

/// Share of a round's candidates that a tournament draws, of which the most promising is the parent of the next one.
const TOURNAMENT: f64 = 0.3;

/// The candidates that a proposal has found.
#[derive(Default)]
pub(crate) struct Round {
    contenders: Vec<Contender>,
    /// Candidates found, those equivalent to others included.
    found: usize,
    /// The prediction of scores that the local search goes by, from its first candidate on.
    process: Option<Process>,
}

impl Round {
    /// Whether the local search has a prediction to go by.
    pub(crate) const fn predicts(&self) -> bool {
        self.process.is_some()
    }

    /// Gives the local search its prediction, unless nothing is known yet.
    pub(crate) fn predict(&mut self, prospects: &Prospects) {
        self.process = prospects.fit();
    }

    /// Expected improvement of a candidate, as the local search counts it; 0 without a prediction.
    pub(crate) fn promise(&self, signature: &Signature) -> f64 {
        let process = self.process.as_ref();
        process.map_or(0.0, |process| process.expected_improvement(signature))
    }

    /// A candidate of the round that the next one is to be a mutation of, the winner of a tournament; `None` where
    /// the next one comes from trained losses.
    pub(crate) fn parent(
        &self,
        settings: &SearchSettings,
        rng: &mut ChaCha8Rng,
    ) -> Option<&Contender> {
        let is_local = self.found >= settings.choices_from_trained();
        if !is_local || !self.predicts() {
            return None;
        }
        let places = drawn(self.contenders.len(), TOURNAMENT, rng);
        let contenders = places.map(|place| &self.contenders[place]);
        contenders.max_by(|a, b| a.promise.total_cmp(&b.promise))
    }

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
    /// The prediction; `None` before the first score.
    fn fit(&self) -> Option<Process> {
        self.predictor.fit(&self.in_training)
    }

    /// The candidates of a round, the most promising first; equal ones keep their order.
    fn sorted(self, contenders: Vec<Contender>) -> Vec<Contender> {
        let Some(process) = self.fit() else {
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

#[cfg(test)]
mod tests {
    use autoloss_expr::{Loss, Tree};

    use super::*;
    use crate::event::{Candidate, Origin};
    use crate::seed::{Stream, generator};

    fn contender(number: u64, promise: f64) -> Contender {
        let candidate = Candidate {
            id: number,
            proposal: 0,
            draw: 0,
            parent: None,
            origin: Origin::Random,
            formula: String::new(),
            canonical: String::new(),
            g: None,
            norms: Vec::new(),
            seconds: 0.0,
            worker: 0,
        };
        Contender {
            promise,
            ..Contender::new(candidate, Loss::single("", Tree::one()))
        }
    }

    #[test]
    fn parents_of_the_local_search_are_promising_candidates() {
        let settings = SearchSettings {
            choices: 30,
            local_search: 0.3,
            ..SearchSettings::default()
        };
        let mut predictor = Predictor::default();
        predictor.add(
            1,
            Arc::new(Signature::of_directions(&[&[1.0, 0.0]])),
            0.5,
            1.0,
        );
        let prospects = Prospects {
            predictor: Arc::new(predictor),
            in_training: Vec::new(),
        };
        let rng = &mut generator(0, Stream::Proposal, 0);
        let mut round = Round::default();
        for number in 0..20 {
            round.count();
            round.add(contender(number, number as f64));
        }
        round.predict(&prospects);
        assert!(round.parent(&settings, rng).is_none(), "20 of 21");
        round.count();
        let parents: Vec<u64> = (0..100)
            .map(|_| round.parent(&settings, rng).unwrap().candidate.id)
            .collect();
        // The best of six of twenty is none of the worst five.
        assert!(parents.iter().all(|id| *id >= 5));
        let best = parents.iter().filter(|id| **id == 19).count();
        assert!((15..45).contains(&best), "{best} of 30 expected");
        round.process = None;
        assert!(round.parent(&settings, rng).is_none(), "no prediction");
    }
}
