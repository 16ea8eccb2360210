//! Everything that happens in a run, once: store, log, progress and report consume it.

mod candidate;
mod end;
mod tally;
mod training;

use std::fmt;

pub use candidate::{Candidate, Fate, Origin};
pub use end::End;
pub use tally::{Best, Tally};
pub use training::{Ended, FailedTraining, FinalStage, Training};

/// Something that happened in a run. Its text is one line of a log and holds no timing.
#[derive(Clone, Debug, PartialEq)]
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
        /// What an earlier part of the run had done; empty for a fresh run.
        so_far: Box<Tally>,
    },
    /// The task's usual loss was trained with the seed of the search's evaluations.
    Reference(Training),
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
        /// Why.
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
        /// The how-manieth to join the population, from 0.
        joined: u64,
    },
    /// A training begins.
    EvaluationStarted {
        /// The candidate's number.
        id: u64,
        /// Its formula.
        formula: String,
        /// Where it trains.
        worker: usize,
    },
    /// A training ended with a score, and its candidate joins the population.
    Evaluated {
        /// The candidate.
        candidate: Candidate,
        /// [`Fate::Scored`] or [`Fate::Stopped`].
        fate: Fate,
        /// Why it was stopped.
        reason: Option<String>,
        /// The proxy score.
        score: f64,
        /// Seconds of training.
        seconds: f64,
        /// (update, loss value).
        curve: Vec<(usize, f64)>,
        /// Further metrics by name.
        metrics: Vec<(String, f64)>,
        /// The how-manieth to join the population, from 0.
        joined: u64,
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
    },
    /// The worker of a training was lost; the training is given out again.
    Lost {
        /// The candidate's number; 0 for the task's usual loss.
        id: u64,
        /// Times that the training was lost.
        attempt: u32,
        /// Why.
        reason: String,
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
    },
    /// A leader was trained again with a further seed.
    Repeated {
        /// The candidate's number.
        id: u64,
        /// The training's result.
        ended: Ended,
        /// Mean score of all its trainings.
        mean: f64,
        /// Number of its trainings.
        trainings: usize,
        /// The best candidate by its mean score since.
        best: Best,
    },
    /// Trained losses of an earlier run, for predictions: each formula with its score.
    Learned(Vec<(String, f64)>),
    /// The search ended; the full trainings follow.
    SearchEnded {
        /// Why.
        end: End,
    },
    /// A stage of full trainings begins.
    StageStarted {
        /// The stage.
        stage: FinalStage,
        /// Trainings that are still to be made.
        missing: usize,
    },
    /// One full training at the end of the run ended.
    Trained {
        /// Its purpose.
        stage: FinalStage,
        /// Its result.
        ended: Ended,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                task,
                metric,
                seed,
                workers,
                so_far,
            } => {
                write!(
                    f,
                    "search on {task} for {metric}, seed {seed}, workers: {workers}"
                )?;
                if so_far.drawn > 0 {
                    write!(f, ", going on after {} evaluations", so_far.evaluations)?;
                }
                Ok(())
            }
            Self::Reference(training) => write!(f, "reference {training}"),
            Self::Drawn {
                proposal,
                drawn,
                structural,
                cached,
            } => write!(
                f,
                "proposal {proposal}: {drawn} drawn, {structural} without prediction or target, {cached} known as rejected"
            ),
            Self::Screened {
                candidate,
                fate,
                reason,
            } => write!(f, "{candidate} {}: {reason}", fate.name()),
            Self::Parked { id, waits_for } => {
                write!(f, "#{id} waits for the score of #{waits_for}")
            }
            Self::Equivalent {
                candidate,
                to,
                score,
                ..
            } => write!(f, "{candidate} equivalent to #{to}: {score:.4}"),
            Self::EvaluationStarted {
                id,
                formula,
                worker,
            } => write!(f, "#{id} in training on worker {worker}: {formula}"),
            Self::Evaluated {
                candidate,
                fate,
                reason,
                score,
                ..
            } => {
                write!(f, "{candidate} {} {score:.4}", fate.name())?;
                reason
                    .as_ref()
                    .map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::Reported { id, share, score } => {
                write!(f, "#{id} after {:.0} %: {score:.4}", 100.0 * share)
            }
            Self::Pruned {
                candidate,
                share,
                score,
                ..
            } => {
                let fate = Fate::Pruned.name();
                write!(
                    f,
                    "{candidate} {fate} after {:.0} %: {score:.4}",
                    100.0 * share
                )
            }
            Self::Lost {
                id,
                attempt,
                reason,
            } => write!(f, "#{id} lost its worker ({attempt}): {reason}"),
            Self::Failed {
                candidate,
                fate,
                message,
                ..
            } => write!(f, "{candidate} {}: {message}", fate.name()),
            Self::Repeated {
                ended: Ok(training),
                mean,
                trainings,
                ..
            } => write!(f, "again {training}, {mean:.4} in the mean of {trainings}"),
            Self::Repeated {
                ended: Err(failed), ..
            } => write!(f, "again {failed}"),
            Self::Learned(losses) => write!(f, "{} losses of an earlier run", losses.len()),
            Self::SearchEnded { end } => write!(f, "search ended: {end}"),
            Self::StageStarted { stage, missing } => {
                write!(f, "{stage}: {missing} full trainings to make")
            }
            Self::Trained { stage, ended } => {
                let word = match stage {
                    FinalStage::Finalists => "finalist",
                    FinalStage::Comparison => "compared",
                };
                match ended {
                    Ok(training) => write!(f, "{word} {training}"),
                    Err(failed) => write!(f, "{word} {failed}"),
                }
            }
        }
    }
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Started { so_far, .. } => self.clone_from(so_far),
            Event::Reference(training) => {
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
            Event::Learned(_)
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
