//! Everything that happens in a run, once: store, log, progress and report consume it.

use std::fmt;

use crate::mutation::Mutation;
use crate::task::{EvaluationSet, SEARCH_SCORE};

/// Where a candidate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A fresh random loss.
    Random,
    /// A plain copy of the parent.
    Copy,
    /// A mutation of the parent.
    Mutation(Mutation),
    /// Drawn whole from a policy.
    Policy,
}

impl Origin {
    /// The word of the store and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Copy => "copy",
            Self::Policy => "policy",
            Self::Mutation(Mutation::Insertion) => "insertion",
            Self::Mutation(Mutation::Deletion) => "deletion",
            Self::Mutation(Mutation::Replacement) => "replacement",
        }
    }
}

/// What became of a candidate that reached screening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Value or gradient not finite, or gradient zero.
    Invalid,
    /// g below the threshold.
    Rejected,
    /// Took over the score of an equivalent candidate.
    Equivalent,
    /// Likely to pass, but another candidate promised more, see `search.choices`.
    NotChosen,
    /// Its training met a value that is not finite and scored 0.
    Stopped,
    /// Its training went wrong otherwise; it has no score.
    Failed,
    /// Its workers were lost again and again; it has no score.
    Lost,
    /// Its training was ended at a rung, see `search.rungs`, or that of an equivalent candidate; it has no
    /// score.
    Pruned,
    /// Trained and scored.
    Scored,
}

impl Fate {
    /// All fates.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Rejected,
        Self::Equivalent,
        Self::NotChosen,
        Self::Stopped,
        Self::Failed,
        Self::Lost,
        Self::Pruned,
        Self::Scored,
    ];

    /// The word of the store and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Equivalent => "equivalent",
            Self::NotChosen => "not chosen",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Pruned => "pruned",
            Self::Scored => "scored",
        }
    }
}

/// A candidate that reached screening.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its number in the run, from 1.
    pub id: u64,
    /// The proposal it was drawn for, from 0.
    pub proposal: u64,
    /// Which draw of the proposal it was, from 1.
    pub draw: u64,
    /// The parent's number; `None` for a random loss.
    pub parent: Option<u64>,
    /// How it was drawn.
    pub origin: Origin,
    /// Its formula.
    pub formula: String,
    /// Equal for losses that compute the same.
    pub canonical: String,
    /// g(L; ξ), where it was computed.
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample.
    pub norms: Vec<f64>,
    /// Seconds of screening.
    pub seconds: f64,
    /// The worker that drew it.
    pub worker: usize,
}

/// One scored training with a fixed loss: the reference of a run, or one of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Name of the loss, such as `cross entropy` or `#12`.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// Seed of the training.
    pub seed: u64,
    /// The set that it was scored on.
    pub set: EvaluationSet,
    /// The task's metric; 0 where the training was stopped by a value that is not finite.
    pub score: f64,
    /// Seconds.
    pub seconds: f64,
    /// Why it was stopped.
    pub note: Option<String>,
    /// (update, loss value).
    pub curve: Vec<(usize, f64)>,
    /// Further metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// Pictures of the network's work as PNG files; a store gives them apart, see
    /// [`Store::pictures`](crate::Store::pictures).
    pub pictures: Vec<Vec<u8>>,
}

impl Training {
    /// The task's metric on the search set, where it is known.
    #[must_use]
    pub fn search_score(&self) -> Option<f64> {
        if self.set == EvaluationSet::Search {
            return Some(self.score);
        }
        let mut metrics = self.metrics.iter();
        let found = metrics.find(|(name, _)| name == SEARCH_SCORE);
        found.map(|(_, score)| *score)
    }
}

/// One training with a fixed loss that went wrong and has no score.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedTraining {
    /// Name of the loss.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// Seed of the training.
    pub seed: u64,
    /// The task's error or panic.
    pub message: String,
    /// Seconds until then.
    pub seconds: f64,
}

/// How one training of a comparison ended.
pub type Ended = Result<Training, FailedTraining>;

/// Purpose of the full trainings at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalStage {
    /// Choice of one of the finalists, on the search set.
    Finalists,
    /// Comparison of that finalist with the task's baselines, on the validation set.
    Comparison,
}

impl FinalStage {
    /// The set that the trainings are scored on.
    #[must_use]
    pub const fn set(self) -> EvaluationSet {
        match self {
            Self::Finalists => EvaluationSet::Search,
            Self::Comparison => EvaluationSet::Validation,
        }
    }

    /// The word of the store for its trainings.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Finalists => "finalist",
            Self::Comparison => "final",
        }
    }
}

impl fmt::Display for FinalStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finalists => "choice among the finalists",
            Self::Comparison => "final comparison",
        })
    }
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `search.evaluations` were made.
    Evaluations,
    /// The rest of `search.time` is needed for the full trainings at the end.
    Time,
    /// The user asked for it.
    Interrupted,
    /// Everything drawn was equivalent to something known, or nothing passed any more.
    NothingNew,
}

impl End {
    /// The end with that text, as a store keeps it.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [
            Self::Evaluations,
            Self::Time,
            Self::Interrupted,
            Self::NothingNew,
        ]
        .into_iter()
        .find(|end| end.to_string() == text)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evaluations => "all evaluations were made",
            Self::Time => "the time is used up",
            Self::Interrupted => "interrupted",
            Self::NothingNew => "nothing new was found any more",
        })
    }
}

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
        /// How many were drawn.
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

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({}", self.id, self.origin.name())?;
        if let Some(parent) = self.parent {
            write!(f, " of #{parent}")?;
        }
        write!(f, ") {}", self.formula)
    }
}

impl fmt::Display for Training {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with seed {}: {:.4}",
            self.name, self.seed, self.score
        )?;
        self.note
            .as_ref()
            .map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

impl fmt::Display for FailedTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            seed,
            message,
            ..
        } = self;
        write!(f, "{name} with seed {seed} failed: {message}")
    }
}

/// The best candidate so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Its number.
    pub id: u64,
    /// Its score.
    pub score: f64,
    /// Its formula.
    pub formula: String,
}

/// Running sums over the events of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Candidates drawn.
    pub drawn: u64,
    /// Hopeless by their inputs alone.
    pub structural: u64,
    /// Computing the same as a candidate rejected before.
    pub cached: u64,
    /// Value or gradient not finite, or gradient zero.
    pub invalid: u64,
    /// g below the threshold.
    pub rejected: u64,
    /// Took over a score.
    pub equivalent: u64,
    /// Likely to pass, but another one was trained.
    pub not_chosen: u64,
    /// Trainings that ended: scored, stopped, failed, lost or ended at a rung.
    pub evaluations: u64,
    /// Of these: ended by a value that is not finite.
    pub stopped: u64,
    /// Of these: failed otherwise.
    pub failed: u64,
    /// Of these: ended at a rung.
    pub pruned: u64,
    /// Of these: without a score because their workers were lost again and again.
    pub lost: u64,
    /// The best trained candidate; of equals the first.
    pub best: Option<Best>,
    /// Whenever the best changed: (evaluations, its score).
    pub progress: Vec<(u64, f64)>,
    /// Name and score of the task's usual loss under the same proxy training.
    pub reference: Option<(String, f64)>,
    /// The highest g of any candidate, where one was computed.
    pub highest_g: Option<f64>,
}

impl Tally {
    /// Candidates that passed the screening or took over a score.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.evaluations + self.equivalent
    }

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
            Event::Lost { .. }
            | Event::Reported { .. }
            | Event::Parked { .. }
            | Event::EvaluationStarted { .. }
            | Event::SearchEnded { .. }
            | Event::StageStarted { .. }
            | Event::Trained { .. } => {}
        }
    }

    /// Counts a candidate whose training was ended at a rung.
    pub(crate) fn count_pruned(&mut self, candidate: &Candidate) {
        self.count(candidate, Fate::Pruned, None);
        self.evaluations += 1;
        self.pruned += 1;
    }

    /// Counts a candidate's fate.
    pub(crate) fn count(&mut self, candidate: &Candidate, fate: Fate, score: Option<f64>) {
        if let Some(g) = candidate.g
            && g.is_finite()
            && self.highest_g.is_none_or(|highest| g > highest)
        {
            self.highest_g = Some(g);
        }
        match fate {
            // One that is equivalent to such a candidate was not trained.
            Fate::Pruned => {}
            Fate::Invalid => self.invalid += 1,
            Fate::Rejected => self.rejected += 1,
            Fate::Equivalent => self.equivalent += 1,
            Fate::NotChosen => self.not_chosen += 1,
            Fate::Stopped => {
                self.evaluations += 1;
                self.stopped += 1;
            }
            Fate::Failed => {
                self.evaluations += 1;
                self.failed += 1;
            }
            Fate::Lost => {
                self.evaluations += 1;
                self.lost += 1;
            }
            Fate::Scored => {
                self.evaluations += 1;
                let Some(score) = score else { return };
                if self.best.as_ref().is_none_or(|b| score > b.score) {
                    self.progress.push((self.evaluations, score));
                    self.best = Some(Best {
                        id: candidate.id,
                        score,
                        formula: candidate.formula.clone(),
                    });
                }
            }
        }
    }
}
