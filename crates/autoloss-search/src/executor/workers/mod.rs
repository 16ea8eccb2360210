//! Trainings by workers that speak lines of JSON, in child processes or anywhere else: one that is killed, hangs or
//! prints rubbish loses its trial and is replaced.

mod ear;
mod local;
mod piped;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::inbox::{Executor, Inbox, Message};
use super::protocol::{Order, Request, hello, line};
use crate::error::SearchError;
use crate::study::{Trial, TrialId, TrialOutcome};
use crate::task::Task;
pub use ear::Ear;
use ear::{Answer, Mailbox, WorkerState, lock};
pub use piped::{LastLines, PipedProcess};

/// Time for a training to end that is no longer wanted.
const GRACE: Duration = Duration::from_millis(1500);

/// Place of workers, and the way of their lines.
pub trait Workplace: Send + Sync {
    /// Workers that can be had now, in places from 0; it may change from call to call.
    fn count(&self) -> usize;

    /// Whether trainings take the cores of this machine, which finders then leave to them.
    fn shares_cores(&self) -> bool;

    /// Starts a worker in a place; all that it writes, and its end, is told to the ear.
    ///
    /// # Errors
    /// If no worker can be started there, now and later.
    fn start(&self, place: usize, ear: Ear) -> Result<Box<dyn Worker>, SearchError>;
}

/// A running worker.
pub trait Worker: Send {
    /// Sends a line, which has its line break. A worker that has ended tells so by its ear.
    fn send(&mut self, line: &str);

    /// Ends the worker at once; its end is told to the ear.
    fn kill(&mut self);

    /// Ends the worker, if it has not ended, and waits until it has.
    fn end(&mut self);
}

/// Settings of a search's workers, wherever they are.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Settings of the task for each place, in turn.
    pub settings: Vec<String>,
    /// [`Task::fingerprint`](crate::Task::fingerprint) of the search's own task.
    pub fingerprint: String,
    /// Longest duration of a trial; `None`: any.
    pub limit: Option<Duration>,
}

/// The worker processes that a search is to have on this machine.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The folder that it runs in; `None`: that of this process.
    pub folder: Option<PathBuf>,
    /// Settings of the task for each process.
    pub settings: Vec<String>,
    /// [`Task::fingerprint`](crate::Task::fingerprint) of the search's own task.
    pub fingerprint: String,
    /// Longest duration of a trial; `None`: any.
    pub limit: Option<Duration>,
    /// Whether trainings take the cores of this machine, which finders then leave to them.
    pub shares_cores: bool,
}

/// Workers in processes. Each but the first starts with its first trial; they stay from one stage of a run to the
/// next, and end with this value.
pub struct Processes {
    pool: Mutex<Pool>,
    workplace: Arc<dyn Workplace>,
}

impl Processes {
    /// Starts the first process on this machine and waits until it has opened the task.
    ///
    /// # Errors
    /// If it cannot be started or refuses to work.
    pub fn start(settings: ProcessSettings) -> Result<Self, SearchError> {
        let about = WorkerSettings {
            settings: settings.settings.clone(),
            fingerprint: settings.fingerprint.clone(),
            limit: settings.limit,
        };
        Self::at(Arc::new(settings), about)
    }

    /// Starts the first worker of a workplace and waits until it has opened the task.
    ///
    /// # Errors
    /// If it cannot be started or refuses to work.
    pub fn at(workplace: Arc<dyn Workplace>, about: WorkerSettings) -> Result<Self, SearchError> {
        let mut pool = Pool {
            workplace: workplace.clone(),
            about,
            workers: Vec::new(),
            forms: Vec::new(),
            mailbox: Mailbox::default(),
        };
        let (ready, answer) = channel();
        if workplace.count() > 0 {
            let first = pool.start(0, Some(ready))?;
            pool.workers.push(Some(first));
            match answer.recv() {
                Ok(Ok(forms)) => pool.forms = forms,
                Ok(Err(reason)) => return Err(SearchError::Worker(reason)),
                Err(_) => return Err(SearchError::Worker("a worker process ended".to_owned())),
            }
        }
        Ok(Self {
            pool: Mutex::new(pool),
            workplace,
        })
    }

    /// Their number now.
    pub(crate) fn count(&self) -> usize {
        self.workplace.count()
    }

    /// The workers as the executor of one stage, with at most `most` trials side by side.
    pub(crate) fn stage<'a>(
        &'a self,
        task: &'a dyn Task,
        most: usize,
        inbox: &Inbox,
    ) -> StageWorkers<'a> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.mailbox.is_for(Some(inbox.clone()));
        StageWorkers { most, task, pool }
    }
}

/// A running worker and its state.
struct Running {
    worker: Box<dyn Worker>,
    state: Arc<Mutex<WorkerState>>,
    /// Time at which the trial was cancelled.
    cancelled: Option<Instant>,
}

/// The workers that run.
struct Pool {
    workplace: Arc<dyn Workplace>,
    about: WorkerSettings,
    /// The worker of each place.
    workers: Vec<Option<Running>>,
    /// Forms of losses that the workers want.
    forms: Vec<String>,
    mailbox: Mailbox,
}

impl Pool {
    /// Starts a worker; its first answer goes to `ready`, or, if there is none, to the mailbox.
    fn start(&self, place: usize, ready: Option<Sender<Answer>>) -> Result<Running, SearchError> {
        let state = Arc::new(Mutex::new(WorkerState::default()));
        let ear = Ear::new(state.clone(), ready, self.mailbox.clone());
        let mut worker = self.workplace.start(place, ear)?;
        let settings = &self.about.settings;
        let own = settings.get(place % settings.len().max(1));
        let own = own.map_or("", String::as_str);
        worker.send(&hello(own, &self.about.fingerprint));
        Ok(Running {
            worker,
            state,
            cancelled: None,
        })
    }

    /// A worker without a trial: one that runs, else a new one in the first place that has none.
    fn idle(&mut self) -> Result<&mut Running, SearchError> {
        let waits = |worker: &Option<Running>| worker.as_ref().is_some_and(Running::is_idle);
        let is_free = |worker: &Option<Running>| {
            worker
                .as_ref()
                .is_none_or(|worker| lock(&worker.state).ended)
        };
        let place = self.workers.iter().position(waits);
        let place = place.or_else(|| self.workers.iter().position(is_free));
        let place = place.unwrap_or_else(|| {
            self.workers.push(None);
            self.workers.len() - 1
        });
        if is_free(&self.workers[place]) {
            if let Some(mut old) = self.workers[place].take() {
                old.worker.end();
            }
            self.workers[place] = Some(self.start(place, None)?);
        }
        Ok(self.workers[place].as_mut().expect("it was started"))
    }

    /// Ends workers without a trial where there are more than the workplace has room for: another one may wait for
    /// theirs.
    fn make_room(&mut self) {
        let ended = |worker: &Running| lock(&worker.state).ended;
        let running = self
            .workers
            .iter()
            .flatten()
            .filter(|worker| !ended(worker));
        let over = running.count().saturating_sub(self.workplace.count());
        let idle = self.workers.iter_mut().rev().flatten();
        for worker in idle.filter(|worker| worker.is_idle()).take(over) {
            worker.worker.end();
            lock(&worker.state).ended = true;
        }
    }
}

impl Running {
    /// Whether it runs and has no trial.
    fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.trial.is_none() && !state.ended
    }

    fn send(&mut self, request: &Request) {
        self.worker.send(&line(request));
    }

    /// Kills the worker; its trial is lost.
    fn kill(&mut self, reason: &'static str) {
        lock(&self.state).reason.get_or_insert(reason);
        self.worker.kill();
    }
}

/// The workers during one stage of a run.
pub(crate) struct StageWorkers<'a> {
    pool: MutexGuard<'a, Pool>,
    task: &'a dyn Task,
    most: usize,
}

impl Executor for StageWorkers<'_> {
    fn slots(&self) -> usize {
        self.pool.workplace.count().min(self.most)
    }

    fn shares_cores(&self) -> bool {
        self.pool.workplace.shares_cores()
    }

    fn submit(&mut self, trial: Trial) -> Result<(), SearchError> {
        let id = trial.id;
        let order = Order::new(trial, self.task, &self.pool.forms);
        let worker = self.pool.idle()?;
        lock(&worker.state).begin(id);
        worker.cancelled = None;
        worker.send(&Request::Train(order));
        // The worker may have ended in between, without knowing of the trial.
        let mut state = lock(&worker.state);
        if state.ended
            && let Some(id) = state.trial.take()
        {
            drop(state);
            let outcome = TrialOutcome::Lost("the process had ended".to_owned());
            self.pool.mailbox.put(Message::Done(id, outcome));
        }
        Ok(())
    }

    fn cancel(&mut self, id: Option<TrialId>) {
        for worker in self.pool.workers.iter_mut().flatten() {
            let Some(trial) = lock(&worker.state).trial else {
                continue;
            };
            if worker.cancelled.is_none() && id.is_none_or(|id| id == trial) {
                worker.cancelled = Some(Instant::now());
                worker.send(&Request::Cancel(trial));
            }
        }
    }

    fn tick(&mut self) {
        self.pool.make_room();
        let limit = self.pool.about.limit;
        for worker in self.pool.workers.iter_mut().flatten() {
            let (trial, since, ended) = {
                let state = lock(&worker.state);
                (state.trial, state.since, state.ended)
            };
            if ended {
                // The worker may have been left to itself after it wrote rubbish.
                worker.worker.end();
            }
            if trial.is_none() {
                continue;
            }
            let over = |since: Instant, limit| since.elapsed() > limit;
            if worker.cancelled.is_some_and(|since| over(since, GRACE)) {
                worker.kill("it did not end when it was asked to");
            } else if limit.is_some_and(|limit| since.is_some_and(|since| over(since, limit))) {
                worker.kill("it took longer than search.trial_time allows");
            }
        }
    }
}

impl Drop for StageWorkers<'_> {
    /// No trial outlives its stage.
    fn drop(&mut self) {
        self.pool.mailbox.is_for(None);
        for slot in &mut self.pool.workers {
            // Its end is no news for the next stage.
            let trial = |worker: &mut Running| lock(&worker.state).trial.take();
            if slot.as_mut().and_then(trial).is_some()
                && let Some(mut worker) = slot.take()
            {
                worker.worker.end();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            worker.worker.end();
        }
    }
}

#[cfg(test)]
mod tests;
