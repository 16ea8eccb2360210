//! The steps of a computation: the value, and by reverse differentiation the gradients, as one graph
//! without repetition.
//!
//! The graph knows more than a plain tape does: the dimensions over which each step varies (a mean
//! over the channels is one number a position, not one a channel), the adjoints that are only a
//! factor, and the values that no gradient needs.

mod derivative;
mod differentiate;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use step::{Id, Step};

use crate::extent::{Dimension, Extent};
use crate::flat::{Flat, Node};
use crate::operator::{Operator, Structured};
use crate::shape::Shape;

/// The steps of a flattened tree on fields of one shape.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) steps: Vec<Step>,
    pub(crate) extents: Vec<Extent>,
    /// Whether a step depends on a differentiable input.
    pub(crate) dynamic: Vec<bool>,
    /// The step of the output.
    pub(crate) output: Id,
    /// The mean of the output over all elements.
    pub(crate) mean: Id,
    /// (input, factor, step) for each differentiable input that is used: the gradient is
    /// `factor · step`.
    pub(crate) gradients: Vec<(usize, f64, Id)>,
    shape: Shape,
}

impl Graph {
    pub(crate) fn new(flat: &Flat, shape: Shape) -> Self {
        let mut graph = Self {
            steps: Vec::new(),
            extents: Vec::new(),
            dynamic: Vec::new(),
            output: 0,
            mean: 0,
            gradients: Vec::new(),
            shape,
        };
        let mut ids = Vec::with_capacity(flat.nodes.len());
        for node in &flat.nodes {
            let id = graph.value(flat, node, &ids);
            ids.push(id);
        }
        graph.output = ids[ids.len() - 1];
        let over_positions = graph.mean(Dimension::Positions, graph.output);
        graph.mean = graph.mean(Dimension::Channels, over_positions);
        graph.differentiate(flat, &ids);
        graph
    }

    /// The step of an input that is used.
    pub(crate) fn input(&self, input: usize) -> Id {
        let step = Step::Input(input);
        let found = self.steps.iter().position(|known| *known == step);
        found.expect("an input that is used")
    }

    /// The step of a node.
    fn value(&mut self, flat: &Flat, node: &Node, ids: &[Id]) -> Id {
        let (op, operands) = match *node {
            Node::Input(input) => {
                return self.add(Step::Input(input), Extent::FULL, flat.differentiable[input]);
            }
            Node::Constant(c) => return self.constant(c),
            Node::Apply(op, operands) => (op, operands.map(|o| ids[o])),
        };
        let x = operands[0];
        match op.structured() {
            None => self.apply(op, operands),
            Some(Structured::MeanNhw) => self.mean(Dimension::Positions, x),
            Some(Structured::MeanC) => self.mean(Dimension::Channels, x),
            // Where all neighbours are equal, each is the largest and the smallest.
            Some(Structured::MaxPool | Structured::MinPool) if !self.extents[x].positions => x,
            Some(pool @ (Structured::MaxPool | Structured::MinPool)) => {
                let min = pool == Structured::MinPool;
                self.derived(Step::Pool { min, x }, self.extents[x])
            }
            Some(Structured::SoftmaxC) if !self.extents[x].channels => {
                // Equal channels have equal shares; a channel that is not finite has none.
                let share = self.constant(1.0 / self.count(Dimension::Channels));
                let nothing = self.nothing_of(x);
                self.apply(Operator::Add, [share, nothing])
            }
            Some(Structured::SoftmaxC) => self.derived(Step::Softmax(x), self.extents[x]),
        }
    }

    /// Number of elements along a dimension.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 elements")]
    fn count(&self, dimension: Dimension) -> f64 {
        match dimension {
            Dimension::Channels => self.shape.c as f64,
            Dimension::Positions => self.shape.positions() as f64,
        }
    }

    /// Zero where `x` is finite, else NaN.
    fn nothing_of(&mut self, x: Id) -> Id {
        let zero = self.constant(0.0);
        self.apply(Operator::Mul, [x, zero])
    }

    /// Adds a step unless it is known, and gives its number.
    fn add(&mut self, step: Step, extent: Extent, dynamic: bool) -> Id {
        if let Some(id) = self.steps.iter().position(|known| *known == step) {
            return id;
        }
        self.steps.push(step);
        self.extents.push(extent);
        self.dynamic.push(dynamic);
        self.steps.len() - 1
    }

    fn derived(&mut self, step: Step, extent: Extent) -> Id {
        let dynamic = step.operands().any(|o| self.dynamic[o]);
        self.add(step, extent, dynamic)
    }

    fn constant(&mut self, c: f64) -> Id {
        self.add(Step::Constant(c), Extent::ONE, false)
    }

    fn apply(&mut self, op: Operator, [a, b]: [Id; 2]) -> Id {
        // x + (−y) is x − y to the last bit, and one step less.
        if let (Operator::Add, Step::Value(Operator::Neg, [c, _])) = (op, self.steps[b]) {
            return self.apply(Operator::Sub, [a, c]);
        }
        if let (Operator::Add, Step::Value(Operator::Neg, [c, _])) = (op, self.steps[a]) {
            return self.apply(Operator::Sub, [b, c]);
        }
        let extent = self.extents[a].join(self.extents[b]);
        self.derived(Step::Value(op, [a, b]), extent)
    }

    /// The mean over a dimension: the operand itself where it does not vary over it.
    fn mean(&mut self, dimension: Dimension, x: Id) -> Id {
        let extent = self.extents[x];
        if !extent.has(dimension) {
            return x;
        }
        let extent = match dimension {
            Dimension::Channels => Extent::new(false, extent.positions),
            Dimension::Positions => Extent::new(extent.channels, false),
        };
        self.derived(Step::Mean(dimension, x), extent)
    }
}
