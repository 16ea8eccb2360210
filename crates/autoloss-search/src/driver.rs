//! The loop of a run: a study gives work, executors and finders do it, and every event is
//! recorded before more is given out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::Instant;

use tracing::Span;

use crate::error::SearchError;
use crate::event::{End, Event};
use crate::executor::{Executor, Inbox, Message, TICK, Workers, pool};
use crate::screening::Scratch;
use crate::study::{Context, Decision, Finder, Next, Study, Trial, TrialId};
use crate::task::{Interrupt, Report, Task};
use crate::trace;

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

/// Threads that run finders; they end when this value is dropped.
struct Finders {
    orders: Sender<Finder>,
    /// Ends finders early.
    stop: Arc<Interrupt>,
}

impl Finders {
    fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        context: &'scope Context,
        count: usize,
        inbox: &Inbox,
    ) -> Self {
        let stop = Arc::new(Interrupt::default());
        let (told, stopped) = (inbox.clone(), stop.clone());
        let start = move || {
            let (inbox, stop) = (told.clone(), stopped.clone());
            let mut scratch = Scratch::default();
            move |finder: Finder| {
                let span = finder.span();
                let finding = finder.run(context, &mut scratch, &stop);
                drop(span);
                inbox.put(Message::Found(Box::new(finding)));
            }
        };
        let orders = pool(scope, count, inbox, start);
        Self { orders, stop }
    }

    fn submit(&self, finder: Finder) {
        // The threads live as long as this end of the channel.
        let _ = self.orders.send(finder);
    }
}

impl Drop for Finders {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// Told of every event in order, and of `None` after them and now and then while nothing happens; an error of it
/// ends the search at once.
pub(crate) type OnEvent<'a> = dyn FnMut(Option<Event>) -> Result<(), SearchError> + 'a;

/// Trials that wait for a free slot where finders do not share the trainings' cores: a slot that becomes free
/// has work at once, and parents are not much older.
const AHEAD: usize = 1;

/// Searches until the study ends. Where trainings take this machine's cores, finders share them: a worker
/// finds a candidate, trains it, and finds the next one. Else the cores are left to the finders.
pub(crate) fn search(
    task: &dyn Task,
    study: &mut Study,
    context: &Context,
    (workers, clock): (Workers<'_>, Clock),
    interrupt: &Interrupt,
    on_event: &mut OnEvent<'_>,
) -> Result<End, SearchError> {
    let (inbox, messages) = Inbox::new();
    std::thread::scope(|scope| {
        let mut executor = workers.executor(scope, task, usize::MAX, &inbox);
        let places = match executor.shares_cores() {
            true => executor.slots(),
            false => available_cores(),
        };
        let driver = Driver {
            finders: Finders::new(scope, context, places, &inbox),
            messages,
            idle: (0..places).collect(),
            slots: BTreeSet::new(),
            known: 0,
            finding: 0,
            training: BTreeMap::new(),
            silent: 0,
            executor: &mut *executor,
            study,
            clock,
            on_event,
            error: None,
        };
        driver.run(interrupt)
    })
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The parts of a running search.
struct Driver<'a, 'b> {
    study: &'a mut Study,
    executor: &'a mut (dyn Executor + 'b),
    finders: Finders,
    messages: Receiver<Message>,
    /// Workers of this machine without work: they run finders, and trainings that share their cores.
    idle: BTreeSet<usize>,
    /// Slots of an executor that leaves the cores to the finders, without a trial; of those it has no more, the
    /// numbers are the highest.
    slots: BTreeSet<usize>,
    /// Most slots that the executor has had.
    known: usize,
    /// Finders at work.
    finding: usize,
    /// Trials in training, the worker or slot of each, and its span.
    training: BTreeMap<TrialId, (usize, Span)>,
    /// Finders and trials of which no news will come.
    silent: usize,
    clock: Clock,
    on_event: &'a mut OnEvent<'b>,
    error: Option<SearchError>,
}

impl Driver<'_, '_> {
    fn run(mut self, interrupt: &Interrupt) -> Result<End, SearchError> {
        let mut end = None;
        loop {
            let ending = interrupt.is_set() || self.error.is_some();
            if !ending && end.is_none() {
                end = match self.hand_out() {
                    Ok(end) => end,
                    Err(error) => self.fail(error),
                };
            }
            if ending {
                self.executor.cancel(None);
            }
            if ending || self.study.end().is_some() {
                self.finders.stop.set();
            }
            self.record();
            if self.finding + self.training.len() <= self.silent && (ending || end.is_some()) {
                break;
            }
            self.take_messages();
            self.executor.tick();
            self.record();
        }
        match (self.error, end) {
            (Some(error), _) => Err(error),
            (None, Some(end)) => Ok(end),
            (None, None) => Ok(End::Interrupted),
        }
    }

    /// Gives work to all that have none; why the search has ended, if it has.
    fn hand_out(&mut self) -> Result<Option<End>, SearchError> {
        match self.executor.shares_cores() {
            true => self.share(),
            false => self.hand_out_apart(),
        }
    }

    /// Gives work to idle workers that find and train in turn.
    fn share(&mut self) -> Result<Option<End>, SearchError> {
        while let Some(worker) = self.idle.first().copied() {
            match self.study.propose(self.clock.elapsed(), worker) {
                Next::Find(finder) => self.find(*finder),
                Next::Train(trial) => self.train(trial, worker)?,
                Next::Wait => return Ok(None),
                Next::Done(end) => return Ok(Some(end)),
            }
            self.idle.remove(&worker);
        }
        Ok(None)
    }

    /// Gives trials to free slots, and finders to the cores of this machine while trials are wanted.
    fn hand_out_apart(&mut self) -> Result<Option<End>, SearchError> {
        let elapsed = self.clock.elapsed();
        let slots = self.executor.slots();
        self.slots.extend(self.known..slots);
        self.known = self.known.max(slots);
        // Where there are fewer slots than before, trials of the old ones may still be in training.
        while self.training.len() < slots
            && let Some(slot) = self.slots.first().copied()
            && let Some(trial) = self.study.next_trial(elapsed, slot)
        {
            self.slots.remove(&slot);
            self.train(trial, slot)?;
        }
        let wanted = slots + AHEAD;
        while self.study.in_training() + self.finding < wanted
            && let Some(worker) = self.idle.first().copied()
            && let Some(finder) = self.study.next_finder(elapsed, worker)
        {
            self.idle.remove(&worker);
            self.find(finder);
        }
        Ok(self.study.done())
    }

    fn find(&mut self, finder: Finder) {
        self.finding += 1;
        self.finders.submit(finder);
    }

    fn train(&mut self, trial: Trial, place: usize) -> Result<(), SearchError> {
        let (id, span) = (trial.id, trace::trial(&trial, place));
        self.executor.submit(trial)?;
        self.training.insert(id, (place, span));
        Ok(())
    }

    /// Takes all news, after a wait for the first.
    fn take_messages(&mut self) {
        match self.messages.recv_timeout(TICK) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => return self.tell(None),
            Err(RecvTimeoutError::Disconnected) => {
                self.fail(SearchError::Worker("all threads ended".to_owned()));
                self.silent = self.finding + self.training.len();
            }
        }
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        let elapsed = self.clock.elapsed();
        let taken = match message {
            Message::Found(finding) => {
                self.finding = self.finding.saturating_sub(1);
                self.idle.insert(finding.worker());
                self.study.admit(*finding, elapsed)
            }
            Message::Done(id, outcome) => {
                if let Some((place, _)) = self.training.remove(&id) {
                    match self.executor.shares_cores() {
                        true => self.idle.insert(place),
                        false => self.slots.insert(place),
                    };
                }
                self.study.tell(id, outcome, elapsed).map(|_| ())
            }
            Message::Reported(_, Report::Update { .. }) => Ok(()),
            Message::Reported(id, Report::Score { share, score }) => {
                if self.study.report(id, share, score) == Decision::Prune {
                    self.executor.cancel(Some(id));
                }
                Ok(())
            }
            Message::Broken(text) => {
                self.silent += 1;
                Err(SearchError::Worker(text))
            }
        };
        if let Err(error) = taken {
            self.fail(error);
        }
    }

    /// Tells everything that happened.
    fn record(&mut self) {
        let events = self.study.drain();
        if events.is_empty() {
            return;
        }
        for event in events {
            self.tell(Some(event));
        }
        self.tell(None);
    }

    fn tell(&mut self, event: Option<Event>) {
        // Events after one that could not be stored are not stored either.
        if matches!(self.error, Some(SearchError::Store(_))) {
            return;
        }
        if let Err(error) = (self.on_event)(event) {
            self.fail(error);
        }
    }

    /// Ends the search; the first error counts.
    fn fail(&mut self, error: SearchError) -> Option<End> {
        self.error.get_or_insert(error);
        None
    }
}
