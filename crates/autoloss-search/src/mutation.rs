//! The mutations of a loss: the paper's three, and scaling (ours).
//!
//! Where a loss has several branches, one of those that are searched, drawn uniformly, is mutated and the others
//! stay (ours).
//! Scaling has a probability of its own, see `search.constants`. Else a mutation is drawn uniformly from those
//! of the paper that apply: deletion needs an inner node, replacement an inner node and a second operator, and
//! nothing grows a tree beyond [`MAX_NODES`].

use autoloss_expr::{Loss, Operator, Tree};
use rand::RngExt;
use rand::seq::{IndexedRandom, index};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::numbers::three_digits;
use crate::random::{MAX_NODES, Space};

/// Deviation of the logarithm of the factors that scaling draws.
const FACTOR_DEVIATION: f64 = 0.5;

/// Smallest and largest constant that scaling leads to.
const CONSTANTS: (f64, f64) = (1e-3, 1e3);

/// A mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A random operator goes between a random node and its parent; above the root, it becomes
    /// the root. The node takes a random operand position, leaves the others.
    Insertion,
    /// A random inner node goes; a random child of it takes its place.
    Deletion,
    /// A random inner node becomes another operator; operands are kept, a random subset where
    /// fewer are needed; leaves at random positions where more are.
    Replacement,
    /// A random node is multiplied by a factor that is drawn log-normally: a constant becomes another one, any
    /// other node an operand beside the factor.
    Scaling,
}

impl Mutation {
    /// All mutations.
    pub const ALL: [Self; 4] = [
        Self::Insertion,
        Self::Deletion,
        Self::Replacement,
        Self::Scaling,
    ];

    /// The word of the store and of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insertion => "insertion",
            Self::Deletion => "deletion",
            Self::Replacement => "replacement",
            Self::Scaling => "scaling",
        }
    }
}

/// Mutates one branch; `None` if no mutation applies.
pub fn mutate(loss: &Loss, space: &Space, rng: &mut ChaCha8Rng) -> Option<(Loss, Mutation)> {
    let mut mutated = loss.clone();
    let branch = space.random_free(rng);
    let tree = &mut mutated.branches[branch].tree;
    // Without constants no random number is drawn: the paper's sequence stays as it is.
    let scales = space.constants > 0.0 && rng.random_bool(space.constants);
    let mutation = match scales {
        true => Mutation::Scaling,
        false => *applicable(tree, space).choose(rng)?,
    };
    match mutation {
        Mutation::Insertion => insert(tree, branch, space, rng),
        Mutation::Deletion => delete(tree, rng),
        Mutation::Replacement => replace(tree, branch, space, rng),
        Mutation::Scaling => scale(tree, rng),
    }
    Some((mutated, mutation))
}

/// Multiplies a node of one branch by a factor, as [`Mutation::Scaling`] does.
pub(crate) fn scaled(loss: &Loss, space: &Space, rng: &mut ChaCha8Rng) -> Loss {
    let mut scaled = loss.clone();
    let branch = space.random_free(rng);
    scale(&mut scaled.branches[branch].tree, rng);
    scaled
}

fn applicable(tree: &Tree, space: &Space) -> Vec<Mutation> {
    // No operator has more than two operands, so no mutation adds more than two nodes.
    let may_grow = tree.size() + 2 <= MAX_NODES;
    let mut mutations = Vec::with_capacity(3);
    if may_grow {
        mutations.push(Mutation::Insertion);
    }
    if !tree.is_leaf() {
        mutations.push(Mutation::Deletion);
        if may_grow && space.operators.len() > 1 {
            mutations.push(Mutation::Replacement);
        }
    }
    mutations
}

fn insert(tree: &mut Tree, branch: usize, space: &Space, rng: &mut ChaCha8Rng) {
    let number = rng.random_range(0..tree.size());
    let operator = space.random_operator(rng);
    let position = rng.random_range(0..operator.arity());
    let node = tree.node_mut(number).expect("the node was counted");
    let mut below = Some(std::mem::replace(node, Tree::one()));
    let operands = (0..operator.arity())
        .map(|i| match below.take_if(|_| i == position) {
            Some(tree) => tree,
            None => space.random_leaf(branch, rng),
        })
        .collect();
    *node = Tree::apply(operator, operands);
}

fn delete(tree: &mut Tree, rng: &mut ChaCha8Rng) {
    let node = random_inner(tree, rng);
    let operands = node.operands_mut();
    let child = rng.random_range(0..operands.len());
    *node = std::mem::replace(&mut operands[child], Tree::one());
}

fn replace(tree: &mut Tree, branch: usize, space: &Space, rng: &mut ChaCha8Rng) {
    let Tree::Apply(operator, operands) = random_inner(tree, rng) else {
        unreachable!("inner nodes are operators")
    };
    let others: Vec<Operator> = space
        .operators
        .iter()
        .copied()
        .filter(|other| other != operator)
        .collect();
    // A set that names one operator several times may hold no other one: the node then stays.
    let Some(&other) = others.choose(rng) else {
        return;
    };
    if operands.len() > other.arity() {
        let mut kept = index::sample(rng, operands.len(), other.arity()).into_vec();
        kept.sort_unstable();
        *operands = kept.into_iter().map(|i| operands[i].clone()).collect();
    }
    while operands.len() < other.arity() {
        let position = rng.random_range(0..=operands.len());
        operands.insert(position, space.random_leaf(branch, rng));
    }
    *operator = other;
}

fn scale(tree: &mut Tree, rng: &mut ChaCha8Rng) {
    let number = rng.random_range(0..tree.size());
    let factor = (FACTOR_DEVIATION * Normal::standard().inverse_cdf(rng.random())).exp();
    let may_grow = tree.size() + 2 <= MAX_NODES;
    let node = tree.node_mut(number).expect("the node was counted");
    match constant_of(node) {
        Some(constant) => *constant = short(*constant * factor),
        None if may_grow => {
            let operand = std::mem::replace(node, Tree::one());
            let operands = vec![Tree::Constant(short(factor)), operand];
            *node = Tree::apply(Operator::Mul, operands);
        }
        None => {}
    }
}

/// The constant that a node is, or that is a factor of it.
fn constant_of(node: &mut Tree) -> Option<&mut f64> {
    match node {
        Tree::Constant(constant) => Some(constant),
        Tree::Apply(Operator::Mul, operands) => operands.iter_mut().find_map(|operand| {
            let Tree::Constant(constant) = operand else {
                return None;
            };
            Some(constant)
        }),
        _ => None,
    }
}

/// A constant within the bounds, with three significant digits.
fn short(constant: f64) -> f64 {
    let (low, high) = CONSTANTS;
    three_digits(constant.clamp(low, high))
}

/// An inner node, drawn uniformly; the tree must have one.
fn random_inner<'a>(tree: &'a mut Tree, rng: &mut ChaCha8Rng) -> &'a mut Tree {
    let mut inner = Vec::new();
    let mut number = 0;
    tree.visit(&mut |node| {
        if !node.is_leaf() {
            inner.push(number);
        }
        number += 1;
    });
    let chosen = *inner.choose(rng).expect("the tree has an inner node");
    tree.node_mut(chosen).expect("the node was counted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tests::{space, well_formed};
    use crate::seed::{Stream, generator};
    use crate::settings::SearchSettings;
    use crate::task::{BranchSpec, InputSpec};
    use proptest::prelude::*;

    fn operators(tree: &Tree) -> usize {
        let mut count = 0;
        tree.visit(&mut |node| count += usize::from(!node.is_leaf()));
        count
    }

    #[test]
    fn fixed_branches_are_not_mutated() {
        let specs: Vec<BranchSpec> = ["a", "b"]
            .map(|name| BranchSpec {
                name: name.to_owned(),
                inputs: InputSpec::probabilities_and_target(),
            })
            .to_vec();
        let settings = SearchSettings {
            fixed: [("b".to_owned(), "yhat - y".to_owned())].into(),
            ..SearchSettings::default()
        };
        let space = Space::new(&settings, &specs).unwrap();
        let mut rng = generator(7, Stream::Screening, 0);
        let mut loss = space.random_loss(&mut rng);
        for _ in 0..20 {
            loss = mutate(&loss, &space, &mut rng).unwrap().0;
            assert_eq!(loss.branches[1].tree.to_string(), "yhat - y");
        }
    }

    proptest! {
        #[test]
        fn mutations_keep_losses_well_formed(seed in any::<u64>(), branches in 1..4usize) {
            let space = space(2, branches);
            let mut rng = generator(seed, Stream::Proposal, 0);
            let mut loss = space.random_loss(&mut rng);
            for _ in 0..60 {
                let before = loss.clone();
                let (after, mutation) = mutate(&loss, &space, &mut rng).unwrap();
                let changed: Vec<usize> = (0..branches)
                    .filter(|&b| after.branches[b] != before.branches[b])
                    .collect();
                prop_assert!(changed.len() <= 1);
                for branch in &after.branches {
                    prop_assert!(well_formed(&branch.tree));
                    prop_assert!(branch.tree.size() <= MAX_NODES);
                }
                if let [b] = changed[..] {
                    let (old, new) = (&before.branches[b].tree, &after.branches[b].tree);
                    match mutation {
                        Mutation::Insertion => {
                            prop_assert_eq!(operators(new), operators(old) + 1);
                            prop_assert!((1..=2).contains(&(new.size() - old.size())));
                        }
                        Mutation::Deletion => prop_assert!(new.size() < old.size()),
                        Mutation::Replacement => prop_assert!(new.size() <= old.size() + 1),
                        Mutation::Scaling => prop_assert!(false, "there are no constants"),
                    }
                }
                loss = after;
            }
        }

        #[test]
        fn the_same_seed_is_the_same_mutation(seed in any::<u64>()) {
            let space = space(3, 2);
            let run = || {
                let mut rng = generator(seed, Stream::Proposal, 1);
                let loss = space.random_loss(&mut rng);
                mutate(&loss, &space, &mut rng)
            };
            prop_assert_eq!(run(), run());
        }
    }

    #[test]
    fn a_leaf_can_only_grow() {
        let space = space(3, 1);
        assert_eq!(applicable(&Tree::one(), &space), [Mutation::Insertion]);
        let mut rng = generator(0, Stream::Proposal, 0);
        let loss = Loss::single("b0", Tree::input("yhat"));
        for _ in 0..50 {
            let (after, _) = mutate(&loss, &space, &mut rng).unwrap();
            assert!(!after.branches[0].tree.is_leaf() && after.branches[0].tree.uses("yhat"));
        }
    }

    #[test]
    fn a_full_tree_can_only_shrink() {
        let mut tree = Tree::input("y");
        while tree.size() < MAX_NODES {
            tree = Tree::apply(Operator::Neg, vec![tree]);
        }
        assert_eq!(applicable(&tree, &space(3, 1)), [Mutation::Deletion]);
    }

    #[test]
    fn scaling_changes_a_constant_or_puts_a_factor_before_a_node() {
        let mut space = space(3, 1);
        space.constants = 1.0;
        let mut rng = generator(0, Stream::Proposal, 0);
        let mut factors = Vec::new();
        for _ in 0..2000 {
            let loss = Loss::single("b0", Tree::input("yhat"));
            let (after, mutation) = mutate(&loss, &space, &mut rng).unwrap();
            assert_eq!(mutation, Mutation::Scaling);
            let tree = &after.branches[0].tree;
            let [Tree::Constant(factor), operand] = tree.operands() else {
                panic!("{tree}");
            };
            assert_eq!(*operand, loss.branches[0].tree);
            // The loss is trained as it is printed.
            let read = Tree::parse(&tree.to_string(), &["yhat"]).unwrap();
            assert_eq!(read, *tree);
            factors.push(factor.ln());
            // A factor that is there already changes, whichever of the two nodes is drawn, or the input gets
            // one of its own.
            let (again, _) = mutate(&after, &space, &mut rng).unwrap();
            let again = &again.branches[0].tree;
            assert!(matches!(again.operands()[0], Tree::Constant(_)), "{again}");
            assert!(again.size() == 3 || again.size() == 5);
        }
        let mean = factors.iter().sum::<f64>() / 2000.0;
        let square = factors.iter().map(|f| f * f).sum::<f64>() / 2000.0;
        assert!(
            mean.abs() < 0.05 && (square.sqrt() - 0.5).abs() < 0.04,
            "{mean} {square}"
        );
        let mut constant = Tree::one();
        for _ in 0..2000 {
            scale(&mut constant, &mut rng);
            let Tree::Constant(c) = constant else {
                panic!("{constant}");
            };
            assert!((1e-3..=1e3).contains(&c));
        }
    }

    #[test]
    fn every_place_of_a_deletion_is_reached() {
        // exp(yhat + y): exp goes → yhat + y; + goes → exp(yhat) or exp(y).
        let tree = Tree::apply(
            Operator::Exp,
            vec![Tree::apply(
                Operator::Add,
                vec![Tree::input("yhat"), Tree::input("y")],
            )],
        );
        let mut rng = generator(0, Stream::Proposal, 0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..4000 {
            let mut copy = tree.clone();
            delete(&mut copy, &mut rng);
            *counts.entry(format!("{copy:?}")).or_insert(0) += 1;
        }
        let mut counts: Vec<i32> = counts.into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts.len(), 3);
        assert!(
            (900..1100).contains(&counts[0]) && (1850..2150).contains(&counts[2]),
            "{counts:?}"
        );
    }

    #[test]
    fn insertion_reaches_the_root_and_both_positions() {
        let mut space = space(3, 1);
        space.operators = vec![Operator::Sub];
        let tree = Tree::input("yhat");
        let mut rng = generator(0, Stream::Proposal, 0);
        let mut first = 0;
        for _ in 0..2000 {
            let mut copy = tree.clone();
            insert(&mut copy, 0, &space, &mut rng);
            let [a, b] = copy.operands() else {
                panic!("sub has two operands")
            };
            assert!(*a == tree || *b == tree);
            first += usize::from(*b != tree);
        }
        // In the first position only: ½ · ⅔ of the cases.
        assert!((580..760).contains(&first), "{first}");
    }
}
