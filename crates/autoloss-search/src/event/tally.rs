//! Running sums over a run: its candidates by their fates, and the best of them.

use serde::Serialize;

use super::candidate::{Candidate, Fate};

/// The best candidate so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its number.
    pub id: u64,
    /// Its score.
    pub score: f64,
    /// Its formula.
    pub formula: String,
}

/// Running sums over the events of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// Evaluations ended by a value that is not finite.
    pub stopped: u64,
    /// Evaluations that failed otherwise.
    pub failed: u64,
    /// Evaluations ended at a rung.
    pub pruned: u64,
    /// Evaluations without a score because their workers were lost again and again.
    pub lost: u64,
    /// Further trainings of leaders, which are no evaluations of candidates.
    pub repeated: u64,
    /// The best trained candidate; of equals the first.
    pub best: Option<Best>,
    /// Each change of the best: (evaluations, its score).
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

    /// Counts a candidate whose training was ended at a rung.
    pub(crate) fn count_pruned(&mut self, candidate: &Candidate) {
        self.count(candidate, Fate::Pruned, None);
        self.evaluations += 1;
        self.pruned += 1;
    }

    /// Counts a further training of a leader, after which this is the best candidate.
    pub(crate) fn count_repeated(&mut self, best: &Best) {
        self.repeated += 1;
        if self.best.as_ref() != Some(best) {
            self.progress.push((self.evaluations, best.score));
            self.best = Some(best.clone());
        }
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
            // A candidate equivalent to a pruned one was not trained.
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
