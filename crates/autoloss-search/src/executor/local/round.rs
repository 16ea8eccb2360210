//! Choosing what to train: of several candidates that are likely to pass screening the one whose score
//! is expected to improve on the best the most, see `search.choices`.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Draws, Search, screened};
use crate::event::Fate;
use crate::evolution::{Found, Known};
use crate::screening::{Judgement, Open, Scratch, Signature};
use crate::settings::SearchSettings;

/// Losses nearer to each other than this train alike: they differ in scale and rounding.
const ALIKE: f64 = 1e-5;

/// A candidate that may be trained.
struct Choice {
    found: Found,
    signature: Arc<Signature>,
    /// Where it is not screened to the end.
    open: Option<Box<Open>>,
}

/// What a proposal found so far.
#[derive(Default)]
pub(super) struct Round {
    choices: Vec<Choice>,
    /// Candidates found, those equivalent to others included.
    found: usize,
}

impl Round {
    pub(super) fn is_full(&self, settings: &SearchSettings) -> bool {
        self.found >= settings.choices && !self.choices.is_empty()
    }
}

impl Search<'_> {
    /// Puts a candidate to the others of its round.
    pub(super) fn consider(
        &self,
        found: Found,
        open: Option<Box<Open>>,
        round: &mut Round,
        scratch: &mut Scratch,
    ) {
        round.found += 1;
        {
            let shared = &mut *self.lock();
            let of = match shared.evolution.known(&found.candidate.norms) {
                Known::New => None,
                Known::Scored(id, _) | Known::InTraining(id) => Some(id),
            };
            if let Some(id) = of {
                let reason = format!("equivalent to #{id}");
                screened(shared, found.candidate, Fate::Equivalent, reason);
                return;
            }
        }
        let signature = Arc::new(self.screening.signature(&found.loss, scratch));
        let is_alike = |other: &Choice| other.signature.distance(&signature) < ALIKE;
        if let Some(other) = round.choices.iter().find(|other| is_alike(other)) {
            let reason = format!("pulls as `{}`", other.found.candidate.formula);
            screened(&mut self.lock(), found.candidate, Fate::NotChosen, reason);
            return;
        }
        round.choices.push(Choice {
            found,
            signature,
            open,
        });
    }

    /// Trains the candidate of a round that promises the most and passes screening; of equals the
    /// first. `None` where none passes.
    pub(super) fn choose(
        &self,
        round: &mut Round,
        drawn: &mut Draws,
        scratch: &mut Scratch,
    ) -> Option<ControlFlow<()>> {
        let mut choices = self
            .most_promising_first(std::mem::take(round).choices)
            .into_iter();
        let found = loop {
            let choice = choices.next()?;
            if self.is_over() {
                drawn.report(&mut self.lock());
                return Some(ControlFlow::Break(()));
            }
            if let Some(found) = self.finish(choice, scratch) {
                break found;
            }
        };
        for other in choices {
            let reason = "another one promised more".to_owned();
            let candidate = other.found.candidate;
            screened(&mut self.lock(), candidate, Fate::NotChosen, reason);
        }
        Some(self.settle(found, drawn))
    }

    fn most_promising_first(&self, choices: Vec<Choice>) -> Vec<Choice> {
        let predictor = {
            let shared = self.lock();
            let mut predictor = shared.predictor.clone();
            for (_, signature) in &shared.in_training {
                predictor.expect(signature.clone());
            }
            predictor
        };
        let Some(process) = predictor.fit() else {
            return choices;
        };
        let promise = |choice: &Choice| process.expected_improvement(&choice.signature);
        let mut promising: Vec<_> = choices.into_iter().map(|c| (promise(&c), c)).collect();
        promising.sort_by(|a, b| b.0.total_cmp(&a.0));
        promising.into_iter().map(|(_, choice)| choice).collect()
    }

    /// Screens a choice to the end; `None` where it does not pass, which is recorded.
    fn finish(&self, choice: Choice, scratch: &mut Scratch) -> Option<Found> {
        let mut found = Found {
            signature: Some(choice.signature),
            ..choice.found
        };
        if let Some(open) = choice.open {
            let verdict = self.screening.finish(&open, scratch);
            found.candidate.g = verdict.g;
            if verdict.judgement != Judgement::Passed {
                self.rejected(found.candidate, &verdict);
                return None;
            }
        }
        Some(found)
    }
}
