//! From a tree to a flat program: shared subtrees once, constants folded, nothing else left.

use std::collections::HashMap;

use crate::arithmetic::Field;
use crate::operator::{OnNumbers, Operator, Structured};
use crate::tree::Tree;

/// Shape of a field: samples, channels, height, width; elements lie in that order (NCHW).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Samples.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Height in pixels.
    pub h: usize,
    /// Width in pixels.
    pub w: usize,
}

impl Shape {
    /// A shape from its four extents.
    #[must_use]
    pub const fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// Number of elements.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a shape is no container")]
    pub const fn len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Positions (n, h, w): what the loss value is a mean over.
    #[must_use]
    pub const fn positions(&self) -> usize {
        self.n * self.h * self.w
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({}, {}, {}, {})", self.n, self.c, self.h, self.w)
    }
}

/// A tree that cannot become a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The tree names an input that is not offered.
    #[error("the formula uses the input `{name}`, which is not given; given: {given}")]
    UnknownInput {
        /// The name in the tree.
        name: String,
        /// The names that were given.
        given: String,
    },
    /// The tree is a native loss.
    #[error("{0} is no tree of operators")]
    Native(String),
}

/// One step of a program; operands are numbers of earlier steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// The input with that number.
    Input(usize),
    /// A constant field.
    Constant(f64),
    /// An operator; a unary one repeats its operand.
    Apply(Operator, [usize; 2]),
}

/// A flat program: what a tree computes, each distinct subtree once.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) nodes: Vec<Node>,
    /// Whether a node depends on a differentiable input: only those are computed again in each
    /// step of an optimisation, and only those have an adjoint.
    pub(crate) dynamic: Vec<bool>,
    pub(crate) differentiable: Vec<bool>,
    canonical: String,
}

impl Program {
    /// Flattens a tree over the given inputs: (name, whether gradients flow through it).
    ///
    /// # Errors
    /// If the tree names another input, or is a native loss.
    pub fn new(tree: &Tree, inputs: &[(&str, bool)]) -> Result<Self, ProgramError> {
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

    /// A text that is equal for trees that compute the same after exchanging operands of
    /// commutative operators and folding constants.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether the result depends on the input with that number.
    #[must_use]
    pub fn uses(&self, input: usize) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node, Node::Input(i) if *i == input))
    }

    /// Computes the program on whole fields of a framework; one field an input.
    ///
    /// # Panics
    /// If there are fewer fields than inputs, or none at all.
    pub fn apply<F: Field>(&self, inputs: &[F]) -> F {
        let mut values: Vec<F> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            values.push(match node {
                Node::Input(i) => inputs[*i].clone(),
                Node::Constant(c) => inputs[0].like(*c),
                Node::Apply(op, operands) => {
                    let operands: Vec<F> = operands[..op.arity()]
                        .iter()
                        .map(|i| values[*i].clone())
                        .collect();
                    op.apply(&operands)
                }
            });
        }
        values.pop().expect("a program has at least one node")
    }
}

struct Builder<'a> {
    inputs: &'a [(&'a str, bool)],
    nodes: Vec<Node>,
    texts: Vec<String>,
    known: HashMap<String, usize>,
}

impl Builder<'_> {
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
            Some(Structured::SoftmaxC) => None,
            Some(_) => Some(constants[0]),
        }
    }
}

/// The nodes that the root needs, operands before operators, the root last.
///
/// The order follows the operands, which are sorted where they may be exchanged: trees of one
/// canonical form become one program, to the last bit of what it computes.
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

    fn program(text: &str) -> Program {
        Program::new(&Tree::parse(text, &["yhat", "y"]).unwrap(), INPUTS).unwrap()
    }

    #[test]
    fn shared_subtrees_are_computed_once() {
        let p = program("square(yhat - y) + exp(square(yhat - y))");
        assert_eq!(p.nodes.len(), 7); // yhat, y, −y, +, ², exp, +
    }

    #[test]
    fn commuted_and_folded_trees_have_one_canonical_form() {
        assert_eq!(
            program("y * yhat").canonical(),
            program("yhat * y").canonical()
        );
        assert_eq!(
            program("exp(1 + 1) * yhat").canonical(),
            program("yhat * exp(mean_c(1 + 1))").canonical()
        );
        assert_ne!(
            program("y - yhat").canonical(),
            program("yhat - y").canonical()
        );
    }

    #[test]
    fn trees_of_one_canonical_form_are_one_program() {
        let (a, b) = (
            program("exp(yhat) * y + tanh(yhat) * (1 + 1)"),
            program("2 * tanh(yhat) + y * exp(yhat)"),
        );
        assert_eq!(a.canonical(), b.canonical());
        assert_eq!(a.nodes, b.nodes);
    }

    #[test]
    fn folding_leaves_no_dead_code() {
        assert_eq!(program("1 + exp(tanh(1))").nodes.len(), 1);
        assert_eq!(program("yhat + square(1)").nodes.len(), 3);
    }

    #[test]
    fn the_root_is_last_even_when_it_was_seen_before() {
        let p = program("yhat");
        assert_eq!(p.nodes, [Node::Input(0)]);
        assert!(p.uses(0) && !p.uses(1));
    }

    #[test]
    fn an_input_that_is_not_given_is_named() {
        let tree = Tree::apply(Operator::Exp, vec![Tree::input("w")]);
        assert_eq!(
            Program::new(&tree, INPUTS).unwrap_err().to_string(),
            "the formula uses the input `w`, which is not given; given: yhat, y"
        );
    }
}
