//! Crossover: a loss with a part of another one. (ours: the paper has mutations alone)

use autoloss_expr::Loss;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::random::{MAX_NODES, Space};

/// Probability that a loss of several branches takes over a whole one, and no part of it.
const WHOLE_BRANCH: f64 = 0.5;

/// The loss with a part of `mate` in one branch, drawn uniformly from those that are searched: a random subtree
/// in the place of a random node, or the whole branch where there are several. A subtree that would make the
/// tree too large leaves it as it is.
pub(crate) fn cross(loss: &Loss, mate: &Loss, space: &Space, rng: &mut ChaCha8Rng) -> Loss {
    let mut crossed = loss.clone();
    let branch = space.random_free(rng);
    let tree = &mut crossed.branches[branch].tree;
    let mut mate = mate.branches[branch].tree.clone();
    let several = space.free().count() > 1;
    if several && rng.random_bool(WHOLE_BRANCH) {
        *tree = mate;
        return crossed;
    }
    let (size, place) = (tree.size(), rng.random_range(0..tree.size()));
    let part = rng.random_range(0..mate.size());
    let node = tree.node_mut(place).expect("the node was counted");
    let part = mate.node_mut(part).expect("the node was counted");
    if size - node.size() + part.size() <= MAX_NODES {
        std::mem::swap(node, part);
    }
    crossed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tests::{space, well_formed};
    use crate::seed::{Stream, generator};
    use autoloss_expr::{Operator, Tree};
    use proptest::prelude::*;

    fn subtrees(tree: &Tree) -> Vec<Tree> {
        let mut all = Vec::new();
        tree.visit(&mut |node| all.push(node.clone()));
        all
    }

    proptest! {
        #[test]
        fn one_branch_changes_and_holds_a_part_of_the_mate(seed in any::<u64>(), branches in 1..4usize) {
            let space = space(3, branches);
            let mut rng = generator(seed, Stream::Proposal, 0);
            let (loss, mate) = (space.random_loss(&mut rng), space.random_loss(&mut rng));
            let crossed = cross(&loss, &mate, &space, &mut rng);
            let changed: Vec<usize> = (0..branches)
                .filter(|&b| crossed.branches[b] != loss.branches[b])
                .collect();
            prop_assert!(changed.len() <= 1);
            for b in changed {
                let [new, old, other] = [&crossed, &loss, &mate].map(|l| &l.branches[b].tree);
                prop_assert!(well_formed(new));
                // Some node of the old tree is replaced by some subtree of the mate's.
                let swapped = (0..old.size()).any(|place| {
                    subtrees(other).into_iter().any(|part| {
                        let mut tree = old.clone();
                        *tree.node_mut(place).unwrap() = part;
                        tree == *new
                    })
                });
                prop_assert!(swapped, "{new} of {old} and {other}");
            }
        }
    }

    #[test]
    fn a_branch_is_taken_whole_half_of_the_time() {
        let space = space(3, 2);
        let mut rng = generator(0, Stream::Proposal, 0);
        let (loss, mate) = (space.random_loss(&mut rng), space.random_loss(&mut rng));
        let whole = (0..2000).filter(|_| {
            let crossed = cross(&loss, &mate, &space, &mut rng);
            (0..2).any(|b| crossed.branches[b] == mate.branches[b])
        });
        let whole = whole.count();
        assert!((950..1150).contains(&whole), "{whole}");
    }

    #[test]
    fn a_tree_does_not_grow_too_large() {
        let mut long = Tree::input("y");
        while long.size() < MAX_NODES {
            long = Tree::apply(Operator::Neg, vec![long]);
        }
        let loss = Loss::single("b0", long);
        let mut rng = generator(0, Stream::Proposal, 0);
        for _ in 0..200 {
            let crossed = cross(&loss, &loss, &space(3, 1), &mut rng);
            assert!(crossed.branches[0].tree.size() <= MAX_NODES);
        }
    }
}
