//! Outcomes of trials.

use std::sync::Arc;

use super::find::Contender;
use super::trial::{Failure, Told, Trained, TrialId, TrialOutcome};
use super::{Study, Subject};
use crate::error::SearchError;
use crate::event::{Event, Tally};
use crate::population::Member;

/// Failures at the beginning, and nothing else, that end the search.
const FAILURES: u64 = 5;

impl Study {
    /// Takes the outcome of a trial, `elapsed` seconds into the search. The first outcome of a trial counts.
    ///
    /// # Errors
    /// If the task's usual loss cannot be trained, or the first candidates all fail.
    pub fn tell(
        &mut self,
        id: TrialId,
        outcome: TrialOutcome,
        elapsed: f64,
    ) -> Result<Told, SearchError> {
        if self.queued.contains(&id) {
            return Ok(Told::Unknown);
        }
        let Some(running) = self.running.remove(&id) else {
            return Ok(Told::Unknown);
        };
        match (running.subject, outcome) {
            (Subject::Reference(name, loss), TrialOutcome::Trained(trained)) => {
                self.budget.trained(&trained);
                let training = trained.into_training(&name, loss.to_string(), &self.job());
                self.emit(Event::Reference(training));
            }
            (Subject::Reference(name, _), TrialOutcome::Failed(Failure { message, .. })) => {
                return Err(SearchError::Baseline { name, message });
            }
            (Subject::Reference(name, loss), TrialOutcome::Interrupted) => {
                self.reference = Some((name, loss));
            }
            (Subject::Candidate(contender), TrialOutcome::Trained(trained)) => {
                self.evaluated(contender, trained);
            }
            (Subject::Candidate(contender), TrialOutcome::Failed(failure)) => {
                self.failed(contender, failure, elapsed)?;
            }
            (Subject::Candidate(contender), TrialOutcome::Interrupted) => {
                self.withdraw(&contender);
            }
        }
        Ok(Told::Counted)
    }

    /// A training gave a score.
    fn evaluated(&mut self, contender: Contender, trained: Trained) {
        let Contender {
            candidate,
            loss,
            signature,
            ..
        } = contender;
        let (id, score) = (candidate.id, trained.score);
        if let Some(signature) = signature {
            Arc::make_mut(&mut self.predictor).add(signature, score);
        }
        self.budget.trained(&trained);
        self.unproductive = 0;
        let waiting = self.ledger.end(&candidate.norms);
        self.ledger.enter(id, score, &candidate.norms);
        let joined = self.join(Member { id, loss, score });
        self.emit(Event::Evaluated {
            candidate,
            fate: trained.fate,
            reason: trained.reason,
            score,
            seconds: trained.seconds,
            curve: trained.curve,
            metrics: trained.metrics,
            joined,
        });
        for waiting in waiting {
            self.take_over(waiting, id, score);
        }
    }

    /// A training failed: nothing is known of its candidate's score, and each candidate that waited for it is
    /// settled by itself.
    fn failed(
        &mut self,
        contender: Contender,
        failure: Failure,
        elapsed: f64,
    ) -> Result<(), SearchError> {
        let Contender { candidate, .. } = contender;
        let Failure { message, seconds } = failure;
        let waited = self.ledger.end(&candidate.norms);
        self.emit(Event::Failed {
            candidate,
            message: message.clone(),
            seconds,
        });
        let Tally {
            evaluations,
            failed: count,
            ..
        } = self.tally;
        if count == evaluations && count >= FAILURES {
            return Err(SearchError::EvaluationsFail { count, message });
        }
        for waiting in waited {
            self.settle(waiting, elapsed);
        }
        Ok(())
    }

    /// A candidate is not trained after all; those that waited for it are proposed again after a resume.
    pub(super) fn withdraw(&mut self, contender: &Contender) {
        self.budget.withdraw();
        self.ledger.end(&contender.candidate.norms);
    }

    /// An equivalent candidate joins with the score of `to`.
    pub(super) fn take_over(&mut self, contender: Contender, to: u64, score: f64) {
        let Contender {
            candidate, loss, ..
        } = contender;
        let id = candidate.id;
        let joined = self.join(Member { id, loss, score });
        self.unproductive += 1;
        self.emit(Event::Equivalent {
            candidate,
            to,
            score,
            joined,
        });
    }
}
