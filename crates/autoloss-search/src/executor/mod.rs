//! Where trainings run.

pub(crate) mod local;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use autoloss_expr::Loss;

use crate::comparison::Entry;
use crate::event::{Ended, FailedTraining, Fate, Training};
use crate::task::{Evaluation, Interrupt, Job, Outcome, Task, TaskError};

/// A training with a score.
pub(crate) struct Trained {
    /// [`Fate::Scored`] or [`Fate::Stopped`].
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

/// A training without a score.
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) seconds: f64,
}

/// Trains and scores a loss; `None` after an interrupt. A failure, a panic of the task included,
/// concerns this training alone.
pub(crate) fn train(
    task: &dyn Task,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
) -> Option<Result<Trained, Failure>> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| task.evaluate(loss, job, interrupt)));
    let scored = match result {
        Ok(Ok(evaluation)) => finished(evaluation),
        Ok(Err(TaskError::Interrupted)) => return None,
        Ok(Err(TaskError::Failed(message))) => Err(message),
        Err(payload) => Err(format!("the task panicked: {}", panic_message(&*payload))),
    };
    Some(scored.map_err(|message| Failure {
        message,
        seconds: start.elapsed().as_secs_f64(),
    }))
}

/// One training of a comparison; `None` after an interrupt.
pub(crate) fn train_entry(
    task: &dyn Task,
    Entry { name, loss, job }: &Entry,
    interrupt: &Interrupt,
) -> Option<Ended> {
    let formula = loss.to_string();
    Some(match train(task, loss, job, interrupt)? {
        Ok(trained) => Ok(trained.into_training(name, formula, job)),
        Err(Failure { message, seconds }) => Err(FailedTraining {
            name: name.clone(),
            formula,
            seed: job.seed,
            message,
            seconds,
        }),
    })
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
