//! The output of a worker process, read by threads of its own, and the state that it changes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autoloss_expr::Format;

use crate::executor::protocol::{Reply, VERSION};
use crate::executor::{Inbox, Message};
use crate::study::{TrialId, TrialOutcome};

/// Time for the error output of a process that has ended to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lines of a worker's error output that an error shows.
const SHOWN: usize = 5;

/// Where the threads that read the processes' output put news: the inbox of the stage, if there is one.
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

/// The first answer of a worker: the forms of losses that it wants, or why it cannot work.
pub(super) type Answer = Result<Vec<String>, String>;

/// A worker process's state, shared with the thread that reads its output.
#[derive(Default)]
pub(super) struct State {
    /// The trial in training.
    pub(super) trial: Option<TrialId>,
    /// When that was given out.
    pub(super) since: Option<Instant>,
    /// Why the process is being killed.
    pub(super) reason: Option<&'static str>,
    pub(super) ended: bool,
    /// Last lines of its error output.
    errors: VecDeque<String>,
}

impl State {
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

/// Reads a process's output to its end.
pub(super) fn listen(
    output: ChildStdout,
    errors: &Receiver<()>,
    state: &Mutex<State>,
    mut ready: Option<Sender<Answer>>,
    mailbox: &Mailbox,
) {
    let mut rubbish = None;
    for text in BufReader::new(output).lines() {
        let Ok(text) = text else { break };
        match serde_json::from_str(&text) {
            Ok(Reply::Ready {
                version: VERSION,
                forms,
            }) => {
                if let Some(form) = forms.iter().find(|form| !is_text(form)) {
                    let reason =
                        format!("it asks for losses as {form:?}, which is no format of text");
                    return refuse(&reason, ready, mailbox);
                }
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Ok(forms));
                }
            }
            Ok(Reply::Ready { version, .. }) => {
                let reason = format!("it speaks version {version} of the messages, not {VERSION}");
                return refuse(&reason, ready, mailbox);
            }
            Ok(Reply::Refused { reason }) => return refuse(&reason, ready, mailbox),
            Ok(Reply::Report { id, report }) => mailbox.put(Message::Reported(id, report)),
            Ok(Reply::Done { id, outcome }) => {
                let mut state = lock(state);
                // Of a trial that is not in training there is nothing to tell.
                if state.trial == Some(id) {
                    let outcome = state.end(outcome);
                    drop(state);
                    mailbox.put(Message::Done(id, outcome));
                }
            }
            Err(_) => {
                let start: String = text.chars().take(80).collect();
                rubbish = Some(format!("it wrote {start:?}, which is no message"));
                break;
            }
        }
    }
    // Its last words; something that it started may hold its error output open.
    let _ = errors.recv_timeout(LAST_WORDS);
    let mut state = lock(state);
    state.ended = true;
    let said: Vec<&str> = state.errors.iter().map(String::as_str).collect();
    let reason = match (state.reason, rubbish) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(rubbish)) => rubbish,
        (None, None) if said.is_empty() => "it ended without a word".to_owned(),
        (None, None) => format!("it ended: {}", said.join(" | ")),
    };
    let trial = state.trial.take();
    drop(state);
    if let Some(id) = trial {
        let outcome = TrialOutcome::Lost(format!("worker process: {reason}"));
        mailbox.put(Message::Done(id, outcome));
    }
    if let Some(ready) = ready {
        let _ = ready.send(Err(format!("worker process: {reason}")));
    }
}

/// Whether losses can be given in a form.
fn is_text(form: &str) -> bool {
    Format::from_name(form).is_ok_and(Format::is_text)
}

/// A process that cannot work for this search ends it: another one would not either.
fn refuse(reason: &str, ready: Option<Sender<Answer>>, mailbox: &Mailbox) {
    let text = format!("a worker process refuses to work: {reason}");
    match ready {
        Some(ready) => {
            let _ = ready.send(Err(text));
        }
        None => mailbox.put(Message::Broken(text)),
    }
}

/// Keeps the last lines of a process's error output.
pub(super) fn keep(errors: ChildStderr, state: &Mutex<State>) {
    let mut errors = BufReader::new(errors);
    let mut bytes = Vec::new();
    // What is longer than this is no line that helps.
    while let Ok(1..) = errors.by_ref().take(4096).read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        let mut state = lock(state);
        state.errors.push_back(text);
        if state.errors.len() > SHOWN {
            state.errors.pop_front();
        }
    }
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
