//! What screening random candidates is asked for and what it tells.

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

/// How candidates are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Procedure {
    /// As a search does.
    #[default]
    Fast,
    /// In f64, step by step, without any shortcut: seconds a candidate.
    Exact,
    /// Both ways, and compared.
    Compare,
}

/// Which random candidates are screened, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomScreening {
    /// Number of candidates.
    pub count: u64,
    /// Their seed.
    pub seed: u64,
    /// Threads.
    pub workers: usize,
    /// How they are judged.
    pub procedure: Procedure,
}

/// How the fast and the exact verdicts agree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Candidates judged both ways.
    pub candidates: u64,
    /// Of these, candidates that pass exactly.
    pub exact_passed: u64,
    /// Those where one passes and the other does not.
    pub disagreements: Vec<Disagreement>,
}

impl Agreement {
    /// Candidates that pass exactly and do not pass the fast way.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost_ones().count()
    }

    /// Of these, candidates that would pass without shortcuts. The others do not pass in single
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
    /// Why it did not pass the fast way.
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

/// What became of some random candidates.
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
    /// Those that passed, the highest g first, of equal ones the first drawn.
    pub best: Vec<Passed>,
    /// How both ways agree, if candidates were judged both ways.
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
