//! Trees flattened to lists of nodes: shared subtrees once, constants folded.

use std::collections::HashMap;

use crate::operator::{OnNumbers, Operator, Structured};
use crate::tree::Tree;

/// A tree that cannot become a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The tree names an input that is not given.
    #[error("the formula uses the input `{name}`, which is not given; given: {given}")]
    UnknownInput {
        /// The name in the tree.
        name: String,
        /// The names that were given.
        given: String,
    },
    /// The tree is a native loss.
    #[error("`{0}` is a native loss, no tree of operators")]
    Native(String),
}

/// A distinct subtree; operands are numbers of earlier nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// The input with that number.
    Input(usize),
    /// A field of one number.
    Constant(f64),
    /// An operator; the operand of a unary one is repeated.
    Apply(Operator, [usize; 2]),
}

/// The distinct subtrees of a tree, each after its operands, the whole tree last.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    pub(crate) nodes: Vec<Node>,
    /// Whether a node depends on a differentiable input. Other nodes have no adjoint and are computed
    /// once for all steps of an optimisation.
    pub(crate) dynamic: Vec<bool>,
    /// Whether gradients flow through an input.
    pub(crate) differentiable: Vec<bool>,
    /// Text that is equal for trees that compute the same after exchanging operands and folding.
    pub(crate) canonical: String,
}

impl Flat {
    /// Flattens a tree over the given inputs: (name, whether gradients flow through the input).
    pub(crate) fn new(tree: &Tree, inputs: &[(&str, bool)]) -> Result<Self, ProgramError> {
        let mut builder = Builder {
            inputs,
            nodes: Vec::new(),
            texts: Vec::new(),
            known: HashMap::new(),
        };
        let root = builder.add(tree)?;
        let canonical = builder.texts[root].clone();
        let nodes = live(&builder.nodes, root);
        let differentiable: Vec<bool> = inputs.iter().map(|(_, d)| *d).collect();
        let mut dynamic = Vec::with_capacity(nodes.len());
        for node in &nodes {
            dynamic.push(match node {
                Node::Input(i) => differentiable[*i],
                Node::Constant(_) => false,
                Node::Apply(_, [a, b]) => dynamic[*a] || dynamic[*b],
            });
        }
        Ok(Self {
            nodes,
            dynamic,
            differentiable,
            canonical,
        })
    }
}

struct Builder<'a> {
    inputs: &'a [(&'a str, bool)],
    nodes: Vec<Node>,
    /// Canonical text of each node.
    texts: Vec<String>,
    /// Number of each node by its text.
    known: HashMap<String, usize>,
}

impl Builder<'_> {
    /// Adds a tree unless it is known, and gives its number.
    fn add(&mut self, tree: &Tree) -> Result<usize, ProgramError> {
        let (node, text) = match tree {
            Tree::Input(name) => (Node::Input(self.input(name)?), name.clone()),
            Tree::Constant(c) => (Node::Constant(*c), format!("{c:?}")),
            Tree::Apply(op, operands) => {
                let mut numbers = Vec::with_capacity(2);
                for operand in operands {
                    numbers.push(self.add(operand)?);
                }
                self.applied(*op, &mut numbers)
            }
            Tree::Native(loss) => return Err(ProgramError::Native(loss.to_string())),
        };
        if let Some(&number) = self.known.get(&text) {
            return Ok(number);
        }
        self.nodes.push(node);
        self.texts.push(text.clone());
        self.known.insert(text, self.nodes.len() - 1);
        Ok(self.nodes.len() - 1)
    }

    fn input(&self, name: &str) -> Result<usize, ProgramError> {
        let found = self.inputs.iter().position(|(n, _)| *n == name);
        found.ok_or_else(|| ProgramError::UnknownInput {
            name: name.to_owned(),
            given: self
                .inputs
                .iter()
                .map(|(n, _)| *n)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// The node of an operator on known operands, folded where they are constants.
    fn applied(&self, op: Operator, operands: &mut [usize]) -> (Node, String) {
        if op.commutes() {
            operands.sort_by(|a, b| self.texts[*a].cmp(&self.texts[*b]));
        }
        if let Some(c) = self.folded(op, operands) {
            return (Node::Constant(c), format!("{c:?}"));
        }
        let texts: Vec<&str> = operands.iter().map(|i| self.texts[*i].as_str()).collect();
        let text = format!("{}({})", op.name(), texts.join(","));
        let second = *operands.last().expect("operators have operands");
        (Node::Apply(op, [operands[0], second]), text)
    }

    /// The number that an operator gives for constants.
    fn folded(&self, op: Operator, operands: &[usize]) -> Option<f64> {
        let mut constants = Vec::with_capacity(2);
        for i in operands {
            match self.nodes[*i] {
                Node::Constant(c) => constants.push(c),
                _ => return None,
            }
        }
        match op.structured() {
            None => op.pointwise(OnNumbers(&constants)).map(|(value, _)| value),
            // Depends on the number of channels.
            Some(Structured::SoftmaxC) => None,
            Some(
                Structured::MeanNhw | Structured::MeanC | Structured::MaxPool | Structured::MinPool,
            ) => Some(constants[0]),
        }
    }
}

/// The nodes that the root needs, operands before operators, the root last.
///
/// The order follows the operands, which are sorted where they may be exchanged: trees of one
/// canonical form become one list of nodes, and give the same numbers to the last bit.
fn live(nodes: &[Node], root: usize) -> Vec<Node> {
    let mut numbers = vec![None; nodes.len()];
    let mut kept = Vec::new();
    keep(nodes, root, &mut numbers, &mut kept);
    kept
}

/// Keeps a node after its operands and gives its new number.
fn keep(nodes: &[Node], node: usize, numbers: &mut [Option<usize>], kept: &mut Vec<Node>) -> usize {
    if let Some(number) = numbers[node] {
        return number;
    }
    let renumbered = match nodes[node] {
        Node::Apply(op, operands) => {
            Node::Apply(op, operands.map(|o| keep(nodes, o, numbers, kept)))
        }
        leaf => leaf,
    };
    kept.push(renumbered);
    numbers[node] = Some(kept.len() - 1);
    kept.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

    fn flat(text: &str) -> Flat {
        Flat::new(&Tree::parse(text, &["yhat", "y"]).unwrap(), INPUTS).unwrap()
    }

    #[test]
    fn shared_subtrees_are_computed_once() {
        let flat = flat("square(yhat - y) + exp(square(yhat - y))");
        assert_eq!(flat.nodes.len(), 7); // yhat, y, −y, +, ², exp, +
    }

    #[test]
    fn commuted_and_folded_trees_have_one_canonical_form() {
        assert_eq!(flat("y * yhat").canonical, flat("yhat * y").canonical);
        assert_eq!(
            flat("exp(1 + 1) * yhat").canonical,
            flat("yhat * exp(mean_c(1 + 1))").canonical
        );
        assert_ne!(flat("y - yhat").canonical, flat("yhat - y").canonical);
    }

    #[test]
    fn trees_of_one_canonical_form_have_the_same_nodes() {
        let (a, b) = (
            flat("exp(yhat) * y + tanh(yhat) * (1 + 1)"),
            flat("2 * tanh(yhat) + y * exp(yhat)"),
        );
        assert_eq!(a.canonical, b.canonical);
        assert_eq!(a.nodes, b.nodes);
    }

    #[test]
    fn folding_leaves_no_dead_code() {
        assert_eq!(flat("1 + exp(tanh(1))").nodes.len(), 1);
        assert_eq!(flat("yhat + square(1)").nodes.len(), 3);
    }

    #[test]
    fn the_root_is_last_even_when_it_was_seen_before() {
        let flat = flat("yhat");
        assert_eq!(flat.nodes, [Node::Input(0)]);
    }

    #[test]
    fn an_input_that_is_not_given_is_named() {
        let tree = Tree::apply(Operator::Exp, vec![Tree::input("w")]);
        assert_eq!(
            Flat::new(&tree, INPUTS).unwrap_err().to_string(),
            "the formula uses the input `w`, which is not given; given: yhat, y"
        );
    }
}
