//! Ask and tell: a search without threads, clocks and files.
//!
//! [`Study::next_trial`] and [`Study::next_finder`] (or [`Study::propose`], which is either) give the work
//! that can be done now, in any number of places: trainings, and the drawing and screening of candidates.
//! [`Study::tell`] and [`Study::admit`] take the results in any order. [`Study::drain`] gives all that
//! happened, in order, for the record. The same asks and tells make the same study.

mod admit;
mod budget;
mod choose;
mod contender;
mod context;
mod find;
mod ledger;
mod proposal;
mod race;
mod restore;
mod rungs;
mod tell;
#[cfg(test)]
mod tests;
mod trial;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use autoloss_expr::Loss;

pub use budget::{Measured, Plan, expected_seconds};
pub use context::Context;
pub use find::{Finder, Finding};
pub use restore::Record;
pub use rungs::Decision;
pub use trial::{ATTEMPTS, Failure, Told, Trained, Trial, TrialId, TrialOutcome};

use self::budget::Budget;
use self::choose::Round;
use self::contender::Contender;
use self::ledger::Ledger;
use self::proposal::Proposal;
use self::race::{Race, Repeat};
use self::rungs::Rungs;
use crate::error::SearchError;
use crate::event::{End, Event, Tally};
use crate::population::Member;
use crate::predictor::Predictor;
use crate::seed::{evaluation_seed, leader_seed};
use crate::settings::{SearchSettings, Settings};
use crate::strategy::{Sampler, sampler};
use crate::task::{EvaluationSet, Job, Schedule, Task};

/// Trial of the task's usual loss.
const REFERENCE: TrialId = 0;

/// The next thing to do.
pub enum Next {
    /// Draw and screen; the result is for [`Study::admit`].
    Find(Box<Finder>),
    /// Train; the outcome is for [`Study::tell`].
    Train(Trial),
    /// Nothing before another finding or outcome.
    Wait,
    /// Nothing any more.
    Done(End),
}

/// A trial in training, or about to be given out.
struct Running {
    subject: Subject,
    /// Times that it was given out and lost.
    attempt: u32,
    /// Time at which it was given out, in seconds into the search.
    since: f64,
    /// Worker that it was given to.
    worker: usize,
    /// The rung at which it is being ended: share of the updates, and score.
    pruned: Option<(f64, f64)>,
}

/// The loss of a trial.
enum Subject {
    /// The task's usual loss.
    Reference(String, Loss),
    Candidate(Contender),
    /// A leader, trained again.
    Leader(Repeat),
}

impl Subject {
    fn formula(&self) -> String {
        match self {
            Self::Reference(_, loss) => loss.to_string(),
            Self::Candidate(contender) => contender.candidate.formula.clone(),
            Self::Leader(repeat) => repeat.formula.clone(),
        }
    }
}

/// The state of a search.
pub struct Study {
    search: SearchSettings,
    threshold: f64,
    sampler: Box<dyn Sampler>,
    ledger: Ledger,
    predictor: Arc<Predictor>,
    budget: Budget,
    rungs: Rungs,
    race: Race,
    tally: Tally,
    /// The task's usual loss, where it is still to be trained.
    reference: Option<(String, Loss)>,
    running: BTreeMap<TrialId, Running>,
    /// Running trials that were not given out yet.
    queued: VecDeque<TrialId>,
    /// Finders that go on.
    finders: VecDeque<Finder>,
    /// Finders at work elsewhere.
    finding: usize,
    /// Proposals to make again before new ones.
    again: VecDeque<u64>,
    next_proposal: u64,
    next_id: u64,
    joined: u64,
    /// Members that joined without a training since the last one.
    unproductive: u64,
    end: Option<End>,
    events: Vec<Event>,
}

impl Study {
    /// A search that has not begun. The plan tells the time that is kept for full trainings.
    ///
    /// # Errors
    /// If the strategy does not fit the task.
    pub fn new(task: &dyn Task, settings: &Settings, plan: Plan) -> Result<Self, SearchError> {
        let search = settings.search.clone();
        Ok(Self {
            threshold: settings.screening.threshold,
            sampler: sampler(&search, task)?,
            ledger: Ledger::new(search.equivalence),
            predictor: Arc::default(),
            budget: Budget::new(&search, plan),
            rungs: Rungs::new(&search),
            race: Race::new(&search),
            tally: Tally::default(),
            reference: task.baselines().into_iter().next(),
            running: BTreeMap::new(),
            queued: VecDeque::new(),
            finders: VecDeque::new(),
            finding: 0,
            again: VecDeque::new(),
            next_proposal: 0,
            next_id: 1,
            joined: 0,
            unproductive: 0,
            end: None,
            events: Vec::new(),
            search,
        })
    }

    /// The sums over everything that happened.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Reason for which the search ends, as soon as that is certain; trials may still be in training.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Trials in training, those that are ready to be given out among them.
    #[must_use]
    pub fn in_training(&self) -> usize {
        self.running.len()
    }

    /// All that happened since the last call, in order.
    pub fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The next trial or finder, `elapsed` seconds into the search, for a worker with that number.
    pub fn propose(&mut self, elapsed: f64, worker: usize) -> Next {
        if let Some(trial) = self.next_trial(elapsed, worker) {
            return Next::Train(trial);
        }
        if let Some(finder) = self.next_finder(elapsed, worker) {
            return Next::Find(Box::new(finder));
        }
        self.done().map_or(Next::Wait, Next::Done)
    }

    /// Reason for which the search has ended, once nothing is found or trained any more.
    #[must_use]
    pub fn done(&self) -> Option<End> {
        self.end
            .filter(|_| self.running.is_empty() && self.finding == 0)
    }

    /// The next training, if one is to begin, for a worker with that number.
    pub fn next_trial(&mut self, elapsed: f64, worker: usize) -> Option<Trial> {
        if self.budget.is_late(elapsed) {
            self.over(End::Time);
            for id in std::mem::take(&mut self.queued) {
                match self.running.remove(&id).map(|running| running.subject) {
                    Some(Subject::Candidate(contender)) => self.withdraw(&contender),
                    Some(Subject::Leader(repeat)) => self.withdraw_repeat(&repeat),
                    Some(Subject::Reference(..)) | None => {}
                }
            }
        }
        if self.end.is_none()
            && let Some((name, loss)) = self.reference.take()
        {
            self.enqueue(REFERENCE, Subject::Reference(name, loss));
        }
        if self.queued.is_empty() {
            self.race_on(elapsed);
        }
        let id = self.queued.pop_front()?;
        let running = self.running.get_mut(&id)?;
        (running.since, running.worker) = (elapsed, worker);
        let Running {
            subject, attempt, ..
        } = self.running.get(&id)?;
        let (attempt, loss) = (*attempt, subject.formula());
        let job = match subject {
            Subject::Leader(repeat) => self.repeat_job(repeat.number),
            Subject::Reference(..) | Subject::Candidate(_) => self.job(),
        };
        if let Subject::Candidate(Contender { candidate, .. }) = subject {
            let started = Event::EvaluationStarted {
                id,
                formula: candidate.formula.clone(),
                worker,
            };
            self.emit(started);
        }
        Some(Trial {
            id,
            attempt,
            loss,
            job,
        })
    }

    /// The next work for a finder: one that goes on, or a new proposal.
    pub fn next_finder(&mut self, elapsed: f64, worker: usize) -> Option<Finder> {
        if let Some(end) = self.budget.used_up(elapsed) {
            self.over(end);
        }
        if self.end.is_some() {
            return None;
        }
        let finder = match self.finders.pop_front() {
            Some(mut finder) => {
                finder.worker = worker;
                finder
            }
            // Each finder at work may bring the last training.
            None if self.budget.is_last(self.finding) => return None,
            None => {
                let number = self.again.pop_front().unwrap_or_else(|| {
                    self.next_proposal += 1;
                    self.next_proposal - 1
                });
                self.new_finder(number, worker, elapsed)
            }
        };
        self.finding += 1;
        Some(finder)
    }

    fn new_finder(&mut self, number: u64, worker: usize, elapsed: f64) -> Finder {
        let tuned = self.tuned(elapsed);
        let mut proposal = match tuned.is_empty() {
            true => Proposal::new(number, &mut *self.sampler, &self.search),
            false => Proposal::tuning(number, tuned, &self.search),
        };
        let chooses = self.search.choices > 1
            && number >= self.search.initial as u64
            && !self.sampler.begins_anew()
            && !proposal.is_copy()
            && !proposal.is_given()
            && !proposal.is_settled();
        if chooses {
            proposal.begin_again(&Round::default(), &mut *self.sampler, &self.search);
        }
        Finder::new(proposal, worker, chooses)
    }

    /// The losses whose constants alone change from here on; none before the search's last part.
    fn tuned(&self, elapsed: f64) -> Vec<Member> {
        let tuning = self.search.tuning;
        match tuning > 0.0 && self.budget.used_share(elapsed) >= 1.0 - tuning {
            true => self.race.leaders(),
            false => Vec::new(),
        }
    }

    fn join(&mut self, member: Member) -> u64 {
        self.sampler.join(member);
        self.joined += 1;
        self.joined - 1
    }

    /// Ends the search, the first reason counts.
    fn over(&mut self, end: End) {
        self.end.get_or_insert(end);
        for mut finder in std::mem::take(&mut self.finders) {
            self.count(&mut finder);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn job(&self) -> Job {
        Job {
            schedule: Schedule::Proxy,
            set: EvaluationSet::Search,
            seed: evaluation_seed(self.search.seed),
            stop_on_invalid: self.search.stop_on_invalid,
            all_metrics: self.search.all_metrics,
            reports: self.rungs.shares().to_vec(),
            ..Job::default()
        }
    }

    /// A further training of a leader.
    fn repeat_job(&self, number: usize) -> Job {
        Job {
            seed: leader_seed(self.search.seed, number),
            reports: Vec::new(),
            ..self.job()
        }
    }

    fn emit(&mut self, event: Event) {
        self.tally.add(&event);
        self.events.push(event);
    }
}
