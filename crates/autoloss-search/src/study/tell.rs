//! Outcomes of trials.

use std::sync::Arc;

use super::contender::Contender;
use super::race::Repeat;
use super::rungs::Decision;
use super::trial::{ATTEMPTS, Failure, Told, Trained, TrialId, TrialOutcome};
use super::{Running, Study, Subject};
use crate::error::SearchError;
use crate::event::{Event, FailedTraining, Fate, Tally};
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
        let Some(mut running) = self.running.remove(&id) else {
            return Ok(Told::Unknown);
        };
        let (worker, seconds) = (running.worker, elapsed - running.since);
        if let Some(at) = running.pruned
            && let Subject::Candidate(contender) = running.subject
        {
            // Whatever became of it: it may have come to its end before it was stopped.
            self.end_early(contender, at, (worker, seconds));
            return Ok(Told::Counted);
        }
        if let TrialOutcome::Lost(reason) = outcome {
            running.attempt += 1;
            let candidate = match &running.subject {
                Subject::Leader(repeat) => repeat.candidate,
                Subject::Reference(..) | Subject::Candidate(_) => id,
            };
            self.emit(Event::Lost {
                id: candidate,
                attempt: running.attempt,
                reason: reason.clone(),
                worker,
                seconds,
            });
            if running.attempt < ATTEMPTS {
                self.running.insert(id, running);
                self.queued.push_front(id);
                return Ok(Told::Counted);
            }
            let failure = Failure::lost(&reason);
            return self.without_score(running.subject, Fate::Lost, failure, (worker, elapsed));
        }
        match (running.subject, outcome) {
            (Subject::Reference(name, loss), TrialOutcome::Trained(trained)) => {
                self.budget.trained(&trained);
                let training = trained.into_training(&name, loss.to_string(), &self.job());
                self.emit(Event::Reference { training, worker });
            }
            (Subject::Reference(name, loss), TrialOutcome::Interrupted) => {
                self.reference = Some((name, loss));
            }
            (Subject::Candidate(contender), TrialOutcome::Trained(trained)) => {
                self.evaluated(contender, trained, worker);
            }
            (Subject::Leader(repeat), TrialOutcome::Trained(trained)) => {
                self.repeated(&repeat, trained, worker);
            }
            (Subject::Leader(repeat), TrialOutcome::Interrupted) => self.withdraw_repeat(&repeat),
            (subject, TrialOutcome::Failed(failure)) => {
                return self.without_score(subject, Fate::Failed, failure, (worker, elapsed));
            }
            (Subject::Candidate(contender), TrialOutcome::Interrupted) => {
                self.withdraw(&contender);
            }
            (_, TrialOutcome::Lost(_)) => unreachable!("it is given out again"),
        }
        Ok(Told::Counted)
    }

    /// Lets the leaders that have too few trainings be trained again.
    pub(super) fn race_on(&mut self, elapsed: f64) {
        while self.end.is_none()
            && self.budget.used_up(elapsed).is_none()
            && let Some(repeat) = self.race.next()
        {
            self.budget.begin();
            self.enqueue(repeat.trial(), Subject::Leader(repeat));
        }
    }

    /// Takes a further training of a leader, whose mean score counts from here on.
    fn repeated(&mut self, repeat: &Repeat, trained: Trained, worker: usize) {
        let id = repeat.candidate;
        let Some((mean, trainings)) = self.race.finish(id, trained.score) else {
            return;
        };
        self.budget.trained(&trained);
        self.correct(id, mean, trainings);
        let Some(best) = self.race.best() else { return };
        let job = self.repeat_job(repeat.number);
        let training = trained.into_training(&format!("#{id}"), repeat.formula.clone(), &job);
        self.emit(Event::Repeated {
            id,
            ended: Ok(training),
            mean,
            trainings,
            best,
            worker,
        });
    }

    /// Gives a candidate, and all that have its score, the mean of its trainings.
    pub(super) fn correct(&mut self, id: u64, mean: f64, trainings: usize) {
        self.sampler.correct(id, mean);
        self.ledger.correct(id, mean);
        Arc::make_mut(&mut self.predictor).correct(id, mean, trainings as f64);
    }

    /// Takes a further training that failed for good; its candidate keeps the score that it has.
    fn repeat_failed(&mut self, repeat: &Repeat, failure: Failure, worker: usize) {
        let id = repeat.candidate;
        self.race.close(id);
        let standing = self.race.standing(id).zip(self.race.best());
        let Some(((mean, trainings), best)) = standing else {
            return;
        };
        let failed = FailedTraining {
            name: format!("#{id}"),
            formula: repeat.formula.clone(),
            seed: self.repeat_job(repeat.number).seed,
            message: failure.message,
            seconds: failure.seconds,
        };
        self.emit(Event::Repeated {
            id,
            ended: Err(failed),
            mean,
            trainings,
            best,
            worker,
        });
    }

    /// Withdraws a further training that is not made after all.
    pub(super) fn withdraw_repeat(&mut self, repeat: &Repeat) {
        self.budget.withdraw();
        self.race.interrupt(repeat.candidate);
    }

    /// Takes the score on the search set that a trial in training has after a share of its updates.
    pub fn report(&mut self, id: TrialId, share: f64, score: f64) -> Decision {
        let Some(Running {
            subject: Subject::Candidate(_),
            pruned: None,
            ..
        }) = self.running.get(&id)
        else {
            return Decision::Continue;
        };
        let Some(verdict) = self.rungs.report(id, share, score) else {
            return Decision::Continue;
        };
        self.emit(Event::Reported { id, share, score });
        if verdict == Decision::Prune
            && let Some(running) = self.running.get_mut(&id)
        {
            running.pruned = Some((share, score));
        }
        verdict
    }

    /// Takes a training that was ended at a rung. Its candidate and those that waited for it have no score; predictions
    /// take the final score of trainings like it.
    fn end_early(
        &mut self,
        contender: Contender,
        (share, score): (f64, f64),
        (worker, seconds): (usize, f64),
    ) {
        let Contender {
            candidate,
            signature,
            ..
        } = contender;
        let id = candidate.id;
        if let (Some(signature), Some(worth)) = (signature, self.rungs.worth(id)) {
            Arc::make_mut(&mut self.predictor).add(id, signature, worth, share);
        }
        self.unproductive = 0;
        let waiting = self.ledger.end(&candidate.norms);
        self.ledger.enter_pruned(id, &candidate.norms);
        self.emit(Event::Pruned {
            candidate,
            share,
            score,
            seconds,
            worker,
        });
        for waiting in waiting {
            self.pruned_as(waiting, id);
        }
    }

    /// Rejects a candidate that is equivalent to one whose training was ended early.
    pub(super) fn pruned_as(&mut self, contender: Contender, to: u64) {
        self.unproductive += 1;
        self.emit(Event::Screened {
            candidate: contender.candidate,
            fate: Fate::Pruned,
            reason: format!("equivalent to #{to}"),
        });
    }

    /// Takes a training that ended for good without a score.
    fn without_score(
        &mut self,
        subject: Subject,
        fate: Fate,
        failure: Failure,
        (worker, elapsed): (usize, f64),
    ) -> Result<Told, SearchError> {
        match subject {
            Subject::Reference(name, _) => Err(SearchError::Baseline {
                name,
                message: failure.message,
            }),
            Subject::Candidate(contender) => {
                self.failed(contender, fate, failure, (worker, elapsed))?;
                Ok(Told::Counted)
            }
            Subject::Leader(repeat) => {
                self.repeat_failed(&repeat, failure, worker);
                Ok(Told::Counted)
            }
        }
    }

    /// Takes a training with a score.
    fn evaluated(&mut self, contender: Contender, trained: Trained, worker: usize) {
        let Contender {
            candidate,
            loss,
            signature,
            ..
        } = contender;
        let (id, score) = (candidate.id, trained.score);
        if let Some(signature) = signature {
            Arc::make_mut(&mut self.predictor).add(id, signature, score, 1.0);
        }
        self.budget.trained(&trained);
        self.rungs.finish(id, score);
        self.unproductive = 0;
        let waiting = self.ledger.end(&candidate.norms);
        self.ledger.enter(id, score, &candidate.norms);
        if trained.fate == Fate::Scored {
            self.race.enter(id, (&loss, &candidate.formula), score);
        }
        let joined = self.join(Member {
            id,
            trained: id,
            parent: candidate.parent,
            loss,
            score,
        });
        self.emit(Event::Evaluated {
            candidate,
            fate: trained.fate,
            reason: trained.reason,
            score,
            seconds: trained.seconds,
            curve: trained.curve,
            metrics: trained.metrics,
            joined,
            worker: Some(worker),
        });
        for waiting in waiting {
            self.take_over(waiting, id, score);
        }
    }

    /// Takes a training that failed: its candidate has no score, and each candidate that waited for it is
    /// settled by itself.
    fn failed(
        &mut self,
        contender: Contender,
        fate: Fate,
        failure: Failure,
        (worker, elapsed): (usize, f64),
    ) -> Result<(), SearchError> {
        let Contender { candidate, .. } = contender;
        let Failure { message, seconds } = failure;
        let waited = self.ledger.end(&candidate.norms);
        self.emit(Event::Failed {
            candidate,
            fate,
            message: message.clone(),
            seconds,
            worker,
        });
        let Tally {
            evaluations,
            failed,
            lost,
            ..
        } = self.tally;
        let count = failed + lost;
        if count == evaluations && count >= FAILURES {
            return Err(SearchError::EvaluationsFail { count, message });
        }
        for waiting in waited {
            self.settle(waiting, elapsed);
        }
        Ok(())
    }

    /// Withdraws a candidate that is not trained after all; those that waited for it are proposed again after a resume.
    pub(super) fn withdraw(&mut self, contender: &Contender) {
        self.budget.withdraw();
        self.ledger.end(&contender.candidate.norms);
    }

    /// Lets an equivalent candidate join with the score of `to`.
    pub(super) fn take_over(&mut self, contender: Contender, to: u64, score: f64) {
        let Contender {
            candidate, loss, ..
        } = contender;
        let id = candidate.id;
        let joined = self.join(Member {
            id,
            trained: to,
            parent: candidate.parent,
            loss,
            score,
        });
        self.unproductive += 1;
        self.emit(Event::Equivalent {
            candidate,
            to,
            score,
            joined,
        });
    }
}
