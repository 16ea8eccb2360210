//! The executor as the driver of a search sees it, and the way of its news.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::error::SearchError;
use crate::study::{Finding, Trial, TrialId, TrialOutcome};
use crate::task::Report;

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

    /// Called now and then, for work that depends on time.
    fn tick(&mut self) {}
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
