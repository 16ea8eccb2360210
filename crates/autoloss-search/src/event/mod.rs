//! Events of a run, from which store, log, progress and report are made.

mod candidate;
mod end;
mod tally;
mod text;
mod training;

use serde::Serialize;

pub use candidate::{Candidate, Fate, Origin};
pub use end::End;
pub use tally::{Best, Tally};
pub use training::{Ended, FailedTraining, FinalStage, Training};

/// An event of a run.
///
/// Its text is one line of a log and holds no timing. Serialised it is an object with its `kind`, in snake case, and its
/// `fields`; numbers that are not finite become `null`.
///
/// ```
/// use autoloss_search::{End, Event};
///
/// let event = Event::SearchEnded { end: End::Time };
/// assert_eq!(event.to_string(), "search ended: the time is used up");
/// let json = serde_json::to_value(&event)?;
/// assert_eq!(json["kind"], "search_ended");
/// assert_eq!(json["fields"]["end"], "the time is used up");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "fields", rename_all = "snake_case")]
pub enum Event {
    /// The search begins, or goes on.
    Started {
        /// The task.
        task: String,
        /// Its metric.
        metric: String,
        /// The run's seed.
        seed: u64,
        /// Worker threads.
        workers: usize,
        /// Sums over an earlier part of the run; empty for a fresh run.
        so_far: Box<Tally>,
    },
    /// The task's usual loss was trained with the seed of the search's evaluations.
    Reference {
        /// The training.
        training: Training,
        /// Worker that made it, from 0.
        worker: usize,
    },
    /// Candidates were drawn; those of them that did not reach screening are counted apart.
    Drawn {
        /// The proposal they were drawn for.
        proposal: u64,
        /// Number of draws.
        drawn: u64,
        /// Hopeless by their inputs alone.
        structural: u64,
        /// Computing the same as a candidate rejected before.
        cached: u64,
    },
    /// A candidate did not pass, or another one was trained instead.
    Screened {
        /// The candidate.
        candidate: Candidate,
        /// [`Fate::Invalid`], [`Fate::Rejected`], [`Fate::NotChosen`], or [`Fate::Equivalent`] where
        /// it was to be chosen from.
        fate: Fate,
        /// The reason.
        reason: String,
    },
    /// A candidate waits for the score of an equivalent one that is in training.
    Parked {
        /// The candidate's number.
        id: u64,
        /// Whose score it waits for.
        waits_for: u64,
    },
    /// A candidate takes over a score and joins the population.
    Equivalent {
        /// The candidate.
        candidate: Candidate,
        /// Whose score it takes over.
        to: u64,
        /// The score.
        score: f64,
        /// Position in the order of joining the population, from 0.
        joined: u64,
    },
    /// A training begins.
    EvaluationStarted {
        /// The candidate's number.
        id: u64,
        /// Its formula.
        formula: String,
        /// Worker that trains it, from 0.
        worker: usize,
    },
    /// A training ended with a score, and its candidate joins the population.
    Evaluated {
        /// The candidate.
        candidate: Candidate,
        /// [`Fate::Scored`] or [`Fate::Stopped`].
        fate: Fate,
        /// Reason, where it was stopped.
        reason: Option<String>,
        /// The proxy score.
        score: f64,
        /// Seconds of training.
        seconds: f64,
        /// (update, loss value).
        curve: Vec<(usize, f64)>,
        /// Further metrics by name.
        metrics: Vec<(String, f64)>,
        /// Position in the order of joining the population, from 0.
        joined: u64,
        /// Worker that trained it, from 0; `None` where the score was adopted from another search.
        worker: Option<usize>,
    },
    /// A training has a score on the search set before its end.
    Reported {
        /// The candidate's number.
        id: u64,
        /// Share of the updates made.
        share: f64,
        /// The score.
        score: f64,
    },
    /// A training was ended at a rung: its candidate has no score and does not join the population.
    Pruned {
        /// The candidate.
        candidate: Candidate,
        /// Share of the updates made.
        share: f64,
        /// Score on the search set by then.
        score: f64,
        /// Seconds from when it was given out.
        seconds: f64,
        /// Worker that trained it, from 0.
        worker: usize,
    },
    /// The worker of a training was lost; the training is given out again.
    Lost {
        /// The candidate's number; 0 for the task's usual loss.
        id: u64,
        /// Times that the training was lost.
        attempt: u32,
        /// The reason.
        reason: String,
        /// Number of the worker, from 0.
        worker: usize,
        /// Seconds from when the training was given out.
        seconds: f64,
    },
    /// A training went wrong for good: its candidate has no score and does not join the population.
    Failed {
        /// The candidate.
        candidate: Candidate,
        /// [`Fate::Failed`] or [`Fate::Lost`].
        fate: Fate,
        /// The task's error or panic.
        message: String,
        /// Seconds until then.
        seconds: f64,
        /// Worker that trained it, from 0; of a lost one the last.
        worker: usize,
    },
    /// A leader was trained again with a further seed.
    Repeated {
        /// The candidate's number.
        id: u64,
        /// The training's result.
        #[serde(serialize_with = "training::either")]
        ended: Ended,
        /// Mean score of all its trainings.
        mean: f64,
        /// Number of its trainings.
        trainings: usize,
        /// The best candidate by its mean score since.
        best: Best,
        /// Worker that made the training, from 0; of a lost one the last.
        worker: usize,
    },
    /// Trained losses of an earlier run were read, for predictions.
    Learned {
        /// Each formula with its score.
        losses: Vec<(String, f64)>,
    },
    /// The search ended; the full trainings follow.
    SearchEnded {
        /// The reason.
        end: End,
    },
    /// A stage of full trainings begins.
    StageStarted {
        /// The stage.
        stage: FinalStage,
        /// Trainings that are still to be made.
        missing: usize,
    },
    /// A full training at the end of the run ended.
    Trained {
        /// Its purpose.
        stage: FinalStage,
        /// Its result.
        #[serde(serialize_with = "training::either")]
        ended: Ended,
    },
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Started { so_far, .. } => self.clone_from(so_far),
            Event::Reference { training, .. } => {
                self.reference = Some((training.name.clone(), training.score));
            }
            Event::Drawn {
                drawn,
                structural,
                cached,
                ..
            } => {
                self.drawn += drawn;
                self.structural += structural;
                self.cached += cached;
            }
            Event::Screened {
                candidate, fate, ..
            } => {
                self.count(candidate, *fate, None);
            }
            Event::Equivalent { candidate, .. } => self.count(candidate, Fate::Equivalent, None),
            Event::Evaluated {
                candidate,
                fate,
                score,
                ..
            } => self.count(candidate, *fate, Some(*score)),
            Event::Failed {
                candidate, fate, ..
            } => self.count(candidate, *fate, None),
            Event::Pruned { candidate, .. } => self.count_pruned(candidate),
            Event::Repeated { best, .. } => self.count_repeated(best),
            Event::Learned { .. }
            | Event::Lost { .. }
            | Event::Reported { .. }
            | Event::Parked { .. }
            | Event::EvaluationStarted { .. }
            | Event::SearchEnded { .. }
            | Event::StageStarted { .. }
            | Event::Trained { .. } => {}
        }
    }
}
