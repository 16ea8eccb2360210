//! Random losses that pass screening.

use autoloss_expr::{Branch, Loss, Tree, ZooLoss};

use crate::equivalence::Distinct;
use crate::error::SearchError;
use crate::hand_written::fits;
use crate::random::Space;
use crate::rate::on_all;
use crate::screening::{Judgement, Scratch, Screener, Screening};
use crate::seed::{Stream, generator};
use crate::settings::{Branches, Settings};
use crate::task::{Interrupt, Task};

/// Random trees of a branch that are drawn at most; where even fewer of them pass, the panel stays smaller.
const DRAWS: u64 = 1_000_000;

/// Trees that are screened side by side.
const BATCH: u64 = 256;

/// Random trees of each branch that is searched, which pass the branch's own screening.
pub(super) struct Pools<'a> {
    task: &'a dyn Task,
    space: &'a Space,
    screening: Screening,
    seed: u64,
    workers: usize,
    /// The usual loss, whose branches a mixture keeps but one.
    usual: Option<Loss>,
}

impl<'a> Pools<'a> {
    pub(super) fn new(
        task: &'a dyn Task,
        settings: &Settings,
        space: &'a Space,
        seed: u64,
    ) -> Result<Self, SearchError> {
        let mut apart = settings.clone();
        apart.screening.branches = Branches::Apart;
        // Each verdict follows from the tree alone, whichever was judged before.
        apart.screening.same_gradient = false;
        Ok(Self {
            task,
            space,
            screening: Screening::new(task, &apart)?,
            seed,
            workers: settings.search.worker_count(),
            usual: task.baselines().into_iter().next().map(|(_, loss)| loss),
        })
    }

    /// The wanted number of random losses, fewer where too few trees pass. With several branches every second one is
    /// random in all of them, the others in one of them.
    pub(super) fn losses(
        &mut self,
        count: usize,
        interrupt: &Interrupt,
        on_progress: &mut dyn FnMut(u64, usize),
    ) -> Result<Vec<(String, Loss)>, SearchError> {
        let free: Vec<usize> = self.space.free().collect();
        let mut pools = Vec::new();
        for (place, branch) in free.iter().enumerate() {
            let pool = self.trees(place, *branch, count, interrupt, on_progress)?;
            pools.push(pool.into_iter());
        }
        let mut losses = Vec::new();
        for number in 0..count {
            let template = self
                .space
                .random_loss(&mut generator(self.seed, Stream::Panel, 0));
            let mixed = self
                .usual
                .as_ref()
                .filter(|_| free.len() > 1 && number % 2 == 1);
            let mut loss = mixed.unwrap_or(&template).clone();
            let chosen = number / 2 % free.len();
            for (place, branch) in free.iter().enumerate() {
                if mixed.is_none() || place == chosen {
                    let Some(tree) = pools[place].next() else {
                        return Ok(losses);
                    };
                    loss.branches[*branch].tree = tree;
                }
            }
            let name = match mixed {
                Some(_) => format!(
                    "random {} in {}",
                    number + 1,
                    self.task.branches()[free[chosen]].name
                ),
                None => format!("random {}", number + 1),
            };
            losses.push((name, loss));
        }
        Ok(losses)
    }

    /// The first `count` trees of a branch that pass and are equivalent neither to each other nor to a
    /// hand-written one.
    fn trees(
        &self,
        place: usize,
        branch: usize,
        count: usize,
        interrupt: &Interrupt,
        on_progress: &mut dyn FnMut(u64, usize),
    ) -> Result<Vec<Tree>, SearchError> {
        let judge = self.screening.judges().nth(place);
        let judge = judge.expect("each branch that is searched is judged");
        let mut scratches: Vec<Scratch> = (0..self.workers.max(1))
            .map(|_| Scratch::default())
            .collect();
        let mut known = self.hand_written(judge, branch, &mut scratches[0]);
        let mut trees = Vec::new();
        for first in (0..DRAWS).step_by(BATCH as usize) {
            on_progress(first, trees.len());
            if trees.len() >= count {
                break;
            }
            if interrupt.is_set() {
                return Err(SearchError::Interrupted);
            }
            let numbers: Vec<u64> = (first..first + BATCH).collect();
            let judged = on_all(&mut scratches, numbers, |number, scratch| {
                let tree = self.draw(branch, number);
                let verdict = judge.screen(&self.with(branch, &tree), scratch);
                (tree, verdict)
            });
            for (tree, verdict) in judged {
                if verdict.judgement == Judgement::Passed
                    && known.is_new(&verdict.canonical, &verdict.norms)
                {
                    trees.push(tree);
                }
            }
        }
        trees.truncate(count);
        Ok(trees)
    }

    /// Random tree n of a branch.
    fn draw(&self, branch: usize, number: u64) -> Tree {
        // Trees of different branches come from different items of the stream.
        let item = (branch as u64 + 1) * DRAWS + number;
        let mut rng = generator(self.seed, Stream::Panel, item);
        self.space.random_tree(branch, &mut rng)
    }

    /// A loss with that tree, whose other branches do not count.
    fn with(&self, branch: usize, tree: &Tree) -> Loss {
        let specs = self.task.branches().iter().enumerate();
        let branches = specs.map(|(place, spec)| Branch {
            name: spec.name.clone(),
            tree: match place == branch {
                true => tree.clone(),
                false => Tree::one(),
            },
        });
        Loss {
            branches: branches.collect(),
        }
    }

    /// The hand-written losses of a branch, as [`Distinct`] knows them.
    fn hand_written(&self, judge: &Screener, branch: usize, scratch: &mut Scratch) -> Distinct {
        let spec = &self.task.branches()[branch];
        let mut known = Distinct::default();
        for zoo in ZooLoss::all().filter(|zoo| fits(zoo, spec, false)) {
            let verdict = judge.screen(&self.with(branch, &zoo.tree()), scratch);
            known.is_new(&verdict.canonical, &verdict.norms);
        }
        known
    }
}
