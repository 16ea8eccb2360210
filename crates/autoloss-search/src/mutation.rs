//! The three mutations of a loss.
//!
//! Of a loss of several branches, one that is searched, drawn uniformly, is mutated and the others
//! stay (ours).
//! A mutation is drawn uniformly from those that apply: deletion needs an inner node, replacement
//! an inner node and a second operator, and nothing grows a tree beyond [`MAX_NODES`].

use autoloss_expr::{Loss, Operator, Tree};
use rand::RngExt;
use rand::seq::{IndexedRandom, index};
use rand_chacha::ChaCha8Rng;

use crate::random::Space;

/// Trees do not grow beyond this many nodes. The paper sets no limit; this one is far above any
/// loss a person would read and only keeps a degenerate run from exploding.
pub const MAX_NODES: usize = 256;

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
}

/// Mutates one branch; `None` if no mutation applies.
pub fn mutate(loss: &Loss, space: &Space, rng: &mut ChaCha8Rng) -> Option<(Loss, Mutation)> {
    let mut mutated = loss.clone();
    let branch = space.random_free(rng);
    let tree = &mut mutated.branches[branch].tree;
    let mutation = *applicable(tree, space).choose(rng)?;
    match mutation {
        Mutation::Insertion => insert(tree, branch, space, rng),
        Mutation::Deletion => delete(tree, rng),
        Mutation::Replacement => replace(tree, branch, space, rng),
    }
    Some((mutated, mutation))
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
    use proptest::prelude::*;

    fn operators(tree: &Tree) -> usize {
        let mut count = 0;
        tree.visit(&mut |node| count += usize::from(!node.is_leaf()));
        count
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
