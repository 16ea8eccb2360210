//! Where trainings run.

mod batch;
pub(crate) mod protocol;
mod threads;
mod workers;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::Duration;

pub use batch::{News, train_all};
pub use protocol::{VERSION as WORKER_VERSION, hello};
pub use threads::train;
pub(crate) use threads::{Threads, pool};
pub use workers::{
    Ear, LastLines, PipedProcess, ProcessSettings, Processes, Worker, WorkerSettings, Workplace,
};

use crate::error::SearchError;
use crate::study::{Finding, Trial, TrialId, TrialOutcome};
use crate::task::{Report, Task};

/// Longest wait before a request to end is seen.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Trains trials, as many side by side as it has slots, and puts their outcomes into the inbox that it was
/// made with.
pub(crate) trait Executor {
    /// Trials that are trained side by side.
    fn slots(&self) -> usize;

    /// Whether its trainings take the cores of this machine, which finders then leave to them.
    fn shares_cores(&self) -> bool;

    /// Begins a trial; called for no more trials at once than there are slots.
    ///
    /// # Errors
    /// If no trial can be begun any more.
    fn submit(&mut self, trial: Trial) -> Result<(), SearchError>;

    /// Ends a trial, or all of them, before its time; its outcome still comes.
    fn cancel(&mut self, id: Option<TrialId>);

    /// Called now and then, for what is to be done in time.
    fn tick(&mut self) {}
}

/// Where trainings run.
#[derive(Clone, Copy)]
pub enum Workers<'a> {
    /// A number of threads of this process.
    Threads(usize),
    /// Processes.
    Processes(&'a Processes),
}

impl<'a> Workers<'a> {
    /// Trainings that run side by side.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Threads(count) => *count,
            Self::Processes(processes) => processes.count(),
        }
    }

    /// The executor of at most so many trials side by side.
    pub(crate) fn executor<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        task: &'scope dyn Task,
        most: usize,
        inbox: &Inbox,
    ) -> Box<dyn Executor + 'scope>
    where
        'a: 'scope,
    {
        let most = most.max(1);
        match self {
            Self::Threads(count) => Box::new(Threads::new(scope, task, (*count).min(most), inbox)),
            Self::Processes(processes) => Box::new(processes.stage(task, most, inbox)),
        }
    }
}

/// News for the driver.
pub(crate) enum Message {
    /// A trial ended.
    Done(TrialId, TrialOutcome),
    /// News of a trial in training.
    Reported(TrialId, Report),
    /// A finder returned.
    Found(Box<Finding>),
    /// A thread panicked outside a training, or no worker can work.
    Broken(String),
}

/// The driver's end of a channel that executors and finders write to.
#[derive(Clone)]
pub(crate) struct Inbox(Sender<Message>);

impl Inbox {
    /// An inbox, and the end that it is read from.
    pub(crate) fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    /// Tells the outcome of a trial.
    pub(crate) fn done(&self, id: TrialId, outcome: TrialOutcome) {
        self.put(Message::Done(id, outcome));
    }

    /// Tells news of a trial in training.
    pub(crate) fn report(&self, id: TrialId, report: Report) {
        self.put(Message::Reported(id, report));
    }

    pub(crate) fn put(&self, message: Message) {
        // A driver that has ended needs no news.
        let _ = self.0.send(message);
    }
}

/// The text of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    payload
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| "no message".to_owned())
}
