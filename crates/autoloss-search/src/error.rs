//! Errors of searches, screenings and comparisons.

use std::path::PathBuf;

use crate::settings::SettingsError;
use crate::store::StoreError;
use crate::task::Schedule;

/// Reason for which a search, a screening or a comparison ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Settings out of range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The run on disk could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user asked for the end before there was anything to report.
    #[error("interrupted")]
    Interrupted,
    /// The strategy asks for a surrogate that the task's metric does not have.
    #[error(
        "the metric `{metric}` of task `{task}` has no surrogate with curves: the strategy `asl` is for \
         segmentation; use another `search.strategy`"
    )]
    NoSurrogate {
        /// The task.
        task: String,
        /// The metric.
        metric: String,
    },
    /// The task could not give its screening samples.
    #[error("screening samples of task `{task}`: {reason}")]
    Samples {
        /// The task.
        task: String,
        /// The fault.
        reason: String,
    },
    /// A training cannot be made at all.
    #[error("{schedule} of task `{task}`: {reason}")]
    Training {
        /// The task.
        task: String,
        /// The proxy or full training.
        schedule: Schedule,
        /// The task's error.
        reason: String,
    },
    /// The limit of time holds neither one proxy training nor the full trainings at the end.
    #[error(
        "search.time is {limit:.0} s, but one proxy training and the {trainings} full trainings at the end, of \
         about {each:.0} s each on {workers} worker(s), need {needed:.0} s: allow more time (--time {0}), or \
         train less at the end (search.final_seeds, search.finalist_seeds, search.final_losses)",
        rounded(*needed)
    )]
    Budget {
        /// Seconds allowed.
        limit: f64,
        /// Seconds needed at the least.
        needed: f64,
        /// Full trainings at the end.
        trainings: usize,
        /// Seconds of each.
        each: f64,
        /// Trainings that run side by side.
        workers: usize,
    },
    /// A proposal found no candidate that passes.
    #[error(
        "none of the {draws} candidates drawn for one proposal passed the screening \
         (threshold {threshold}; so far {passed} of {drawn} drawn passed{}); \
         lower `screening.threshold` or allow more operators",
        best(*highest)
    )]
    NothingPasses {
        /// Draws of the proposal that gave up.
        draws: u64,
        /// The threshold η.
        threshold: f64,
        /// Candidates of the whole run that passed.
        passed: u64,
        /// Candidates of the whole run that were drawn.
        drawn: u64,
        /// The highest g known of any candidate.
        highest: Option<f64>,
    },
    /// The first evaluations all failed.
    #[error("the first {count} evaluations all failed; the last one: {message}")]
    EvaluationsFail {
        /// Number of evaluations.
        count: u64,
        /// The last one's message.
        message: String,
    },
    /// The task's own baseline could not be trained.
    #[error("training the baseline `{name}` failed: {message}")]
    Baseline {
        /// The baseline's name.
        name: String,
        /// The task's error or panic.
        message: String,
    },
    /// An earlier run whose scores say nothing about the task's losses.
    #[error(
        "{}: nothing to learn from for the task `{task}`: {reason}; name a run whose losses have the same branches",
        dir.display()
    )]
    Unlearnable {
        /// Folder of the earlier run.
        dir: PathBuf,
        /// The task.
        task: String,
        /// The reason.
        reason: String,
    },
    /// A worker thread panicked outside an evaluation.
    #[error("a worker stopped unexpectedly: {0}")]
    Worker(String),
    /// The run belongs to another task.
    #[error("the run is of task `{stored}`, not `{given}`")]
    OtherTask {
        /// The task in the store.
        stored: String,
        /// The task given.
        given: String,
    },
}

/// Seconds as `--time` takes them, in whole minutes above, with room for a few evaluations.
fn rounded(seconds: f64) -> String {
    format!("{:.0}m", (1.2 * seconds / 60.0).ceil())
}

fn best(highest: Option<f64>) -> String {
    highest.map_or_else(String::new, |g| format!(", the best g was {g:.3}"))
}
