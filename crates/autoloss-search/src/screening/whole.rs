//! Screening of whole candidates: all branches together (the paper), or each by itself.

use std::sync::Arc;

use autoloss_expr::Loss;

use super::{Judgement, Open, Past, Prepared, Scratch, Screener, Verdict, samples};
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

/// What screening makes of a whole candidate.
pub enum Screened {
    /// Hopeless by its inputs.
    Structural,
    /// Rejected before.
    Known,
    /// It passed, or was rejected just now.
    Judged(Arc<Verdict>),
}

/// What a look at a candidate makes of it.
pub(crate) enum Looked {
    /// It is settled.
    Screened(Screened),
    /// It is likely to pass; [`Screening::finish`] tells.
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
        // The branches' own metrics start at different heights: what counts is how much of the rest
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
        let judges = self.parts.iter().filter(|part| !part.fixed);
        judges.map(|part| &part.screener)
    }

    /// The verdict over a candidate, and how many of its branches passed before it fell.
    pub fn screen(&self, loss: &Loss, scratch: &mut Scratch) -> (Screened, usize) {
        let mut passed = Vec::with_capacity(self.parts.len());
        for (place, part) in self.parts.iter().enumerate() {
            let verdict = match part.judge(loss, scratch) {
                Screened::Judged(verdict) if verdict.judgement == Judgement::Passed => verdict,
                Screened::Judged(verdict) => {
                    return (Screened::Judged(part.named(verdict)), place);
                }
                other => return (other, place),
            };
            passed.push(verdict);
        }
        let verdict = match passed.as_slice() {
            [one] => one.clone(),
            several => Arc::new(whole(several)),
        };
        (Screened::Judged(verdict), self.parts.len())
    }

    /// The verdict over a candidate, and how many of its branches passed before it fell; the costly
    /// end of screening is left out, where all branches are screened together.
    pub(crate) fn look(&self, loss: &Loss, scratch: &mut Scratch) -> (Looked, usize) {
        let [one] = self.parts.as_slice() else {
            let (screened, passed) = self.screen(loss, scratch);
            return (Looked::Screened(screened), passed);
        };
        let looked = match screened(one.screener.look(loss, scratch)) {
            Ok(screened) => Looked::Screened(screened),
            Err(open) => Looked::Open(Box::new(open)),
        };
        (looked, 0)
    }

    /// The verdict over what a look left open.
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
    fn judge(&self, loss: &Loss, scratch: &mut Scratch) -> Screened {
        if self.fixed {
            return Screened::Judged(Arc::new(self.screener.measure(loss, scratch)));
        }
        match screened(self.screener.prepare(loss, scratch)) {
            Ok(screened) => screened,
            Err(open) => Screened::Judged(self.screener.judge(open, scratch)),
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

/// What the first stages make of a candidate.
///
/// # Errors
/// The candidate, where they leave it open.
fn screened(prepared: Prepared) -> Result<Screened, Open> {
    Ok(match prepared {
        Prepared::Structural(_) => Screened::Structural,
        Prepared::Known(verdict) if verdict.judgement != Judgement::Passed => Screened::Known,
        Prepared::Known(verdict) | Prepared::Settled(verdict) => Screened::Judged(verdict),
        Prepared::Open(open) => return Err(open),
    })
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
