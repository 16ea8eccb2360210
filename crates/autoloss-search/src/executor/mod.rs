//! Where trainings run.

pub(crate) mod local;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use autoloss_expr::Loss;

use crate::event::{Fate, Training};
use crate::task::{Evaluation, Interrupt, Job, Outcome, Task, TaskError};

/// What came of a training.
pub(crate) struct Trained {
    pub(crate) fate: Fate,
    pub(crate) score: f64,
    pub(crate) reason: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) curve: Vec<(usize, f64)>,
    pub(crate) metrics: Vec<(String, f64)>,
    pub(crate) pictures: Vec<Vec<u8>>,
}

impl Trained {
    /// The training of a loss with that name and formula, which the job asked for.
    pub(crate) fn into_training(self, name: &str, formula: String, job: &Job) -> Training {
        Training {
            name: name.to_owned(),
            formula,
            seed: job.seed,
            set: job.set,
            score: self.score,
            seconds: self.seconds,
            note: self.reason,
            curve: self.curve,
            metrics: self.metrics,
            pictures: self.pictures,
        }
    }
}

/// Trains and scores a loss; `None` after an interrupt. Whatever goes wrong, a panic of the task
/// included, is the fate of this loss alone.
pub(crate) fn train(
    task: &dyn Task,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
) -> Option<Trained> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| task.evaluate(loss, job, interrupt)));
    let failed = |message: String| Trained {
        fate: Fate::Failed,
        score: 0.0,
        reason: Some(message),
        seconds: start.elapsed().as_secs_f64(),
        curve: Vec::new(),
        metrics: Vec::new(),
        pictures: Vec::new(),
    };
    match result {
        Ok(Ok(evaluation)) => Some(finished(evaluation)),
        Ok(Err(TaskError::Interrupted)) => None,
        Ok(Err(TaskError::Failed(message))) => Some(failed(message)),
        Err(payload) => Some(failed(format!(
            "the task panicked: {}",
            panic_message(&*payload)
        ))),
    }
}

fn finished(evaluation: Evaluation) -> Trained {
    let (fate, score, reason) = match evaluation.outcome {
        Outcome::Stopped { update, what } => (
            Fate::Stopped,
            0.0,
            Some(format!("{what} at update {update}")),
        ),
        Outcome::Finished if evaluation.score.is_nan() => {
            let note = "the score was not a number and counts as 0";
            (Fate::Scored, 0.0, Some(note.to_owned()))
        }
        Outcome::Finished => (Fate::Scored, evaluation.score, None),
    };
    Trained {
        fate,
        score,
        reason,
        seconds: evaluation.seconds,
        curve: evaluation.curve,
        metrics: evaluation.metrics,
        pictures: evaluation.pictures,
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
