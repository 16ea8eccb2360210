//! Findings: candidates that were drawn and screened, and the choice among them.

use std::sync::Arc;

use super::choose::Prospects;
use super::contender::{Contender, Rejected};
use super::find::{Draws, Finder, Finding, Step};
use super::ledger::Known;
use super::trial::TrialId;
use super::{Running, Study, Subject};
use crate::error::SearchError;
use crate::event::{Candidate, End, Event, Fate};

impl Study {
    /// Takes the result of a finder's work, `elapsed` seconds into the search.
    ///
    /// # Errors
    /// If the finder drew all candidates of its proposal, none passed, and the search has evaluated none.
    pub fn admit(&mut self, finding: Finding, elapsed: f64) -> Result<(), SearchError> {
        let Finding {
            mut finder,
            rejected,
            step,
        } = finding;
        self.finding = self.finding.saturating_sub(1);
        for rejected in rejected {
            self.rejected(rejected);
        }
        match step {
            Step::Stopped => self.count(&mut finder),
            Step::Counted => {
                self.count(&mut finder);
                self.finders.push_back(finder);
            }
            Step::Fruitless => self.another_parent(finder),
            Step::Found(contender) if finder.chooses => self.consider(finder, contender),
            Step::Found(contender) | Step::Chosen(Some(contender)) => {
                self.count(&mut finder);
                self.settle(*contender, elapsed);
            }
            Step::Signed(contender) => {
                if let Some(alike) = finder.round.add(*contender) {
                    self.rejected(alike);
                }
                self.considered(finder);
            }
            Step::Exhausted if !finder.round.is_empty() => {
                finder.exhausted = true;
                self.choose(finder);
            }
            Step::Chosen(None) if !finder.exhausted => self.another_parent(finder),
            Step::Exhausted | Step::Chosen(None) => {
                self.count(&mut finder);
                return self.give_up();
            }
        }
        Ok(())
    }

    /// Takes a candidate to choose from: one that has another's score is rejected, others are given a signature.
    fn consider(&mut self, mut finder: Finder, contender: Box<Contender>) {
        finder.round.count();
        match self.ledger.known(&contender.candidate.norms).candidate() {
            Some(id) => {
                let reason = format!("equivalent to #{id}");
                self.rejected(Rejected::new(contender.candidate, Fate::Equivalent, reason));
                self.considered(finder);
            }
            None => {
                let lacks_prediction = self.search.searches_locally() && !finder.round.predicts();
                let prospects = lacks_prediction.then(|| self.prospects());
                self.finders.push_front(finder.sign(contender, prospects));
            }
        }
    }

    fn considered(&mut self, finder: Finder) {
        match finder.round.is_full(self.search.choices) {
            true => self.choose(finder),
            false => self.another_parent(finder),
        }
    }

    fn choose(&mut self, finder: Finder) {
        let prospects = self.prospects();
        self.finders.push_front(finder.choose(prospects));
    }

    /// The scores to choose by.
    fn prospects(&self) -> Prospects {
        let running = self.running.values();
        let signatures = running.filter_map(|running| match &running.subject {
            Subject::Reference(..) | Subject::Leader(_) => None,
            Subject::Candidate(contender) => contender.signature.clone(),
        });
        Prospects {
            predictor: Arc::new(self.predictor.only(|id| self.sampler.knows(id))),
            in_training: signatures.collect(),
        }
    }

    fn another_parent(&mut self, mut finder: Finder) {
        let Finder {
            proposal, round, ..
        } = &mut finder;
        proposal.begin_again(round, &mut *self.sampler, &self.search);
        self.finders.push_front(finder);
    }

    /// Ends a proposal without a candidate that passes: losses that were found are compared rather than thrown
    /// away.
    fn give_up(&mut self) -> Result<(), SearchError> {
        if self.tally.evaluations > 0 {
            self.over(End::NothingNew);
            return Ok(());
        }
        Err(SearchError::NothingPasses {
            draws: self.search.max_draws,
            threshold: self.threshold,
            passed: self.tally.passed(),
            drawn: self.tally.drawn,
            highest: self.tally.highest_g,
        })
    }

    /// Takes a candidate that passed: it joins with another one's score, waits for that, or is to be trained.
    pub(super) fn settle(&mut self, mut contender: Contender, elapsed: f64) {
        let known = self.ledger.known(&contender.candidate.norms);
        if known == Known::New
            && let Some(end) = self.budget.used_up(elapsed)
        {
            return self.over(end);
        }
        if contender.candidate.id == 0 {
            contender.candidate.id = self.next_id();
        }
        let id = contender.candidate.id;
        match known {
            Known::Scored(to, score) => {
                self.take_over(contender, to, score);
                self.check_productive();
            }
            Known::Pruned(to) => {
                self.pruned_as(contender, to);
                self.check_productive();
            }
            Known::InTraining(waits_for) => {
                self.emit(Event::Parked { id, waits_for });
                self.ledger.park(contender);
            }
            Known::New => {
                self.budget.begin();
                self.ledger.begin(id, &contender.candidate.norms);
                self.enqueue(id, Subject::Candidate(contender));
            }
        }
    }

    /// Ends a search in which nothing is trained any more.
    fn check_productive(&mut self) {
        if self.unproductive >= self.search.max_draws {
            self.over(End::NothingNew);
        }
    }

    pub(super) fn enqueue(&mut self, id: TrialId, subject: Subject) {
        let running = Running {
            subject,
            attempt: 0,
            since: 0.0,
            worker: 0,
            pruned: None,
        };
        self.running.insert(id, running);
        self.queued.push_back(id);
    }

    /// Records a candidate that is not trained.
    fn rejected(&mut self, rejected: Rejected) {
        let Rejected {
            candidate,
            fate,
            reason,
        } = rejected;
        let id = self.next_id();
        let candidate = Candidate { id, ..candidate };
        self.emit(Event::Screened {
            candidate,
            fate,
            reason,
        });
    }

    /// Records the draws of a finder.
    pub(super) fn count(&mut self, finder: &mut Finder) {
        let Draws {
            drawn,
            structural,
            cached,
        } = std::mem::take(&mut finder.untold);
        if drawn > 0 {
            self.emit(Event::Drawn {
                proposal: finder.proposal.number,
                drawn,
                structural,
                cached,
            });
        }
    }
}
