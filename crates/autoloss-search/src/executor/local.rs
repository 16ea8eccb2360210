//! The search on threads of this process. Each worker takes a proposal, draws and screens until a
//! candidate passes, or several to choose from, trains it, and takes the next proposal; none ever
//! waits for another.
//!
//! Events are sent while the state is locked, so their order is that of the state's changes, and
//! any beginning of their sequence is a state from which the search can go on.

mod round;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autoloss_expr::Loss;

use self::round::Round;
use super::{Failure, Trained, panic_message, train};
use crate::budget::{Measured, Plan};
use crate::error::SearchError;
use crate::event::{Candidate, End, Event, Fate, Tally};
use crate::evolution::{Evolution, Found, Known, Offspring, Proposal};
use crate::population::Member;
use crate::predictor::Predictor;
use crate::random::Space;
use crate::screening::{Judgement, Looked, Open, Scratch, Screened, Screening, Signature, Verdict};
use crate::seed::evaluation_seed;
use crate::settings::Settings;
use crate::task::{EvaluationSet, Interrupt, Job, Schedule, Task};

/// So many failures at the beginning and nothing else end the run.
const FAILURES: u64 = 5;

/// Among candidates to choose from, another parent is tried now and then, as some have no offspring
/// that passes.
const RETRIES: u64 = 1000;

/// Draws are reported at the latest after so many.
const DRAWS: u64 = 256;

/// Seconds since the run began, its earlier parts included.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) before: f64,
    pub(crate) start: Instant,
}

impl Clock {
    pub(crate) fn elapsed(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

/// What a search is made of.
pub(crate) struct Parts<'a> {
    pub(crate) task: &'a dyn Task,
    pub(crate) settings: &'a Settings,
    pub(crate) space: Space,
    pub(crate) screening: Screening,
    pub(crate) clock: Clock,
    pub(crate) evolution: Evolution,
    pub(crate) predictor: Predictor,
    pub(crate) tally: Tally,
    /// The task's usual loss, where it is still to be trained.
    pub(crate) reference: Option<(String, Loss)>,
    /// Expected cost of the full trainings at the end, for which time is kept.
    pub(crate) plan: Plan,
    /// The proxy trainings of earlier parts of the run.
    pub(crate) finished: Measured,
    /// Members that joined without a training since the last one.
    pub(crate) unproductive: u64,
}

/// What the workers share and change.
struct Shared {
    evolution: Evolution,
    predictor: Predictor,
    /// Losses in training, by the candidate's number.
    in_training: Vec<(u64, Arc<Signature>)>,
    tally: Tally,
    /// Trainings that were begun and not abandoned.
    begun: u64,
    finished: Measured,
    unproductive: u64,
    end: Option<End>,
    error: Option<SearchError>,
    /// `None` where a worker ends.
    events: Sender<Option<Event>>,
}

impl Shared {
    fn emit(&mut self, event: Event) {
        self.tally.add(&event);
        // The receiver lives until the workers have ended.
        let _ = self.events.send(Some(event));
    }
}

struct Search<'a> {
    task: &'a dyn Task,
    settings: &'a Settings,
    space: Space,
    screening: Screening,
    clock: Clock,
    plan: Plan,
    reference: Mutex<Option<(String, Loss)>>,
    /// Ends running trainings.
    interrupt: Interrupt,
    /// Ends the search; running trainings are finished.
    over: AtomicBool,
    shared: Mutex<Shared>,
}

/// Searches until the budget is used up. `on_event` gets every event, in order, on this thread, and
/// `None` now and then while nothing happens; an error of it ends the search at once.
pub(crate) fn search(
    parts: Parts<'_>,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(Option<Event>) -> Result<(), SearchError>,
) -> Result<(End, Tally), SearchError> {
    let (sender, receiver) = channel();
    let workers = parts.settings.search.worker_count();
    let search = Search {
        task: parts.task,
        settings: parts.settings,
        space: parts.space,
        screening: parts.screening,
        clock: parts.clock,
        plan: parts.plan,
        reference: Mutex::new(parts.reference),
        interrupt: Interrupt::default(),
        over: AtomicBool::new(false),
        shared: Mutex::new(Shared {
            begun: parts.tally.evaluations,
            evolution: parts.evolution,
            predictor: parts.predictor,
            in_training: Vec::new(),
            tally: parts.tally,
            finished: parts.finished,
            unproductive: parts.unproductive,
            end: None,
            error: None,
            events: sender,
        }),
    };
    let mut running = workers;
    std::thread::scope(|scope| {
        let _stop = search.interrupt.set_on_panic();
        for worker in 0..workers {
            let search = &search;
            scope.spawn(move || {
                search.run_worker(worker);
                let _ = search.lock().events.send(None);
            });
        }
        while running > 0 {
            if interrupt.is_set() {
                search.interrupt.set();
            }
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(Some(event)) => search.pass_on(Some(event), on_event),
                Ok(None) => running -= 1,
                Err(RecvTimeoutError::Timeout) => search.pass_on(None, on_event),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    let shared = search
        .shared
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = shared.error {
        return Err(error);
    }
    let all_made = parts
        .settings
        .search
        .evaluations
        .is_some_and(|n| shared.tally.evaluations >= n);
    let end = match shared.end {
        _ if all_made => End::Evaluations,
        Some(end) if !interrupt.is_set() => end,
        _ => End::Interrupted,
    };
    Ok((end, shared.tally))
}

impl Search<'_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // After a panic the search ends; the state is then only read for its error.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.interrupt.is_set()
    }

    /// Ends the search, the first reason counts.
    fn end<T>(&self, shared: &mut Shared, end: End) -> ControlFlow<(), T> {
        shared.end.get_or_insert(end);
        self.over.store(true, Ordering::Relaxed);
        ControlFlow::Break(())
    }

    fn fail<T>(&self, shared: &mut Shared, error: SearchError) -> ControlFlow<(), T> {
        shared.error.get_or_insert(error);
        self.over.store(true, Ordering::Relaxed);
        ControlFlow::Break(())
    }

    fn pass_on(
        &self,
        event: Option<Event>,
        on_event: &mut dyn FnMut(Option<Event>) -> Result<(), SearchError>,
    ) {
        if self
            .lock()
            .error
            .as_ref()
            .is_some_and(|e| matches!(e, SearchError::Store(_)))
        {
            return;
        }
        if let Err(error) = on_event(event) {
            let _ = self.fail::<()>(&mut self.lock(), error);
            self.interrupt.set();
        }
    }

    fn run_worker(&self, worker: usize) {
        let mut scratch = Scratch::default();
        let work = || {
            if self.train_reference().is_break() {
                return;
            }
            while self.proposal(worker, &mut scratch).is_continue() {}
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
            let error = SearchError::Worker(panic_message(&*payload));
            let _ = self.fail::<()>(&mut self.lock(), error);
            self.interrupt.set();
        }
    }

    fn job(&self) -> Job {
        Job {
            schedule: Schedule::Proxy,
            set: EvaluationSet::Search,
            seed: evaluation_seed(self.settings.search.seed),
            stop_on_invalid: self.settings.search.stop_on_invalid,
            all_metrics: self.settings.search.all_metrics,
            ..Job::default()
        }
    }

    /// The first worker trains the task's usual loss, to compare with while the search runs.
    fn train_reference(&self) -> ControlFlow<()> {
        let reference = self
            .reference
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((name, loss)) = reference else {
            return ControlFlow::Continue(());
        };
        let job = self.job();
        let Some(trained) = train(self.task, &loss, &job, &self.interrupt) else {
            return ControlFlow::Break(());
        };
        let shared = &mut *self.lock();
        let trained = match trained {
            Ok(trained) => trained,
            Err(Failure { message, .. }) => {
                return self.fail(shared, SearchError::Baseline { name, message });
            }
        };
        if trained.fate == Fate::Scored {
            shared.finished.add(trained.seconds);
        }
        let training = trained.into_training(&name, loss.to_string(), &job);
        shared.emit(Event::Reference(training));
        ControlFlow::Continue(())
    }

    /// Takes a proposal, draws until a candidate passes, and gives it a score.
    fn proposal(&self, worker: usize, scratch: &mut Scratch) -> ControlFlow<()> {
        let mut proposal = {
            let shared = &mut *self.lock();
            if self.is_over() {
                return ControlFlow::Break(());
            }
            if let Some(end) = self.used_up(shared) {
                return self.end(shared, end);
            }
            shared.evolution.propose()
        };
        let mut drawn = Draws::new(proposal.number);
        if proposal.is_settled() {
            return self.settle(self.given(&mut proposal, worker, &mut drawn), &mut drawn);
        }
        let mut round = Round::default();
        let chooses = self.chooses(&proposal);
        if chooses {
            self.lock().evolution.propose_further(&mut proposal);
        }
        for draw in 1..=self.settings.search.max_draws {
            if drawn.drawn >= DRAWS {
                let shared = &mut *self.lock();
                drawn.report(shared);
                if let Some(end) = self.used_up(shared) {
                    return self.end(shared, end);
                }
            }
            if self.is_over() {
                drawn.report(&mut self.lock());
                return ControlFlow::Break(());
            }
            let place = (draw, worker);
            let found = self.draw(&mut proposal, chooses, place, &mut drawn, scratch);
            match found {
                None if chooses && draw % RETRIES == 0 => {
                    self.lock().evolution.propose_further(&mut proposal);
                }
                None => {}
                Some((found, _)) if !chooses => {
                    return self.settle(self.signed(found, scratch), &mut drawn);
                }
                Some((found, open)) => {
                    self.consider(found, open, &mut round, scratch);
                    if round.is_full(&self.settings.search)
                        && let Some(flow) = self.choose(&mut round, &mut drawn, scratch)
                    {
                        return flow;
                    }
                    self.lock().evolution.propose_further(&mut proposal);
                }
            }
        }
        if let Some(flow) = self.choose(&mut round, &mut drawn, scratch) {
            return flow;
        }
        let shared = &mut *self.lock();
        drawn.report(shared);
        if shared.tally.evaluations > 0 {
            // Losses were found: they are compared rather than thrown away.
            return self.end(shared, End::NothingNew);
        }
        let error = SearchError::NothingPasses {
            draws: self.settings.search.max_draws,
            threshold: self.settings.screening.threshold,
            passed: shared.tally.passed(),
            drawn: shared.tally.drawn,
            highest: shared.tally.highest_g,
        };
        self.fail(shared, error)
    }

    /// The loss that a strategy gave as it is.
    fn given(&self, proposal: &mut Proposal, worker: usize, drawn: &mut Draws) -> Found {
        let start = Instant::now();
        let offspring = proposal.draw(&self.space, &self.settings.search);
        drawn.drawn += 1;
        let verdict = Verdict::unasked(offspring.loss.to_string());
        let candidate = candidate(proposal, (1, worker), &offspring, &verdict, start);
        Found::new(candidate, offspring.loss)
    }

    /// Draws a candidate and screens it: what passed, and what is left of its screening; else its fate is
    /// recorded.
    fn draw(
        &self,
        proposal: &mut Proposal,
        chooses: bool,
        place: (u64, usize),
        drawn: &mut Draws,
        scratch: &mut Scratch,
    ) -> Option<(Found, Option<Box<Open>>)> {
        let start = Instant::now();
        let offspring = proposal.draw(&self.space, &self.settings.search);
        let (looked, passed) = self.look(&offspring, chooses, drawn, scratch);
        let (verdict, open) = match looked {
            Some(Looked::Screened(Screened::Judged(verdict))) => (verdict, None),
            Some(Looked::Open(open)) => (Arc::new(open.unjudged()), Some(open)),
            _ => {
                proposal.keep(offspring, passed);
                return None;
            }
        };
        let candidate = candidate(proposal, place, &offspring, &verdict, start);
        if verdict.judgement == Judgement::Passed {
            return Some((Found::new(candidate, offspring.loss), open));
        }
        self.rejected(candidate, &verdict);
        proposal.keep(offspring, passed);
        None
    }

    /// With its signature, where its score is to predict those of others.
    fn signed(&self, found: Found, scratch: &mut Scratch) -> Found {
        let signature = self
            .predicts()
            .then(|| Arc::new(self.screening.signature(&found.loss, scratch)));
        Found { signature, ..found }
    }

    /// Whether scores are predicted from earlier ones.
    fn predicts(&self) -> bool {
        self.settings.search.choices > 1
    }

    /// Whether what a proposal trains is chosen among several candidates. The first ones are not:
    /// predictions need scores of ordinary losses, and know only that the odd ones are unlike them.
    fn chooses(&self, proposal: &Proposal) -> bool {
        let is_first = proposal.number < self.settings.search.initial as u64;
        self.predicts() && !is_first && !proposal.is_copy()
    }

    /// What screening makes of an offspring, `None` where it is hopeless or known as rejected; and how
    /// many of its branches passed. What is to be chosen from is not screened to the end here.
    fn look(
        &self,
        offspring: &Offspring,
        chooses: bool,
        drawn: &mut Draws,
        scratch: &mut Scratch,
    ) -> (Option<Looked>, usize) {
        drawn.drawn += 1;
        let (looked, passed) = if chooses {
            self.screening.look(&offspring.loss, scratch)
        } else {
            let (screened, passed) = self.screening.screen(&offspring.loss, scratch);
            (Looked::Screened(screened), passed)
        };
        match looked {
            Looked::Screened(Screened::Structural) => drawn.structural += 1,
            Looked::Screened(Screened::Known) => drawn.cached += 1,
            other => return (Some(other), passed),
        }
        (None, passed)
    }

    /// Records a candidate that did not pass.
    fn rejected(&self, candidate: Candidate, verdict: &Verdict) {
        let fate = match verdict.judgement {
            Judgement::Invalid => Fate::Invalid,
            _ => Fate::Rejected,
        };
        let reason = verdict.reason.clone().unwrap_or_default();
        screened(&mut self.lock(), candidate, fate, reason);
    }

    /// Gives a candidate that passed its score: that of an equivalent one, or its own. Where its
    /// training fails, each candidate that waited for it is settled by itself.
    fn settle(&self, found: Found, drawn: &mut Draws) -> ControlFlow<()> {
        drawn.report(&mut self.lock());
        let mut left = VecDeque::from([found]);
        while let Some(found) = left.pop_front() {
            left.extend(self.settle_one(found)?);
        }
        ControlFlow::Continue(())
    }

    /// Settles one candidate; after a failure those that waited for its score are left.
    fn settle_one(&self, mut found: Found) -> ControlFlow<(), Vec<Found>> {
        {
            let shared = &mut *self.lock();
            if self.is_over() {
                return ControlFlow::Break(());
            }
            let candidate = &mut found.candidate;
            let known = shared.evolution.known(&candidate.norms);
            if known == Known::New
                && let Some(end) = self.used_up(shared)
            {
                return self.end(shared, end);
            }
            if candidate.id == 0 {
                candidate.id = shared.evolution.next_id();
            }
            match known {
                Known::Scored(to, score) => {
                    take_over(shared, found, to, score);
                    if shared.unproductive >= self.settings.search.max_draws {
                        return self.end(shared, End::NothingNew);
                    }
                    return ControlFlow::Continue(Vec::new());
                }
                Known::InTraining(waits_for) => {
                    shared.emit(Event::Parked {
                        id: candidate.id,
                        waits_for,
                    });
                    shared.evolution.park(found);
                    return ControlFlow::Continue(Vec::new());
                }
                Known::New => {}
            }
            if let Some(signature) = &found.signature {
                shared.in_training.push((candidate.id, signature.clone()));
            }
            shared.begun += 1;
            shared.evolution.begin(candidate.id, &candidate.norms);
            shared.emit(Event::EvaluationStarted {
                id: candidate.id,
                formula: candidate.formula.clone(),
                worker: candidate.worker,
            });
        }
        match train(self.task, &found.loss, &self.job(), &self.interrupt) {
            Some(Ok(trained)) => {
                self.evaluated(found, trained);
                ControlFlow::Continue(Vec::new())
            }
            Some(Err(failure)) => self.failed(found, failure),
            None => {
                let shared = &mut *self.lock();
                shared.begun -= 1;
                shared.evolution.abandon(&found.candidate.norms);
                ControlFlow::Break(())
            }
        }
    }

    /// A training gave a score.
    fn evaluated(&self, found: Found, trained: Trained) {
        let Found {
            candidate,
            loss,
            signature,
        } = found;
        let shared = &mut *self.lock();
        if let Some(signature) = signature {
            shared.predictor.add(signature, trained.score);
        }
        let (id, score) = (candidate.id, trained.score);
        if trained.fate == Fate::Scored {
            shared.finished.add(trained.seconds);
        }
        shared.in_training.retain(|(id, _)| *id != candidate.id);
        shared.unproductive = 0;
        let member = Member { id, loss, score };
        let (joined, waiting) = shared.evolution.tell(member, &candidate.norms);
        shared.emit(Event::Evaluated {
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
            take_over(shared, waiting, id, score);
        }
    }

    /// A training failed: nothing is known of its candidate's score.
    fn failed(&self, found: Found, failure: Failure) -> ControlFlow<(), Vec<Found>> {
        let Found { candidate, .. } = found;
        let Failure { message, seconds } = failure;
        let shared = &mut *self.lock();
        shared.in_training.retain(|(id, _)| *id != candidate.id);
        let waited = shared.evolution.abandon(&candidate.norms);
        shared.emit(Event::Failed {
            candidate,
            message: message.clone(),
            seconds,
        });
        let Tally {
            evaluations,
            failed: count,
            ..
        } = shared.tally;
        if count == evaluations && count >= FAILURES {
            return self.fail(shared, SearchError::EvaluationsFail { count, message });
        }
        ControlFlow::Continue(waited)
    }

    /// Why no further training may begin, if so.
    fn used_up(&self, shared: &Shared) -> Option<End> {
        let search = &self.settings.search;
        if search.evaluations.is_some_and(|n| shared.begun >= n) {
            return Some(End::Evaluations);
        }
        let made = &shared.finished;
        // The training to begin, and then the full trainings.
        let needed = self.plan.proxy_seconds(made) + self.plan.final_seconds(made);
        search
            .time
            .is_some_and(|limit| self.clock.elapsed() + needed > limit)
            .then_some(End::Time)
    }
}

/// An equivalent candidate joins with the score of `to`.
fn take_over(shared: &mut Shared, found: Found, to: u64, score: f64) {
    let Found {
        candidate, loss, ..
    } = found;
    let joined = shared.evolution.join(Member {
        id: candidate.id,
        loss,
        score,
    });
    shared.unproductive += 1;
    shared.emit(Event::Equivalent {
        candidate,
        to,
        score,
        joined,
    });
}

/// A candidate that did not pass, or was passed over.
fn screened(shared: &mut Shared, mut candidate: Candidate, fate: Fate, reason: String) {
    candidate.id = shared.evolution.next_id();
    shared.emit(Event::Screened {
        candidate,
        fate,
        reason,
    });
}

/// The candidate of a draw, which worker and which of the proposal being given.
fn candidate(
    proposal: &Proposal,
    (draw, worker): (u64, usize),
    offspring: &Offspring,
    verdict: &Verdict,
    start: Instant,
) -> Candidate {
    Candidate {
        id: 0,
        proposal: proposal.number,
        draw,
        parent: offspring.parent,
        origin: offspring.origin,
        formula: offspring.loss.to_string(),
        canonical: verdict.canonical.clone(),
        g: verdict.g,
        norms: verdict.norms.clone(),
        seconds: start.elapsed().as_secs_f64(),
        worker,
    }
}

/// Draws of a proposal that were not reported yet.
struct Draws {
    proposal: u64,
    drawn: u64,
    structural: u64,
    cached: u64,
}

impl Draws {
    fn new(proposal: u64) -> Self {
        Self {
            proposal,
            drawn: 0,
            structural: 0,
            cached: 0,
        }
    }

    fn report(&mut self, shared: &mut Shared) {
        if self.drawn > 0 {
            shared.emit(Event::Drawn {
                proposal: self.proposal,
                drawn: self.drawn,
                structural: self.structural,
                cached: self.cached,
            });
            *self = Self::new(self.proposal);
        }
    }
}
