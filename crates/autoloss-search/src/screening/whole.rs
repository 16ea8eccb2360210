//! Screening of whole candidates: all branches together (the paper), or each by itself.

use std::sync::Arc;

use autoloss_expr::Loss;

use super::pending::{Open, Prepared};
use super::samples;
use super::scratch::Scratch;
use super::screener::Screener;
use super::verdict::{Judgement, Past, Verdict};
use crate::error::SearchError;
use crate::random::Space;
use crate::settings::{Branches, Settings};
use crate::task::Task;

/// The screeners of a task: one over all branches, or one a branch, see `screening.branches`.
pub struct Screening {
    parts: Vec<Part>,
}

struct Part {
    screener: Screener,
    /// Name of the branch, where it is screened by itself.
    branch: Option<String>,
    /// Whether it is held fixed, and so not judged.
    fixed: bool,
}

/// Result of screening a whole candidate.
pub enum Screened {
    /// Hopeless by its inputs.
    Structural,
    /// Rejected before.
    Known,
    /// Passed, or rejected just now.
    Judged(Arc<Verdict>),
}

/// Source of the verdict over a branch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The inputs of its formula alone.
    Inputs,
    /// An earlier candidate that computes the same.
    Earlier,
    /// This candidate; later candidates are told it.
    New,
}

/// Result of screening a candidate without the costly end.
pub(crate) enum Prescreened {
    /// Settled.
    Screened(Screened),
    /// Likely to pass; [`Screening::finish`] gives the verdict.
    Open(Box<Open>),
}

impl Screening {
    /// Takes the task's samples.
    ///
    /// # Errors
    /// If the task has no samples, they do not have the form of its branches, or a branch that is
    /// to be screened by itself has no metric of its own.
    pub fn new(task: &dyn Task, settings: &Settings) -> Result<Self, SearchError> {
        let specs = task.branches();
        if specs.len() == 1 || settings.screening.branches == Branches::Together {
            let together = Part {
                screener: Screener::new(task, settings)?,
                branch: None,
                fixed: false,
            };
            return Ok(Self {
                parts: vec![together],
            });
        }
        let space = Space::new(&settings.search, specs)?;
        // The branches' own metrics start at different heights: the share counts by which the rest
        // is gained.
        let mut settings = settings.clone();
        settings.screening.normalise = true;
        let settings = &settings;
        let lists = samples::by_branch(task, samples::stored(task, settings)?)?;
        let part = |(place, list)| {
            Ok(Part {
                screener: Screener::over(task, settings, list, place..place + 1)?,
                branch: Some(specs[place].name.clone()),
                fixed: space.is_fixed(place),
            })
        };
        let parts = lists.into_iter().enumerate().map(part);
        Ok(Self {
            parts: parts.collect::<Result<_, SearchError>>()?,
        })
    }

    /// The screeners that judge, in the order of their branches.
    pub fn judges(&self) -> impl Iterator<Item = &Screener> {
        let judges = self.screeners().filter(|(_, fixed)| !fixed);
        judges.map(|(screener, _)| screener)
    }

    /// All screeners in the order of their branches, and whether their branches are held fixed.
    pub(super) fn screeners(&self) -> impl Iterator<Item = (&Screener, bool)> {
        self.parts.iter().map(|part| (&part.screener, part.fixed))
    }

    /// The verdict over a candidate, and the number of its branches that passed before it fell. A candidate that
    /// falls by its inputs or by an earlier verdict is still [`Screened::Judged`] if an earlier branch of it
    /// was judged just now: a run that records the candidate knows that branch after a resume, too.
    pub fn screen(&self, loss: &Loss, scratch: &mut Scratch) -> (Screened, usize) {
        let mut passed = Vec::with_capacity(self.parts.len());
        let mut is_new = false;
        for (place, part) in self.parts.iter().enumerate() {
            let (verdict, source) = part.judge(loss, scratch);
            is_new |= source == Source::New;
            if verdict.judgement != Judgement::Passed {
                let screened = match source {
                    Source::Inputs if !is_new => Screened::Structural,
                    Source::Earlier if !is_new => Screened::Known,
                    _ => Screened::Judged(part.named(verdict)),
                };
                return (screened, place);
            }
            passed.push(verdict);
        }
        let verdict = match passed.as_slice() {
            [one] => one.clone(),
            several => Arc::new(whole(several)),
        };
        (Screened::Judged(verdict), self.parts.len())
    }

    /// The verdict over a candidate, and the number of its branches that passed before it fell; the costly
    /// end of screening is left out, where all branches are screened together.
    pub(crate) fn prescreen(&self, loss: &Loss, scratch: &mut Scratch) -> (Prescreened, usize) {
        let [one] = self.parts.as_slice() else {
            let (screened, passed) = self.screen(loss, scratch);
            return (Prescreened::Screened(screened), passed);
        };
        let prescreened = match one.screener.prescreen(loss, scratch) {
            Prepared::Structural(_) => Prescreened::Screened(Screened::Structural),
            Prepared::Known(verdict) if verdict.judgement != Judgement::Passed => {
                Prescreened::Screened(Screened::Known)
            }
            Prepared::Known(verdict) | Prepared::Settled(verdict) => {
                Prescreened::Screened(Screened::Judged(verdict))
            }
            Prepared::Open(open) => Prescreened::Open(Box::new(open)),
        };
        (prescreened, 0)
    }

    /// The verdict over a candidate that [`Screening::prescreen`] left open.
    pub(crate) fn finish(&self, open: &Open, scratch: &mut Scratch) -> Arc<Verdict> {
        self.parts[0].screener.finish(open, scratch)
    }

    /// Enters the verdict of an earlier part of a run.
    pub fn restore(&self, loss: &Loss, verdict: Past, scratch: &mut Scratch) {
        match self.parts.as_slice() {
            [one] => one.screener.restore(loss, verdict, scratch),
            // The record has one g for all branches: each is judged again.
            _ => {
                self.screen(loss, scratch);
            }
        }
    }
}

impl Part {
    fn judge(&self, loss: &Loss, scratch: &mut Scratch) -> (Arc<Verdict>, Source) {
        if self.fixed {
            // Nothing of it is remembered.
            let verdict = self.screener.measure(loss, scratch);
            return (Arc::new(verdict), Source::Earlier);
        }
        match self.screener.prepare(loss, scratch) {
            Prepared::Structural(reason) => (Arc::new(Verdict::structural(reason)), Source::Inputs),
            Prepared::Known(verdict) => (verdict, Source::Earlier),
            Prepared::Settled(verdict) => (verdict, Source::New),
            Prepared::Open(open) => (self.screener.judge(open, scratch), Source::New),
        }
    }

    /// A verdict against the candidate that names the branch.
    fn named(&self, verdict: Arc<Verdict>) -> Arc<Verdict> {
        let (Some(branch), Some(reason)) = (&self.branch, &verdict.reason) else {
            return verdict;
        };
        Arc::new(Verdict {
            reason: Some(format!("branch `{branch}`: {reason}")),
            ..(*verdict).clone()
        })
    }
}

/// The verdict over a candidate all of whose branches passed: the lowest g, and all norms.
fn whole(branches: &[Arc<Verdict>]) -> Verdict {
    let canonical: Vec<&str> = branches.iter().map(|v| v.canonical.as_str()).collect();
    Verdict {
        judgement: Judgement::Passed,
        reason: None,
        g: branches.iter().filter_map(|v| v.g).reduce(f64::min),
        norms: branches.iter().flat_map(|v| v.norms.clone()).collect(),
        canonical: canonical.join("; "),
        fingerprint: None,
    }
}
