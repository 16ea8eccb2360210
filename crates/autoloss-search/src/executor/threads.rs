//! Trainings on threads of this process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use super::inbox::{Executor, Inbox, Message, panic_message};
use crate::error::SearchError;
use crate::event::Fate;
use crate::study::{Failure, Trained, Trial, TrialId, TrialOutcome};
use crate::task::{Evaluation, Interrupt, Outcome, Reporter, Task, TaskError, parse_loss};

/// An order for a thread.
type Assignment = (Trial, Arc<Interrupt>);

/// Threads that end when this value is dropped.
pub(crate) struct Threads {
    slots: usize,
    orders: Sender<Assignment>,
    /// The interrupt of each trial that was begun; those of ended ones are forgotten with the next trial.
    begun: BTreeMap<TrialId, Arc<Interrupt>>,
}

impl Threads {
    /// Starts a thread for each slot, in the scope.
    pub(crate) fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        task: &'scope dyn Task,
        slots: usize,
        inbox: &Inbox,
    ) -> Self {
        let told = inbox.clone();
        let start = move || {
            let inbox = told.clone();
            move |(trial, interrupt): Assignment| {
                let report = |report| inbox.report(trial.id, report);
                let outcome = train(task, &trial, &interrupt, &report);
                inbox.done(trial.id, outcome);
            }
        };
        let orders = pool(scope, slots, inbox, start);
        Self {
            slots,
            orders,
            begun: BTreeMap::new(),
        }
    }
}

impl Executor for Threads {
    fn slots(&self) -> usize {
        self.slots
    }

    fn shares_cores(&self) -> bool {
        true
    }

    fn submit(&mut self, trial: Trial) -> Result<(), SearchError> {
        // A thread holds the other reference until the outcome is told.
        self.begun
            .retain(|_, interrupt| Arc::strong_count(interrupt) > 1);
        let interrupt = Arc::new(Interrupt::default());
        self.begun.insert(trial.id, interrupt.clone());
        // The threads live as long as this end of the channel.
        let _ = self.orders.send((trial, interrupt));
        Ok(())
    }

    fn cancel(&mut self, id: Option<TrialId>) {
        let wanted = |other: &TrialId| id.is_none_or(|id| id == *other);
        for (_, interrupt) in self.begun.iter().filter(|(id, _)| wanted(id)) {
            interrupt.set();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.cancel(None);
    }
}

/// Starts `count` threads that take orders from the returned channel, and end with it; `start` makes the
/// work of one thread. A panic is told to the inbox.
pub(crate) fn pool<'scope, T: Send + 'scope, W: FnMut(T) + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    inbox: &Inbox,
    start: impl Fn() -> W + Send + Clone + 'scope,
) -> Sender<T> {
    let (orders, receiver) = channel();
    let receiver: Arc<Mutex<Receiver<T>>> = Arc::new(Mutex::new(receiver));
    for _ in 0..count {
        let (receiver, inbox, start) = (receiver.clone(), inbox.clone(), start.clone());
        scope.spawn(move || {
            let mut work = start();
            loop {
                let order = receiver
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .recv();
                let Ok(order) = order else { break };
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(order))) {
                    inbox.put(Message::Broken(panic_message(&*payload)));
                }
            }
        });
    }
    orders
}

/// Trains and scores a trial's loss, and tells `report` the news that the trial asks for. A
/// failure, a panic of the task included, concerns this trial alone.
#[must_use]
pub fn train(
    task: &dyn Task,
    trial: &Trial,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> TrialOutcome {
    let start = Instant::now();
    let failed = |message| {
        TrialOutcome::Failed(Failure {
            message,
            seconds: start.elapsed().as_secs_f64(),
        })
    };
    let loss = match parse_loss(task, &trial.loss) {
        Ok(loss) => loss,
        Err(error) => return failed(format!("{error} in `{}`", trial.loss)),
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        task.evaluate_reporting(&loss, &trial.job, interrupt, report)
    }));
    match result {
        Ok(Ok(evaluation)) => finished(evaluation).map_or_else(failed, TrialOutcome::Trained),
        Ok(Err(TaskError::Interrupted)) => TrialOutcome::Interrupted,
        Ok(Err(TaskError::Failed(message))) => failed(message),
        Err(payload) => failed(format!("the task panicked: {}", panic_message(&*payload))),
    }
}

fn finished(evaluation: Evaluation) -> Result<Trained, String> {
    let (fate, score, reason) = match evaluation.outcome {
        Outcome::Stopped { update, what } => (
            Fate::Stopped,
            0.0,
            Some(format!("{what} at update {update}")),
        ),
        Outcome::Finished if !evaluation.score.is_finite() => {
            let score = evaluation.score;
            return Err(format!("the score is {score}, expected a finite number"));
        }
        Outcome::Finished => (Fate::Scored, evaluation.score, None),
    };
    Ok(Trained {
        fate,
        score,
        reason,
        seconds: evaluation.seconds,
        curve: evaluation.curve,
        metrics: evaluation.metrics,
        pictures: evaluation.pictures,
    })
}
