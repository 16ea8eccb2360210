//! The search space, and random losses in it.

use autoloss_expr::{Branch, Loss, Operator, Tree};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::settings::{SearchSettings, SettingsError};
use crate::task::BranchSpec;

/// Largest number of nodes of a tree that a search makes. The paper sets no limit; this one is far above any loss a
/// person would read and only keeps a degenerate run from exploding.
pub const MAX_NODES: usize = 256;

/// Search space of losses: operators, and the leaves of each branch.
#[derive(Clone, Debug)]
pub struct Space {
    /// The operators.
    pub operators: Vec<Operator>,
    /// Depth of random trees.
    pub depth: usize,
    /// Probability that a mutation changes a constant or gives a node a factor; 0: 1 is the only constant.
    pub constants: f64,
    branches: Vec<BranchSpace>,
}

/// Leaves of the trees of a branch.
#[derive(Clone, Debug)]
struct BranchSpace {
    name: String,
    leaves: Vec<Tree>,
    /// The tree it is held fixed to, if it is.
    fixed: Option<Tree>,
}

impl Space {
    /// The search space of a task: each branch's leaves are its searched inputs and the constant 1.
    ///
    /// # Errors
    /// If the settings name no operator or one that does not exist, or hold an unknown branch, all
    /// branches, or one with a formula that it cannot read.
    pub fn new(settings: &SearchSettings, branches: &[BranchSpec]) -> Result<Self, SettingsError> {
        let wrong = |branch: &str, reason: String| SettingsError::Fixed {
            branch: branch.to_owned(),
            reason,
        };
        for name in settings.fixed.keys() {
            if !branches.iter().any(|branch| branch.name == *name) {
                let names: Vec<&str> = branches.iter().map(|b| b.name.as_str()).collect();
                let known = names.join(", ");
                return Err(wrong(name, format!("no such branch; known: {known}")));
            }
        }
        let space = |branch: &BranchSpec| {
            let names: Vec<&str> = branch.inputs.iter().map(|i| i.name.as_str()).collect();
            let fixed = settings.fixed.get(&branch.name);
            let fixed = fixed.map(|text| Tree::parse(text, &names)).transpose();
            let searched = branch.inputs.iter().filter(|input| input.searched);
            let leaves = searched.map(|input| Tree::input(&input.name));
            Ok(BranchSpace {
                leaves: leaves.chain([Tree::one()]).collect(),
                fixed: fixed.map_err(|error| wrong(&branch.name, error.to_string()))?,
                name: branch.name.clone(),
            })
        };
        let space = Self {
            operators: settings.operators()?,
            depth: settings.depth,
            constants: settings.constants,
            branches: branches.iter().map(space).collect::<Result<_, _>>()?,
        };
        if space.free().next().is_none() {
            let reason = "all branches are fixed: nothing to search".to_owned();
            return Err(wrong("*", reason));
        }
        Ok(space)
    }

    /// Whether a branch is held fixed.
    #[must_use]
    pub fn is_fixed(&self, branch: usize) -> bool {
        self.branches[branch].fixed.is_some()
    }

    /// The branches that are searched.
    pub fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.branches.len()).filter(|branch| !self.is_fixed(*branch))
    }

    /// A random loss: a random tree for each branch that is not fixed.
    pub fn random_loss(&self, rng: &mut ChaCha8Rng) -> Loss {
        self.random_loss_after(&[], rng)
    }

    /// A loss that begins with the given branches; the others are random.
    pub fn random_loss_after(&self, first: &[Branch], rng: &mut ChaCha8Rng) -> Loss {
        let mut branches = first.to_vec();
        for (place, branch) in self.branches.iter().enumerate().skip(first.len()) {
            branches.push(Branch {
                name: branch.name.clone(),
                tree: match &branch.fixed {
                    Some(tree) => tree.clone(),
                    None => self.random_tree(place, rng),
                },
            });
        }
        Loss { branches }
    }

    /// A loss with one of the branches that are searched, drawn uniformly, made anew at random.
    pub fn with_a_random_branch(&self, loss: &Loss, rng: &mut ChaCha8Rng) -> Loss {
        let mut loss = loss.clone();
        let branch = self.random_free(rng);
        loss.branches[branch].tree = self.random_tree(branch, rng);
        loss
    }

    /// A branch that is searched, drawn uniformly.
    pub fn random_free(&self, rng: &mut ChaCha8Rng) -> usize {
        let free: Vec<usize> = self.free().collect();
        free[rng.random_range(0..free.len())]
    }

    /// A random tree of a branch, complete to the space's depth: operators down to it, leaves at it.
    pub fn random_tree(&self, branch: usize, rng: &mut ChaCha8Rng) -> Tree {
        self.grow(branch, self.depth, rng)
    }

    fn grow(&self, branch: usize, depth: usize, rng: &mut ChaCha8Rng) -> Tree {
        if depth == 0 {
            return self.random_leaf(branch, rng);
        }
        let operator = self.random_operator(rng);
        let operands = (0..operator.arity())
            .map(|_| self.grow(branch, depth - 1, rng))
            .collect();
        Tree::apply(operator, operands)
    }

    /// A leaf of a branch, drawn uniformly.
    pub fn random_leaf(&self, branch: usize, rng: &mut ChaCha8Rng) -> Tree {
        let leaves = &self.branches[branch].leaves;
        leaves
            .choose(rng)
            .expect("the constant 1 is always a leaf")
            .clone()
    }

    /// An operator, drawn uniformly.
    pub fn random_operator(&self, rng: &mut ChaCha8Rng) -> Operator {
        *self.operators.choose(rng).expect("a space has operators")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::seed::{Stream, generator};
    use crate::settings::MAX_DEPTH;
    use crate::task::InputSpec;
    use proptest::prelude::*;

    pub(crate) fn space(depth: usize, branches: usize) -> Space {
        let settings = SearchSettings {
            depth,
            ..SearchSettings::default()
        };
        let specs: Vec<BranchSpec> = (0..branches)
            .map(|n| BranchSpec {
                name: format!("b{n}"),
                inputs: InputSpec::probabilities_and_target(),
            })
            .collect();
        Space::new(&settings, &specs).unwrap()
    }

    /// Whether every operator has its arity and every leaf belongs to the space.
    pub(crate) fn well_formed(tree: &Tree) -> bool {
        match tree {
            Tree::Input(name) => name == "yhat" || name == "y",
            Tree::Constant(c) => *c == 1.0,
            Tree::Apply(op, operands) => {
                operands.len() == op.arity() && operands.iter().all(well_formed)
            }
            Tree::Native(_) => false,
        }
    }

    fn complete(tree: &Tree, depth: usize) -> bool {
        tree.is_leaf() == (depth == 0)
            && tree
                .operands()
                .iter()
                .all(|operand| complete(operand, depth - 1))
    }

    #[test]
    fn a_wrong_arity_is_not_well_formed() {
        assert!(!well_formed(&Tree::Apply(Operator::Add, vec![Tree::one()])));
        assert!(!well_formed(&Tree::input("z")));
        assert!(!complete(&Tree::apply(Operator::Exp, vec![Tree::one()]), 2));
    }

    proptest! {
        #[test]
        fn random_trees_are_complete(seed in any::<u64>(), depth in 1..=MAX_DEPTH, branches in 1..4usize) {
            let space = space(depth, branches);
            let mut rng = generator(seed, Stream::Screening, 0);
            let loss = space.random_loss(&mut rng);
            prop_assert_eq!(loss.branches.len(), branches);
            for branch in &loss.branches {
                prop_assert!(well_formed(&branch.tree));
                prop_assert!(complete(&branch.tree, depth));
                prop_assert!(branch.tree.size() <= MAX_NODES);
            }
            let again = space.random_loss(&mut generator(seed, Stream::Screening, 0));
            prop_assert_eq!(loss, again);
        }
    }

    #[test]
    fn fixed_branches_stay_and_mistakes_are_named() {
        let specs: Vec<BranchSpec> = ["a", "b"]
            .map(|name| BranchSpec {
                name: name.to_owned(),
                inputs: InputSpec::probabilities_and_target(),
            })
            .to_vec();
        let space = |fixed: &[(&str, &str)]| {
            let fixed = fixed
                .iter()
                .map(|(b, f)| ((*b).to_owned(), (*f).to_owned()));
            let settings = SearchSettings {
                fixed: fixed.collect(),
                ..SearchSettings::default()
            };
            Space::new(&settings, &specs)
        };
        let some = space(&[("b", "yhat - y")]).unwrap();
        assert_eq!(some.free().collect::<Vec<_>>(), [0]);
        let loss = some.random_loss(&mut generator(7, Stream::Screening, 0));
        assert_eq!(loss.branches[1].tree.to_string(), "yhat - y");
        let error = |fixed: &[(&str, &str)]| space(fixed).unwrap_err().to_string();
        assert!(error(&[("c", "y")]).contains("`search.fixed.c`: no such branch; known: a, b"));
        assert!(error(&[("a", "y * z")]).contains("`search.fixed.a`"));
        assert!(error(&[("a", "yhat"), ("b", "yhat")]).contains("nothing to search"));
    }

    #[test]
    fn leaves_and_operators_are_uniform() {
        let space = space(3, 1);
        let mut rng = generator(0, Stream::Screening, 0);
        let trees: Vec<Tree> = (0..20_000)
            .map(|_| space.random_tree(0, &mut rng))
            .collect();
        // A depth-3 tree has (8/7)³ ≈ 1.49 leaves on average, each `yhat` with probability 1/3;
        // 57 % of trees hold none.
        let without = trees.iter().filter(|t| !t.uses("yhat")).count() as f64 / 20_000.0;
        assert!((0.54..0.59).contains(&without), "{without}");
        for op in Operator::default_set() {
            let roots = trees
                .iter()
                .filter(|t| matches!(t, Tree::Apply(o, _) if *o == op))
                .count();
            assert!((1250..1610).contains(&roots), "{}: {roots}", op.name());
        }
    }
}
