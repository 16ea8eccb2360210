//! Simplification of trees for people who read them: rewriting by the rules of [`rules`] in an e-graph.
//!
//! A result is kept only if value and gradients agree with those of the tree on made-up fields, since some rules
//! hold only where no value is near 0, and rules that hold alone may fail together. All bounds are numbers of nodes
//! and rounds, so that the same tree always gives the same result.

mod agreement;
mod egraph;
mod rules;

use agreement::Samples;
use egraph::Saturation;

use crate::operator::Operator;
use crate::tree::{Branch, Loss, Tree};

/// Trees with more nodes are left as they are: nobody reads them.
const MOST_NODES: usize = 400;

/// Rounds of rewriting; each begins with the result of the round before.
const ROUNDS: usize = 4;

/// Largest number of parts of a tree that are rewritten by themselves where the whole cannot be.
const MOST_PARTS: usize = 60;

/// Significant digits of constants.
const DIGITS: usize = 7;

/// Smallest constant; smaller ones become 0.
const SMALLEST: f64 = 1e-9;

impl Tree {
    /// The shortest tree found whose loss value and gradients agree with those of this tree within 1e-5, but for the
    /// effect of constants rounded to seven digits and of a few of the operators' epsilons next to a pole.
    ///
    /// ```
    /// # use autoloss_expr::Tree;
    /// let tree = Tree::parse("mean_nhw(-(y * -log(exp(yhat))) + (1 - 1))", &["yhat", "y"])?;
    /// assert_eq!(tree.simplified().to_string(), "y * yhat");
    /// # Ok::<(), autoloss_expr::ParseError>(())
    /// ```
    #[must_use]
    pub fn simplified(&self) -> Self {
        if self.native().is_some() || self.size() > MOST_NODES {
            return self.clone();
        }
        let samples = Samples::of(self, 0);
        let mut best = self.clone();
        for _ in 0..ROUNDS {
            match shorter(&best, &samples) {
                Some(tree) => best = tree,
                None => break,
            }
        }
        best
    }
}

impl Loss {
    /// The loss with each branch in its simplified form.
    #[must_use]
    pub fn simplified(&self) -> Self {
        let branches = self.branches.iter().map(|branch| Branch {
            name: branch.name.clone(),
            tree: branch.tree.simplified(),
        });
        Self {
            branches: branches.collect(),
        }
    }
}

/// A shorter tree that agrees: rewritten as a whole by all rules, else by the exact rules, else in one part. The
/// exact rules alone are used where the samples tell nothing.
fn shorter(tree: &Tree, samples: &Samples) -> Option<Tree> {
    let is_better = |found: &Tree| found.size() < tree.size() && samples.agree(found);
    let saturations = match samples.tell() {
        true => &[Saturation::All, Saturation::Exact][..],
        false => &[Saturation::Exact][..],
    };
    for saturation in saturations {
        let found = tidied(&egraph::rewritten(tree, *saturation, true));
        let candidates = [rounded(&found), found];
        if let Some(better) = candidates.into_iter().find(|found| is_better(found)) {
            return Some(better);
        }
    }
    let all = saturations[0];
    let parts = (1..tree.size()).take(MOST_PARTS).filter_map(|number| {
        let mut whole = tree.clone();
        let part = whole.node_mut(number)?;
        let found = tidied(&egraph::rewritten(part, all, false));
        let found = rounded(&found);
        let is_shorter = found.size() < part.size();
        *part = found;
        is_shorter.then_some(whole)
    });
    parts.into_iter().find(is_better)
}

/// The tree with rounded constants.
fn rounded(tree: &Tree) -> Tree {
    match tree {
        Tree::Constant(c) if *c < SMALLEST => Tree::Constant(0.0),
        Tree::Constant(c) => {
            let text = format!("{c:.0$e}", DIGITS - 1);
            Tree::Constant(text.parse().unwrap_or(*c))
        }
        Tree::Apply(operator, operands) => {
            Tree::apply(*operator, operands.iter().map(rounded).collect())
        }
        Tree::Input(_) | Tree::Native(_) => tree.clone(),
    }
}

/// The tree with operands in their usual order: `2 * a`, `a - b`, `a / b`.
fn tidied(tree: &Tree) -> Tree {
    let Tree::Apply(operator, operands) = tree else {
        return tree.clone();
    };
    let mut operands: Vec<Tree> = operands.iter().map(tidied).collect();
    let is = |tree: &Tree, wanted: Operator| matches!(tree, Tree::Apply(op, _) if *op == wanted);
    if let [first, second] = &mut operands[..] {
        let is_constant = |tree: &Tree| matches!(tree, Tree::Constant(_));
        let precedes = |inverse| is(first, inverse) && !is(second, inverse);
        let constant_follows = is_constant(second) && !is_constant(first);
        let swap = *operator == Operator::Add && precedes(Operator::Neg)
            || *operator == Operator::Mul && (precedes(Operator::Inv) || constant_follows);
        if swap {
            std::mem::swap(first, second);
        }
    }
    Tree::apply(*operator, operands)
}

#[cfg(test)]
mod tests;
