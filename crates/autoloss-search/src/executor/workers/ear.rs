//! The lines of a worker, and the state that they change.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use autoloss_expr::Format;

use crate::executor::inbox::{Inbox, Message};
use crate::executor::protocol::{Reply, VERSION};
use crate::study::{TrialId, TrialOutcome};

/// Way of the workers' news: the inbox of the stage, if there is one.
#[derive(Clone, Default)]
pub(super) struct Mailbox(Arc<Mutex<Option<Inbox>>>);

impl Mailbox {
    pub(super) fn is_for(&self, inbox: Option<Inbox>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = inbox;
    }

    pub(super) fn put(&self, message: Message) {
        if let Some(inbox) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            inbox.put(message);
        }
    }
}

/// The first answer of a worker: the forms of losses that it wants, or the reason for which it cannot work.
pub(super) type Answer = Result<Vec<String>, String>;

/// A worker's state, shared with whoever hears it.
#[derive(Default)]
pub(super) struct WorkerState {
    /// The trial in training.
    pub(super) trial: Option<TrialId>,
    /// Time at which the trial was given out.
    pub(super) since: Option<Instant>,
    /// Reason for which the worker is being killed.
    pub(super) reason: Option<&'static str>,
    pub(super) ended: bool,
}

impl WorkerState {
    /// Takes a trial.
    pub(super) fn begin(&mut self, trial: TrialId) {
        (self.trial, self.since) = (Some(trial), Some(Instant::now()));
    }

    /// Ends the trial; an outcome whose worker did not measure its seconds gets those since it was given out.
    fn end(&mut self, mut outcome: TrialOutcome) -> TrialOutcome {
        self.trial = None;
        let seconds = self
            .since
            .map_or(0.0, |since| since.elapsed().as_secs_f64());
        let measured = match &mut outcome {
            TrialOutcome::Trained(trained) => Some(&mut trained.seconds),
            TrialOutcome::Failed(failure) => Some(&mut failure.seconds),
            TrialOutcome::Interrupted | TrialOutcome::Lost(_) => None,
        };
        if let Some(measured) = measured.filter(|measured| **measured == 0.0) {
            *measured = seconds;
        }
        outcome
    }
}

/// Hears one worker: told each line that it writes, and its end.
pub struct Ear {
    state: Arc<Mutex<WorkerState>>,
    /// Told the first answer; a worker without this has no news but a refusal.
    ready: Option<Sender<Answer>>,
    mailbox: Mailbox,
    /// The line that was no message.
    rubbish: Option<String>,
}

impl Ear {
    pub(super) fn new(
        state: Arc<Mutex<WorkerState>>,
        ready: Option<Sender<Answer>>,
        mailbox: Mailbox,
    ) -> Self {
        Self {
            state,
            ready,
            mailbox,
            rubbish: None,
        }
    }

    /// Takes a line; false where the worker is of no more use, whose end is to be told then.
    pub fn line(&mut self, text: &str) -> bool {
        match serde_json::from_str(text) {
            Ok(Reply::Ready {
                version: VERSION,
                forms,
                ..
            }) => match forms.iter().find(|form| !is_text(form)) {
                Some(form) => self.refuse(&format!(
                    "it asks for losses as {form:?}, which is no format of text"
                )),
                None => {
                    if let Some(ready) = self.ready.take() {
                        let _ = ready.send(Ok(forms));
                    }
                    true
                }
            },
            Ok(Reply::Ready { version, .. }) => self.refuse(&format!(
                "it speaks version {version} of the messages, not {VERSION}"
            )),
            Ok(Reply::Refused { reason }) => self.refuse(&reason),
            Ok(Reply::Report { id, report }) => {
                self.mailbox.put(Message::Reported(id, report));
                true
            }
            Ok(Reply::Done { id, outcome }) => {
                self.done(id, outcome);
                true
            }
            Err(_) => {
                let start: String = text.chars().take(80).collect();
                self.rubbish = Some(format!("it wrote {start:?}, which is no message"));
                false
            }
        }
    }

    fn done(&self, id: TrialId, outcome: TrialOutcome) {
        let mut state = lock(&self.state);
        // A trial that is not in training has no outcome.
        if state.trial == Some(id) {
            let outcome = state.end(outcome);
            drop(state);
            self.mailbox.put(Message::Done(id, outcome));
        }
    }

    /// A worker that cannot work for this search ends it: another one would not either.
    fn refuse(&mut self, reason: &str) -> bool {
        let text = format!("a worker process refuses to work: {reason}");
        match self.ready.take() {
            Some(ready) => {
                let _ = ready.send(Err(text));
            }
            None => self.mailbox.put(Message::Broken(text)),
        }
        // The end of the worker is no loss of a trial.
        lock(&self.state).trial = None;
        false
    }

    /// The worker's end, for the reason in words: its trial is lost.
    pub fn ended(self, words: &str) {
        let mut state = lock(&self.state);
        state.ended = true;
        let reason = match (state.reason, &self.rubbish) {
            (Some(reason), _) => reason,
            (None, Some(rubbish)) => rubbish,
            (None, None) => words,
        };
        let reason = format!("worker process: {reason}");
        let trial = state.trial.take();
        drop(state);
        if let Some(id) = trial {
            let outcome = TrialOutcome::Lost(reason.clone());
            self.mailbox.put(Message::Done(id, outcome));
        }
        if let Some(ready) = self.ready {
            let _ = ready.send(Err(reason));
        }
    }
}

/// Whether losses can be given in a form.
fn is_text(form: &str) -> bool {
    Format::from_name(form).is_ok_and(Format::is_text)
}

pub(super) fn lock(state: &Mutex<WorkerState>) -> MutexGuard<'_, WorkerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
