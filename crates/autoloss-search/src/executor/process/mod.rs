//! Trainings in child processes: one that is killed, hangs or prints rubbish loses its trial and is replaced.

mod output;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::protocol::{Order, Request, hello, line};
use super::{Executor, Inbox, Message};
use crate::error::SearchError;
use crate::study::{Trial, TrialId, TrialOutcome};
use crate::task::Task;
use output::{Answer, Mailbox, State, keep, listen, lock};

/// Time for a training to end that is no longer wanted.
const GRACE: Duration = Duration::from_millis(1500);

/// The worker processes that a search is to have.
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

/// Worker processes. Each but the first starts with its first trial; they stay from one stage of a run to the
/// next, and end with this value.
pub struct Processes {
    pool: Mutex<Pool>,
    count: usize,
}

impl Processes {
    /// Starts the first process and waits until it has opened the task.
    ///
    /// # Errors
    /// If it cannot be started or refuses to work.
    pub fn start(settings: ProcessSettings) -> Result<Self, SearchError> {
        let count = settings.settings.len();
        let mut pool = Pool {
            workers: settings.settings.iter().map(|_| None).collect(),
            about: settings,
            forms: Vec::new(),
            mailbox: Mailbox::default(),
        };
        let (ready, answer) = channel();
        if count > 0 {
            pool.workers[0] = Some(pool.start(0, Some(ready))?);
            match answer.recv() {
                Ok(Ok(forms)) => pool.forms = forms,
                Ok(Err(reason)) => return Err(SearchError::Worker(reason)),
                Err(_) => return Err(SearchError::Worker("a worker process ended".to_owned())),
            }
        }
        Ok(Self {
            pool: Mutex::new(pool),
            count,
        })
    }

    /// Their number.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The processes as the executor of one stage, with at most so many trials side by side.
    pub(crate) fn stage<'a>(&'a self, task: &'a dyn Task, most: usize, inbox: &Inbox) -> Stage<'a> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.mailbox.is_for(Some(inbox.clone()));
        Stage {
            slots: self.count.min(most),
            task,
            pool,
        }
    }
}

/// A running worker process.
struct Running {
    child: Child,
    input: ChildStdin,
    state: Arc<Mutex<State>>,
    /// When the trial was cancelled.
    cancelled: Option<Instant>,
}

/// The processes that run.
struct Pool {
    about: ProcessSettings,
    workers: Vec<Option<Running>>,
    /// Forms of losses that the workers want.
    forms: Vec<String>,
    mailbox: Mailbox,
}

impl Pool {
    /// Starts a process; its first answer goes to `ready`, or, if there is none, to the mailbox.
    fn start(&self, slot: usize, ready: Option<Sender<Answer>>) -> Result<Running, SearchError> {
        let program = self.about.program.display();
        let broken = |error| SearchError::Worker(format!("{program} cannot be started: {error}"));
        let mut command = Command::new(&self.about.program);
        if let Some(folder) = &self.about.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(&self.about.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        let hello = hello(&self.about.settings[slot], &self.about.fingerprint);
        // A process that has ended already says so by its output.
        let _ = input.write_all(hello.as_bytes());
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, mailbox) = (state.clone(), self.mailbox.clone());
        std::thread::spawn(move || {
            let kept = shared.clone();
            let (told, ended) = channel();
            std::thread::spawn(move || {
                keep(errors, &kept);
                let _ = told.send(());
            });
            listen(output, &ended, &shared, ready, &mailbox);
        });
        Ok(Running {
            child,
            input,
            state,
            cancelled: None,
        })
    }

    /// A worker without a trial, started anew where it has ended.
    fn idle(&mut self) -> Result<&mut Running, SearchError> {
        let is_idle = |worker: &Option<Running>| {
            let worker = worker.as_ref();
            worker.is_none_or(|worker| lock(&worker.state).trial.is_none())
        };
        let slot = self.workers.iter().position(is_idle);
        let slot = slot.expect("no more trials are submitted than there are slots");
        let ended = |worker: &Running| lock(&worker.state).ended;
        if self.workers[slot].as_ref().is_none_or(ended) {
            if let Some(mut old) = self.workers[slot].take() {
                old.end();
            }
            self.workers[slot] = Some(self.start(slot, None)?);
        }
        Ok(self.workers[slot].as_mut().expect("it was started"))
    }
}

impl Running {
    fn send(&mut self, request: &Request) {
        // A process that has ended says so by its output.
        let sent = self.input.write_all(line(request).as_bytes());
        let _ = sent.and_then(|()| self.input.flush());
    }

    /// Kills the process; its trial is lost.
    fn kill(&mut self, reason: &'static str) {
        lock(&self.state).reason.get_or_insert(reason);
        let _ = self.child.kill();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes during one stage of a run.
pub(crate) struct Stage<'a> {
    pool: MutexGuard<'a, Pool>,
    task: &'a dyn Task,
    slots: usize,
}

impl Executor for Stage<'_> {
    fn slots(&self) -> usize {
        self.slots
    }

    fn shares_cores(&self) -> bool {
        self.pool.about.shares_cores
    }

    fn submit(&mut self, trial: Trial) -> Result<(), SearchError> {
        let id = trial.id;
        let order = Order::new(trial, self.task, &self.pool.forms);
        let worker = self.pool.idle()?;
        lock(&worker.state).begin(id);
        worker.cancelled = None;
        worker.send(&Request::Train(order));
        // It may have ended in between, without knowing of the trial.
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
        let limit = self.pool.about.limit;
        for worker in self.pool.workers.iter_mut().flatten() {
            let (trial, since, ended) = {
                let state = lock(&worker.state);
                (state.trial, state.since, state.ended)
            };
            if ended {
                // It may have been left to itself for what it wrote.
                worker.end();
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

impl Drop for Stage<'_> {
    /// No trial outlives its stage.
    fn drop(&mut self) {
        self.pool.mailbox.is_for(None);
        for slot in &mut self.pool.workers {
            // Its end is no news for the next stage.
            let trial = |worker: &mut Running| lock(&worker.state).trial.take();
            if slot.as_mut().and_then(trial).is_some()
                && let Some(mut worker) = slot.take()
            {
                worker.end();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            worker.end();
        }
    }
}
