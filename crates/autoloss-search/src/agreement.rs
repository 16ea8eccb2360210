//! Screening each branch of a task by itself against screening all together.
//!
//! Random candidates of several branches hardly ever pass either way, so that counting them would
//! tell nothing. Candidates are put together here from trees that pass their branch's own screening
//! and trees that do not, so that about half of them pass when screened apart.

use std::time::Instant;

use autoloss_expr::{Branch, Loss};
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::error::SearchError;
use crate::random::Space;
use crate::rate::on_all;
use crate::screening::{Judgement, Scratch, Screener, Screening};
use crate::seed::{Stream, generator};
use crate::settings::{Branches, Settings};
use crate::task::{Interrupt, Task};

/// Trees kept of each branch, as many that pass as that do not.
const KEPT: usize = 32;

/// Draws of a branch's trees at most.
const DRAWS: u64 = 1 << 20;

/// Agreement of the two procedures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BranchAgreement {
    /// The candidates, in their order.
    pub candidates: Vec<JudgedTwice>,
    /// Seconds that judging all of them over all branches together took, by the clock.
    pub seconds: f64,
}

/// A candidate judged both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedTwice {
    /// Its formula.
    pub formula: String,
    /// Whether each branch passes by itself; a fixed one does.
    pub apart: Vec<bool>,
    /// The judgement over all branches together.
    pub together: Judgement,
    /// Reason for which it does not pass together.
    pub reason: Option<String>,
    /// g of all branches together, where it is known.
    pub g: Option<f64>,
}

impl JudgedTwice {
    /// Whether it passes apart, and whether together.
    #[must_use]
    pub fn passes(&self) -> (bool, bool) {
        let apart = self.apart.iter().all(|passed| *passed);
        (apart, self.together == Judgement::Passed)
    }
}

impl BranchAgreement {
    /// Candidates a minute, all branches together; drawing the trees is not counted.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        60.0 * self.candidates.len() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Number of candidates that pass (apart, together) as given.
    #[must_use]
    pub fn count(&self, passes: (bool, bool)) -> usize {
        let counted = self.candidates.iter().filter(|c| c.passes() == passes);
        counted.count()
    }
}

/// Trees of a branch: those that pass its own screening and those that do not.
struct Trees {
    passing: Vec<Branch>,
    failing: Vec<Branch>,
}

/// Judges `count` candidates both ways, on `workers` threads; fewer after an interrupt.
///
/// # Errors
/// A task of one branch, unusable samples or settings, or a branch of which no tree passes.
pub fn compare_branches(
    task: &dyn Task,
    settings: &Settings,
    (count, seed, workers): (u64, u64, usize),
    interrupt: &Interrupt,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<BranchAgreement, SearchError> {
    settings.validate()?;
    let fail = |reason: String| SearchError::Samples {
        task: task.name().to_owned(),
        reason,
    };
    if task.branches().len() < 2 {
        return Err(fail("it has one branch: nothing to compare".to_owned()));
    }
    let space = Space::new(&settings.search, task.branches())?;
    let mut apart = settings.clone();
    apart.screening.branches = Branches::Apart;
    let screening = Screening::new(task, &apart)?;
    let mut scratches: Vec<Scratch> = (0..workers.max(1)).map(|_| Scratch::default()).collect();
    let mut trees = Vec::new();
    for (branch, judge) in space.free().zip(screening.judges()) {
        let found = draw_trees(judge, (branch, seed), &space, &mut scratches[0]);
        if found.passing.is_empty() {
            let name = &task.branches()[branch].name;
            return Err(fail(format!(
                "no random tree of branch `{name}` passes its own screening"
            )));
        }
        trees.push(found);
    }
    let together = Screener::new(task, settings)?;
    let numbers: Vec<u64> = (0..count).collect();
    let start = Instant::now();
    let judged = on_all(&mut scratches, numbers, |number, scratch| {
        if interrupt.is_set() {
            return None;
        }
        let (loss, apart) = put_together(&space, &trees, (number, seed));
        let verdict = together.screen(&loss, scratch);
        on_progress(number + 1);
        Some(JudgedTwice {
            formula: loss.to_string(),
            apart,
            together: verdict.judgement,
            reason: verdict.reason.clone(),
            g: verdict.g,
        })
    });
    Ok(BranchAgreement {
        candidates: judged.into_iter().flatten().collect(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn draw_trees(
    judge: &Screener,
    (branch, seed): (usize, u64),
    space: &Space,
    scratch: &mut Scratch,
) -> Trees {
    let mut trees = Trees {
        passing: Vec::new(),
        failing: Vec::new(),
    };
    for number in 0..DRAWS {
        if trees.passing.len() == KEPT {
            break;
        }
        let loss = space.random_loss(&mut generator(seed, Stream::Screening, number));
        let list = match judge.screen(&loss, scratch).judgement {
            Judgement::Passed => &mut trees.passing,
            Judgement::Rejected if trees.failing.len() < KEPT => &mut trees.failing,
            _ => continue,
        };
        list.push(loss.branches[branch].clone());
    }
    trees
}

/// A candidate, and whether each of its branches passes by itself.
fn put_together(space: &Space, trees: &[Trees], (number, seed): (u64, u64)) -> (Loss, Vec<bool>) {
    let mut rng = generator(seed, Stream::Screening, DRAWS + number);
    let mut loss = space.random_loss(&mut rng);
    let mut apart = vec![true; loss.branches.len()];
    #[expect(clippy::cast_precision_loss, reason = "branches are few")]
    let share = 0.5_f64.powf(1.0 / trees.len() as f64);
    for (branch, trees) in space.free().zip(trees) {
        apart[branch] = rng.random_bool(share);
        let list = match apart[branch] {
            true => &trees.passing,
            false => &trees.failing,
        };
        if let Some(tree) = list.choose(&mut rng) {
            loss.branches[branch] = tree.clone();
        }
    }
    (loss, apart)
}
