//! Parameters and results of screening random candidates.

use crate::screening::{Judgement, Stages};

/// A random candidate that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// Its number; number and seed determine it.
    pub number: u64,
    /// Its formula.
    pub formula: String,
    /// Its g; `None` without rejection.
    pub g: Option<f64>,
}

/// Procedure by which candidates are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Procedure {
    /// The fast procedure of a search.
    #[default]
    Fast,
    /// In f64, step by step, without any shortcut: seconds a candidate.
    Exact,
    /// Both ways, and compared.
    Compare,
}

/// Random candidates to screen, and the procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomScreening {
    /// Number of candidates.
    pub count: u64,
    /// Their seed.
    pub seed: u64,
    /// Threads.
    pub workers: usize,
    /// Procedure by which they are judged.
    pub procedure: Procedure,
}

/// Agreement of the fast and the exact verdicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Candidates judged both ways.
    pub candidates: u64,
    /// Candidates among these that pass exactly.
    pub exact_passed: u64,
    /// Candidates that pass one procedure alone.
    pub disagreements: Vec<Disagreement>,
}

impl Agreement {
    /// Candidates that pass exactly and do not pass the fast way.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost_ones().count()
    }

    /// Candidates among these that would pass without shortcuts. The others do not pass in single
    /// precision at all, in which networks are trained: its range or its digits do not do.
    #[must_use]
    pub fn lost_by_shortcuts(&self) -> usize {
        self.lost_ones().filter(|d| d.by_shortcut).count()
    }

    fn lost_ones(&self) -> impl Iterator<Item = &Disagreement> {
        let lost = |d: &&Disagreement| d.exact == Judgement::Passed;
        self.disagreements.iter().filter(lost)
    }
}

/// A candidate whose verdicts differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// Its number.
    pub number: u64,
    /// Its formula.
    pub formula: String,
    /// The fast judgement.
    pub fast: Judgement,
    /// Reason of the fast procedure, where the candidate did not pass it.
    pub reason: Option<String>,
    /// g by the fast computation without shortcuts; `None` where a value or gradient is not finite.
    pub fast_g: Option<f64>,
    /// Whether the fast computation without shortcuts agrees with the exact one.
    pub by_shortcut: bool,
    /// The exact judgement.
    pub exact: Judgement,
    /// The exact g.
    pub exact_g: Option<f64>,
}

/// Fates of random candidates, and the cost of their screening.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScreenReport {
    /// Candidates drawn; fewer than asked for after an interrupt.
    pub drawn: u64,
    /// Hopeless by their inputs alone.
    pub structural: u64,
    /// Value or gradient not finite, or gradient zero.
    pub invalid: u64,
    /// g below the threshold.
    pub rejected: u64,
    /// Passed.
    pub passed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Counts and seconds of the stages, summed over the workers.
    pub stages: Stages,
    /// Candidates that passed, the highest g first, of equal ones the first drawn.
    pub best: Vec<Passed>,
    /// Agreement of both procedures, if candidates were judged by both.
    pub agreement: Option<Agreement>,
}

impl ScreenReport {
    /// Candidates a minute.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.drawn as f64 * 60.0 / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub(super) fn count(
        &mut self,
        number: u64,
        formula: String,
        judgement: Judgement,
        g: Option<f64>,
    ) {
        self.drawn += 1;
        match judgement {
            Judgement::Structural => self.structural += 1,
            Judgement::Invalid => self.invalid += 1,
            Judgement::Rejected => self.rejected += 1,
            Judgement::Passed => {
                self.passed += 1;
                self.best.push(Passed { number, formula, g });
            }
        }
    }
}
