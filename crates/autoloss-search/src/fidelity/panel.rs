//! The panel of losses that a proxy is measured by: hand-written losses that fit the task, and random ones
//! that pass screening.

use autoloss_expr::{Branch, Loss, Tree, ZooKind, ZooLoss};
use serde::{Deserialize, Serialize};

use crate::equivalence::Distinct;
use crate::error::SearchError;
use crate::random::Space;
use crate::rate::on_all;
use crate::screening::{Judgement, Scratch, Screener, Screening};
use crate::seed::{Stream, generator, samples_seed};
use crate::settings::{Branches, Settings};
use crate::task::{BranchSpec, Interrupt, Task, TaskError};

/// Random trees of a branch that are drawn at most; where even fewer of them pass, the panel stays smaller.
const DRAWS: u64 = 1_000_000;

/// Trees that are screened side by side.
const BATCH: u64 = 256;

/// Share of a panel that hand-written losses take at most, so that random ones are left some.
const HAND_WRITTEN: f64 = 2.0 / 3.0;

/// Origin of a loss of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PanelKind {
    /// Given by the user.
    Given,
    /// A baseline of the task, the surrogate of its metric, or losses of the zoo.
    HandWritten,
    /// Random trees that pass screening, in all branches or in one of them.
    Random,
}

impl PanelKind {
    /// The kind in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::HandWritten => "hand-written",
            Self::Random => "random",
        }
    }
}

/// A loss of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelLoss {
    /// Its name, which no other loss of the panel has.
    pub name: String,
    /// The loss.
    pub loss: Loss,
    /// Its origin.
    pub kind: PanelKind,
}

/// A panel: the given losses and `size` others, fewer where the task has too few. It is a function of the
/// task, the settings and the seed; a larger one begins with the same random losses.
///
/// `on_progress` is told how many random trees of a branch were screened and how many of them passed.
///
/// # Errors
/// If the settings are out of range, the task has no samples, or the user asked for the end.
pub fn panel(
    task: &dyn Task,
    settings: &Settings,
    (size, seed): (usize, u64),
    given: Vec<(String, Loss)>,
    interrupt: &Interrupt,
    on_progress: &mut dyn FnMut(u64, usize),
) -> Result<Vec<PanelLoss>, SearchError> {
    settings.validate()?;
    let space = Space::new(&settings.search, task.branches())?;
    let mut losses = Panel::default();
    for (name, loss) in given {
        losses.add(name, loss, PanelKind::Given);
    }
    let given = losses.0.len();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of losses"
    )]
    let hand_written = given + (size as f64 * HAND_WRITTEN).round() as usize;
    for (name, loss) in hand_written_losses(task, settings, &space)? {
        if losses.0.len() < hand_written {
            losses.add(name, loss, PanelKind::HandWritten);
        }
    }
    let missing = (given + size).saturating_sub(losses.0.len());
    let mut pools = Pools::new(task, settings, &space, seed)?;
    for (name, loss) in pools.losses(missing, interrupt, on_progress)? {
        losses.add(name, loss, PanelKind::Random);
    }
    Ok(losses.0)
}

/// Losses of different formulas and names.
#[derive(Default)]
struct Panel(Vec<PanelLoss>);

impl Panel {
    fn add(&mut self, name: String, loss: Loss, kind: PanelKind) {
        let formula = loss.to_string();
        if self.0.iter().any(|other| other.loss.to_string() == formula) {
            return;
        }
        let taken = |name: &str| self.0.iter().any(|other| other.name == name);
        let name = match taken(&name) {
            true if kind == PanelKind::HandWritten && loss.branches.len() == 1 => return,
            true => {
                let numbered = (2..).map(|n| format!("{name} ({n})"));
                let mut free = numbered.filter(|name| !taken(name));
                free.next().expect("names do not run out")
            }
            false => name,
        };
        self.0.push(PanelLoss { name, loss, kind });
    }
}

/// The task's baselines, the surrogate of its metric, and losses that together hold every loss of the zoo
/// in every branch that it fits.
fn hand_written_losses(
    task: &dyn Task,
    settings: &Settings,
    space: &Space,
) -> Result<Vec<(String, Loss)>, SearchError> {
    let specs = task.branches();
    let mut losses = task.baselines();
    if let (Some(surrogate), [only]) = (task.surrogate(), specs) {
        let name = surrogate.name().to_owned();
        losses.push((name, Loss::single(&only.name, Tree::Native(surrogate))));
    }
    let seed = samples_seed(settings.search.seed);
    let samples = task.samples(1, seed).map_err(|error| match error {
        TaskError::Interrupted => SearchError::Interrupted,
        TaskError::Failed(reason) => SearchError::Samples {
            task: task.name().to_owned(),
            reason,
        },
    })?;
    let fitting: Vec<Vec<&ZooLoss>> = specs
        .iter()
        .enumerate()
        .map(|(place, spec)| {
            // Losses that are no tree of operators look at the neighbours of a pixel.
            let shape = samples.first().map(|sample| sample.branches[place].shape);
            let images = shape.is_some_and(|shape| shape.h > 1 && shape.w > 1);
            ZooLoss::all()
                .filter(|zoo| fits(zoo, spec, images))
                .collect()
        })
        .collect();
    let free: Vec<usize> = space.free().collect();
    let most = free.iter().map(|branch| fitting[*branch].len()).max();
    if free.iter().any(|branch| fitting[*branch].is_empty()) {
        return Ok(losses);
    }
    // A loss of fixed branches alone has them all.
    let fixed = space.random_loss(&mut generator(0, Stream::Panel, 0));
    for number in 0..most.unwrap_or(0) {
        let mut loss = fixed.clone();
        let mut names: Vec<&str> = Vec::new();
        for branch in &free {
            let list = &fitting[*branch];
            let zoo = list[number % list.len()];
            loss.branches[*branch].tree = zoo.tree();
            if !names.contains(&zoo.name) {
                names.push(zoo.name);
            }
        }
        losses.push((names.join(" + "), loss));
    }
    Ok(losses)
}

/// Whether a branch offers a hand-written loss all its inputs, of the kind that it compares.
fn fits(zoo: &ZooLoss, spec: &BranchSpec, images: bool) -> bool {
    let tree = zoo.tree();
    let softmax = spec.inputs[spec.prediction()].is_softmax();
    let kind = match zoo.kind {
        ZooKind::Classes => softmax,
        ZooKind::Numbers | ZooKind::Boxes => !softmax,
    };
    let offered = |name: &&str| spec.inputs.iter().any(|input| input.name == **name);
    kind && tree.inputs().iter().all(offered) && (images || tree.native().is_none())
}

/// Random trees of each branch that is searched, which pass the branch's own screening.
struct Pools<'a> {
    task: &'a dyn Task,
    space: &'a Space,
    screening: Screening,
    seed: u64,
    workers: usize,
    /// The usual loss, whose branches a mixture keeps but one.
    usual: Option<Loss>,
}

impl<'a> Pools<'a> {
    fn new(
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

    /// As many random losses, fewer where too few trees pass. With several branches every second one is
    /// random in all of them, the others in one of them.
    fn losses(
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

    /// A loss with that tree; its other branches are not looked at.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::equivalence::Key;
    use crate::toy::Toy;

    fn settings() -> Settings {
        Settings::from_toml(
            "[search]\nworkers = 2\n[screening]\nsteps = 60\nstep_size = 0.05\nthreshold = 0.3\nsamples = 3",
        )
        .unwrap()
    }

    fn made(settings: &Settings, size: usize, seed: u64, given: &[&str]) -> Vec<PanelLoss> {
        let toy = Toy::new();
        let given = given.iter().map(|text| {
            let loss = crate::parse_loss(&toy, text).unwrap();
            ((*text).to_owned(), loss)
        });
        let given = given.collect();
        let interrupt = Interrupt::default();
        panel(
            &toy,
            settings,
            (size, seed),
            given,
            &interrupt,
            &mut |_, _| (),
        )
        .unwrap()
    }

    fn named(panel: &[PanelLoss], kind: PanelKind) -> Vec<&str> {
        let of = panel.iter().filter(|loss| loss.kind == kind);
        of.map(|loss| loss.name.as_str()).collect()
    }

    #[test]
    fn a_panel_has_given_hand_written_and_random_losses() {
        let panel = made(
            &settings(),
            24,
            0,
            &["exp(1 - y * yhat)", "square(yhat - y)"],
        );
        assert_eq!(panel.len(), 26);
        assert_eq!(
            named(&panel, PanelKind::Given),
            ["exp(1 - y * yhat)", "square(yhat - y)"]
        );
        let hand_written = named(&panel, PanelKind::HandWritten);
        for name in ["cross entropy", "dice", "focal", "lovasz_softmax", "ssim"] {
            assert!(hand_written.contains(&name), "{name}: {hand_written:?}");
        }
        // The same formula as a given one, as a baseline, of numbers, of boxes, with an input that there is
        // not.
        for name in [
            "squared error",
            "cross_entropy",
            "mse",
            "giou",
            "cse_a_class",
        ] {
            assert!(!hand_written.contains(&name), "{name}: {hand_written:?}");
        }
        let formulas: HashSet<String> = panel.iter().map(|loss| loss.loss.to_string()).collect();
        assert_eq!(formulas.len(), panel.len());
    }

    #[test]
    fn random_losses_pass_screening_and_repeat() {
        let settings = settings();
        let small = made(&settings, 24, 5, &[]);
        let random = |panel: &[PanelLoss]| -> Vec<PanelLoss> {
            let of = panel.iter().filter(|loss| loss.kind == PanelKind::Random);
            of.cloned().collect()
        };
        let few = random(&small);
        assert!(few.len() >= 8, "{}", few.len());
        let mut one_worker = settings.clone();
        one_worker.search.workers = 1;
        let more = random(&made(&one_worker, 30, 5, &[]));
        assert_eq!(few, more[..few.len()]);
        assert_ne!(few, random(&made(&settings, 24, 6, &[])));
        let screener = Screener::new(&Toy::new(), &settings).unwrap();
        let mut keys = HashSet::new();
        for loss in few {
            let verdict = screener.screen(&loss.loss, &mut Scratch::default());
            assert_eq!(verdict.judgement, Judgement::Passed, "{}", loss.loss);
            assert!(keys.insert(Key::new(&verdict.norms)), "{}", loss.loss);
        }
    }

    #[test]
    fn an_interrupt_ends_the_drawing() {
        let interrupt = Interrupt::default();
        interrupt.set();
        let made = panel(
            &Toy::new(),
            &settings(),
            (24, 0),
            Vec::new(),
            &interrupt,
            &mut |_, _| (),
        );
        assert!(matches!(made, Err(SearchError::Interrupted)), "{made:?}");
    }
}
