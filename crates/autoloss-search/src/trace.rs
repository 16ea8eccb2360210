//! Spans of the work of a search, for whoever subscribes to `tracing`: trainings wherever they run, the finding of
//! candidates, and commits of the record. Nothing is computed for them where nobody does.

use tracing::Span;

use crate::study::Trial;

/// A training, from the moment that it is given to a worker or slot until its outcome is known.
pub(crate) fn trial(trial: &Trial, worker: usize) -> Span {
    tracing::info_span!(
        "training",
        id = trial.id,
        attempt = trial.attempt,
        worker,
        seed = trial.job.seed,
        schedule = %trial.job.schedule,
        loss = %trial.loss,
    )
}
