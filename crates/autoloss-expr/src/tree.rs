//! Expression trees, and losses of several branches.

use std::collections::BTreeSet;

use crate::native::NativeLoss;
use crate::operator::Operator;

/// An expression tree: the loss of one branch before the mean over positions and the sum over channels.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A named input of the branch, such as `yhat` or `y`.
    Input(String),
    /// A finite number that is not negative; the search space has 1 alone.
    Constant(f64),
    /// An operator applied to as many trees as its arity.
    Apply(Operator, Vec<Tree>),
    /// A loss over `yhat` and `y` that is no tree of operators; always the whole tree.
    Native(NativeLoss),
}

impl Tree {
    /// Inputs of all native losses.
    const OF_NATIVE: [&'static str; 2] = ["yhat", "y"];

    /// The native loss, if the tree is one.
    #[must_use]
    pub const fn native(&self) -> Option<&NativeLoss> {
        match self {
            Self::Native(loss) => Some(loss),
            Self::Input(_) | Self::Constant(_) | Self::Apply(..) => None,
        }
    }

    /// A named input.
    #[must_use]
    pub fn input(name: &str) -> Self {
        Self::Input(name.to_owned())
    }

    /// The constant 1.
    #[must_use]
    pub const fn one() -> Self {
        Self::Constant(1.0)
    }

    /// An operator applied to operands.
    ///
    /// # Panics
    /// If the number of operands is not the operator's arity.
    #[must_use]
    pub fn apply(operator: Operator, operands: Vec<Self>) -> Self {
        assert_eq!(
            operands.len(),
            operator.arity(),
            "operands of {}",
            operator.name()
        );
        Self::Apply(operator, operands)
    }

    /// The operands of the root; none for a leaf.
    #[must_use]
    pub fn operands(&self) -> &[Self] {
        match self {
            Self::Apply(_, operands) => operands,
            Self::Input(_) | Self::Constant(_) | Self::Native(_) => &[],
        }
    }

    /// The operands of the root, to change.
    pub fn operands_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Apply(_, operands) => operands,
            Self::Input(_) | Self::Constant(_) | Self::Native(_) => &mut [],
        }
    }

    /// Whether the root is a leaf.
    #[must_use]
    pub const fn is_leaf(&self) -> bool {
        !matches!(self, Self::Apply(..))
    }

    /// Number of nodes, the leaves included.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + self.operands().iter().map(Self::size).sum::<usize>()
    }

    /// Number of edges from the root to the deepest leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.operands()
            .iter()
            .map(|t| 1 + t.depth())
            .max()
            .unwrap_or(0)
    }

    /// The names of all inputs that occur.
    #[must_use]
    pub fn inputs(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.visit(&mut |node| match node {
            Self::Input(name) => {
                names.insert(name.as_str());
            }
            Self::Native(_) => names.extend(Self::OF_NATIVE),
            Self::Constant(_) | Self::Apply(..) => {}
        });
        names
    }

    /// Whether the input occurs.
    #[must_use]
    pub fn uses(&self, input: &str) -> bool {
        match self {
            Self::Input(name) => name == input,
            Self::Constant(_) => false,
            Self::Native(_) => Self::OF_NATIVE.contains(&input),
            Self::Apply(_, operands) => operands.iter().any(|t| t.uses(input)),
        }
    }

    /// The tree with another tree in place of an input.
    #[must_use]
    pub fn substitute(&self, input: &str, other: &Self) -> Self {
        match self {
            Self::Input(name) if name == input => other.clone(),
            Self::Apply(op, operands) => {
                let operands = operands.iter().map(|t| t.substitute(input, other));
                Self::Apply(*op, operands.collect())
            }
            leaf => leaf.clone(),
        }
    }

    /// The tree over the logits of an input: with their softmax over the channels in its place.
    #[must_use]
    pub fn over_logits(&self, input: &str) -> Self {
        let logits = vec![Self::input(input)];
        self.substitute(input, &Self::apply(Operator::SoftmaxC, logits))
    }

    /// Calls `f` on every node, parents before children, left to right.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Self)) {
        f(self);
        for t in self.operands() {
            t.visit(f);
        }
    }

    /// The node with that number in the order of [`Tree::visit`], from 0 for the root, to change.
    pub fn node_mut(&mut self, number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        let mut passed = 1;
        for t in self.operands_mut() {
            let size = t.size();
            if number < passed + size {
                return t.node_mut(number - passed);
            }
            passed += size;
        }
        None
    }
}

/// The loss of one branch of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The branch's name; empty where a loss was written without one.
    pub name: String,
    /// The branch's tree.
    pub tree: Tree,
}

/// A loss: one tree for each branch of a task. The loss value is the sum over the branches.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// The branches, in the task's order.
    pub branches: Vec<Branch>,
}

impl Loss {
    /// A loss of one branch.
    #[must_use]
    pub fn single(name: &str, tree: Tree) -> Self {
        Self {
            branches: vec![Branch {
                name: name.to_owned(),
                tree,
            }],
        }
    }

    /// Number of nodes of all branches, the leaves included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.branches.iter().map(|branch| branch.tree.size()).sum()
    }

    /// The tree of the named branch.
    #[must_use]
    pub fn tree(&self, branch: &str) -> Option<&Tree> {
        self.branches
            .iter()
            .find(|b| b.name == branch)
            .map(|b| &b.tree)
    }
}
