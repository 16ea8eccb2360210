//! From a program to the steps of its computation: the value, and by reverse differentiation the
//! gradients, as one graph without repetition.
//!
//! The graph knows what a plain tape does not: which steps vary over what (a mean over the channels
//! is one number a position, not one a channel), which adjoints are only a factor, and which
//! values no gradient needs.

use crate::arithmetic::Arithmetic;
use crate::operator::{OnNumbers, Operator, Pointwise, Structured};
use crate::program::{Node, Program, Shape};

/// Number of a step; operands come before what is computed from them.
pub(crate) type Id = usize;

/// Over which dimensions a step's result varies; over the others it is constant and kept once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Over the channels.
    pub(crate) channels: bool,
    /// Over samples, height and width.
    pub(crate) positions: bool,
}

impl Extent {
    pub(crate) const FULL: Self = Self::new(true, true);
    pub(crate) const ONE: Self = Self::new(false, false);

    pub(crate) const fn new(channels: bool, positions: bool) -> Self {
        Self {
            channels,
            positions,
        }
    }

    pub(crate) const fn join(self, other: Self) -> Self {
        Self::new(
            self.channels || other.channels,
            self.positions || other.positions,
        )
    }

    const fn has(self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Channels => self.channels,
            Dimension::Positions => self.positions,
        }
    }
}

/// What a mean goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Channels,
    Positions,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// The input with that number.
    Input(usize),
    Constant(f64),
    /// A pointwise operator; a unary one repeats its operand.
    Value(Operator, [Id; 2]),
    /// `adjoint` times the operator's derivative with respect to operand `which`. Operands and
    /// value that the derivative does not need are replaced by the adjoint.
    Partial {
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Id,
    },
    /// The first plus the factor times the second.
    Combine(Id, f64, Id),
    Mean(Dimension, Id),
    /// 3×3 pooling of an operand that varies over the positions.
    Pool {
        min: bool,
        x: Id,
    },
    /// The adjoint of a pooling's operand; the pooling's adjoint has the pooling's extent or does
    /// not vary over the positions.
    PoolGradient {
        pool: Id,
        adjoint: Id,
    },
    /// Softmax over the channels of an operand that varies over them.
    Softmax(Id),
    /// Its operand, kept once for every element of the extent.
    Spread(Id, Extent),
}

impl Step {
    /// The steps it reads.
    pub(crate) fn operands(&self) -> impl Iterator<Item = Id> {
        let (list, count) = match *self {
            Self::Input(_) | Self::Constant(_) => ([0; 4], 0),
            Self::Value(op, [a, b]) => ([a, b, 0, 0], op.arity()),
            Self::Partial {
                operands: [a, b],
                value,
                adjoint,
                ..
            } => ([a, b, value, adjoint], 4),
            Self::Combine(a, _, b) => ([a, b, 0, 0], 2),
            Self::PoolGradient { pool, adjoint } => ([pool, adjoint, 0, 0], 2),
            Self::Mean(_, x) | Self::Pool { x, .. } | Self::Softmax(x) | Self::Spread(x, _) => {
                ([x, 0, 0, 0], 1)
            }
        };
        list.into_iter().take(count)
    }
}

/// An adjoint: a factor times a step, or the factor alone for every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Adjoint {
    pub(crate) factor: f64,
    pub(crate) step: Option<Id>,
}

/// The steps of a program on fields of one shape.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) steps: Vec<Step>,
    pub(crate) extents: Vec<Extent>,
    /// Whether a step depends on a differentiable input.
    pub(crate) dynamic: Vec<bool>,
    /// The step of the program's output.
    pub(crate) output: Id,
    /// The mean of the output over all elements.
    pub(crate) mean: Id,
    /// (input, its gradient) for each differentiable input that the program uses: the gradient is
    /// `factor · step`.
    pub(crate) gradients: Vec<(usize, f64, Id)>,
    shape: Shape,
}

impl Graph {
    pub(crate) fn new(program: &Program, shape: Shape) -> Self {
        let mut graph = Self {
            steps: Vec::new(),
            extents: Vec::new(),
            dynamic: Vec::new(),
            output: 0,
            mean: 0,
            gradients: Vec::new(),
            shape,
        };
        let mut ids = Vec::with_capacity(program.nodes.len());
        for node in &program.nodes {
            let id = graph.value(program, node, &ids);
            ids.push(id);
        }
        graph.output = ids[ids.len() - 1];
        let over_positions = graph.mean(Dimension::Positions, graph.output);
        graph.mean = graph.mean(Dimension::Channels, over_positions);
        graph.differentiate(program, &ids);
        graph
    }

    /// The step of an input that the program uses.
    pub(crate) fn input(&self, input: usize) -> Id {
        let step = Step::Input(input);
        let found = self.steps.iter().position(|known| *known == step);
        found.expect("an input that the program uses")
    }

    /// The step of a program's node.
    fn value(&mut self, program: &Program, node: &Node, ids: &[Id]) -> Id {
        let (op, operands) = match *node {
            Node::Input(input) => {
                return self.add(
                    Step::Input(input),
                    Extent::FULL,
                    program.differentiable[input],
                );
            }
            Node::Constant(c) => return self.constant(c),
            Node::Apply(op, operands) => (op, operands.map(|o| ids[o])),
        };
        let x = operands[0];
        match op.structured() {
            None => self.apply(op, operands),
            Some(Structured::MeanNhw) => self.mean(Dimension::Positions, x),
            Some(Structured::MeanC) => self.mean(Dimension::Channels, x),
            // Of equals each is the largest and the smallest.
            Some(Structured::MaxPool | Structured::MinPool) if !self.extents[x].positions => x,
            Some(pool @ (Structured::MaxPool | Structured::MinPool)) => {
                let min = pool == Structured::MinPool;
                self.derived(Step::Pool { min, x }, self.extents[x])
            }
            Some(Structured::SoftmaxC) if !self.extents[x].channels => {
                // Of equals each has the same share; what is not finite has none.
                let share = self.constant(1.0 / self.count(Dimension::Channels));
                let nothing = self.nothing_of(x);
                self.apply(Operator::Add, [share, nothing])
            }
            Some(Structured::SoftmaxC) => self.derived(Step::Softmax(x), self.extents[x]),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 elements")]
    fn count(&self, dimension: Dimension) -> f64 {
        match dimension {
            Dimension::Channels => self.shape.c as f64,
            Dimension::Positions => self.shape.positions() as f64,
        }
    }

    /// Zero, or NaN where `x` is not finite.
    fn nothing_of(&mut self, x: Id) -> Id {
        let zero = self.constant(0.0);
        self.apply(Operator::Mul, [x, zero])
    }

    /// The step, which may be there already.
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

    /// Walks the program backwards and gathers each node's adjoint.
    fn differentiate(&mut self, program: &Program, ids: &[Id]) {
        let mut adjoints: Vec<Option<Adjoint>> = vec![None; program.nodes.len()];
        let root = Adjoint {
            factor: 1.0 / self.count(Dimension::Positions),
            step: None,
        };
        let last = program.nodes.len() - 1;
        if program.dynamic[last] {
            adjoints[last] = Some(self.summed(root, Extent::FULL, self.extents[self.output]));
        }
        for (i, node) in program.nodes.iter().enumerate().rev() {
            let Some(adjoint) = adjoints[i] else { continue };
            match node {
                Node::Input(input) => {
                    let mut step = self.step_of(adjoint);
                    if matches!(self.steps[step], Step::Input(_)) && self.dynamic[step] {
                        // A gradient must not change while the inputs are moved.
                        step = self.derived(Step::Spread(step, Extent::FULL), Extent::FULL);
                    }
                    self.gradients.push((*input, adjoint.factor, step));
                }
                Node::Constant(_) => {}
                Node::Apply(op, operands) => {
                    for which in 0..op.arity() {
                        let to = operands[which];
                        if !program.dynamic[to] {
                            continue;
                        }
                        let operands = operands.map(|o| ids[o]);
                        let part = self.pulled_back(*op, which, operands, ids[i], adjoint);
                        adjoints[to] = Some(match adjoints[to] {
                            None => part,
                            Some(so_far) => self.added(so_far, part),
                        });
                    }
                }
            }
        }
        self.gradients.reverse();
    }

    /// What an operator's adjoint contributes to that of operand `which`.
    fn pulled_back(
        &mut self,
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Adjoint,
    ) -> Adjoint {
        let x = operands[which];
        match op.structured() {
            None => {
                let part = self.partial(op, which, operands, value, adjoint);
                let over = self.extents[operands[0]].join(self.extents[operands[1]]);
                self.summed(part, over, self.extents[x])
            }
            // A mean's derivative spreads its adjoint evenly; where the operand does not vary the
            // mean is the operand.
            Some(Structured::MeanNhw) => self.shared(adjoint, Dimension::Positions, x),
            Some(Structured::MeanC) => self.shared(adjoint, Dimension::Channels, x),
            Some(Structured::MaxPool | Structured::MinPool) => {
                if !self.extents[x].positions {
                    return adjoint;
                }
                let (extent, step) = (self.extents[value], self.step_of(adjoint));
                // One number a plane is kept as it is.
                let uniform = !self.extents[step].positions;
                let whole = match self.extents[step] == extent || uniform {
                    true => step,
                    false => self.derived(Step::Spread(step, extent), extent),
                };
                let gradient = Step::PoolGradient {
                    pool: value,
                    adjoint: whole,
                };
                Adjoint {
                    factor: adjoint.factor,
                    step: Some(self.derived(gradient, extent)),
                }
            }
            Some(Structured::SoftmaxC) => {
                if !self.extents[x].channels {
                    let nothing = self.nothing_of(value);
                    let a = self.step_of(adjoint);
                    return Adjoint {
                        factor: adjoint.factor,
                        step: Some(self.apply(Operator::Mul, [a, nothing])),
                    };
                }
                // s · (a − Σ_c s·a)
                let a = self.step_of(adjoint);
                let weighted = self.apply(Operator::Mul, [value, a]);
                let mean = self.mean(Dimension::Channels, weighted);
                let extent = self.extents[a].join(self.extents[mean]);
                let channels = self.count(Dimension::Channels);
                let rest = self.derived(Step::Combine(a, -channels, mean), extent);
                Adjoint {
                    factor: adjoint.factor,
                    step: Some(self.apply(Operator::Mul, [value, rest])),
                }
            }
        }
    }

    fn shared(&self, adjoint: Adjoint, dimension: Dimension, x: Id) -> Adjoint {
        match self.extents[x].has(dimension) {
            true => Adjoint {
                factor: adjoint.factor / self.count(dimension),
                ..adjoint
            },
            false => adjoint,
        }
    }

    /// `adjoint` times the derivative of a pointwise operator.
    fn partial(
        &mut self,
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Adjoint,
    ) -> Adjoint {
        let uses = derivative_of(op, which);
        let is = match uses {
            Derivative::Constant(c) => return scaled(adjoint, c),
            Derivative::Is(Source::Operand(k)) => Some(operands[k]),
            Derivative::Is(Source::Value) => Some(value),
            Derivative::Computed(_) => None,
        };
        if let Some(Step::Constant(c)) = is.map(|id| self.steps[id])
            && c.is_finite()
        {
            return scaled(adjoint, c);
        }
        let step = match (is, adjoint.step, uses) {
            (Some(id), None, _) => id,
            (Some(id), Some(step), _) => self.apply(Operator::Mul, [step, id]),
            (None, _, Derivative::Computed(needs)) => {
                let adjoint = self.step_of(adjoint);
                let keep = |needed: bool, id| if needed { id } else { adjoint };
                let partial = Step::Partial {
                    op,
                    which,
                    operands: [keep(needs[0], operands[0]), keep(needs[1], operands[1])],
                    value: keep(needs[2], value),
                    adjoint,
                };
                let extents = partial.operands().map(|o| self.extents[o]);
                let extent = extents.fold(Extent::ONE, Extent::join);
                self.derived(partial, extent)
            }
            (None, ..) => unreachable!("a derivative is constant, a step, or computed"),
        };
        Adjoint {
            factor: adjoint.factor,
            step: Some(step),
        }
    }

    /// The adjoint's step; that of 1 where it is a factor alone.
    fn step_of(&mut self, adjoint: Adjoint) -> Id {
        adjoint.step.unwrap_or_else(|| self.constant(1.0))
    }

    /// An adjoint over `from`, summed over the dimensions that `to` lacks.
    fn summed(&mut self, adjoint: Adjoint, from: Extent, to: Extent) -> Adjoint {
        let mut adjoint = adjoint;
        for dimension in [Dimension::Channels, Dimension::Positions] {
            if from.has(dimension) && !to.has(dimension) {
                // The sum is so many times the mean.
                adjoint.factor *= self.count(dimension);
                adjoint.step = adjoint.step.map(|step| self.mean(dimension, step));
            }
        }
        adjoint
    }

    fn added(&mut self, a: Adjoint, b: Adjoint) -> Adjoint {
        if a.step == b.step {
            return Adjoint {
                factor: a.factor + b.factor,
                step: a.step,
            };
        }
        if a.factor == 0.0 {
            return b;
        }
        let (x, y) = (self.step_of(a), self.step_of(b));
        let extent = self.extents[x].join(self.extents[y]);
        let ratio = b.factor / a.factor;
        let step = if ratio == 1.0 {
            self.apply(Operator::Add, [x, y])
        } else if ratio == -1.0 {
            self.apply(Operator::Sub, [x, y])
        } else {
            self.derived(Step::Combine(x, ratio, y), extent)
        };
        Adjoint {
            factor: a.factor,
            step: Some(step),
        }
    }
}

fn scaled(adjoint: Adjoint, factor: f64) -> Adjoint {
    Adjoint {
        factor: adjoint.factor * factor,
        ..adjoint
    }
}

/// Where a number of a derivative comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Operand(usize),
    Value,
}

/// What the table's gradient column says of a derivative, found by following the expression.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Derivative {
    Constant(f64),
    /// It is an operand, or the value, itself.
    Is(Source),
    /// It is computed from these: first operand, second operand, value.
    Computed([bool; 3]),
}

fn derivative_of(op: Operator, which: usize) -> Derivative {
    let trace = |source, bit| Trace {
        uses: bit,
        is: Some(source),
    };
    let traces = [
        trace(Source::Operand(0), 1),
        trace(Source::Operand(1), 2),
        trace(Source::Value, 4),
    ];
    let found = op.pointwise(Follow { traces, which }).expect("pointwise");
    if let Some(source) = found.is {
        return Derivative::Is(source);
    }
    if found.uses == 0 {
        let (_, partials) = op.pointwise(OnNumbers(&[1.0_f64, 1.0])).expect("pointwise");
        return Derivative::Constant(partials[which]);
    }
    Derivative::Computed([1, 2, 4].map(|bit| found.uses & bit != 0))
}

/// Follows which numbers a result depends on.
#[derive(Clone)]
struct Trace {
    uses: u8,
    /// The number that it is without change.
    is: Option<Source>,
}

impl Trace {
    fn changed(self) -> Self {
        Self { is: None, ..self }
    }
    fn with(self, other: &Self) -> Self {
        Self {
            uses: self.uses | other.uses,
            is: None,
        }
    }
}

struct Follow {
    traces: [Trace; 3],
    which: usize,
}

impl Pointwise<Trace> for Follow {
    type Output = Trace;

    fn unary(self, _: impl Fn(Trace) -> Trace, gradient: impl Fn(Trace, Trace) -> Trace) -> Trace {
        let [x, _, y] = self.traces;
        gradient(x, y)
    }

    fn binary(
        self,
        _: impl Fn(Trace, Trace) -> Trace,
        gradient: impl Fn(Trace, Trace, Trace) -> (Trace, Trace),
    ) -> Trace {
        let [a, b, y] = self.traces;
        let (da, db) = gradient(a, b, y);
        if self.which == 0 { da } else { db }
    }
}

macro_rules! trace_binary {
    ($($trait:ident $method:ident),+) => {$(
        impl std::ops::$trait for Trace {
            type Output = Self;
            fn $method(self, o: Self) -> Self {
                self.with(&o)
            }
        }
    )+};
}
trace_binary!(Add add, Sub sub, Mul mul);

impl std::ops::Neg for Trace {
    type Output = Self;
    fn neg(self) -> Self {
        self.changed()
    }
}

macro_rules! trace_unary {
    ($($method:ident),+) => {$(
        fn $method(self) -> Self {
            self.changed()
        }
    )+};
}

impl Arithmetic for Trace {
    fn like(&self, _: f64) -> Self {
        Self { uses: 0, is: None }
    }
    trace_unary!(abs, sign, recip, exp, ln, tanh, sqrt, sin, cos, atan, erf);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

    fn graph(text: &str) -> Graph {
        let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
        Graph::new(
            &Program::new(&tree, INPUTS).unwrap(),
            Shape::new(2, 3, 4, 5),
        )
    }

    /// Steps that a gradient needs in every update.
    fn moving(graph: &Graph) -> usize {
        let mut needed = vec![false; graph.steps.len()];
        graph
            .gradients
            .iter()
            .for_each(|(.., id)| needed[*id] = true);
        for id in (0..graph.steps.len()).rev() {
            if needed[id] {
                graph.steps[id].operands().for_each(|o| needed[o] = true);
            }
        }
        let apply = |id: &usize| needed[*id] && graph.dynamic[*id];
        let computed = |id: &usize| !matches!(graph.steps[*id], Step::Input(_));
        (0..graph.steps.len())
            .filter(apply)
            .filter(computed)
            .count()
    }

    #[test]
    fn gradients_need_few_steps() {
        for (text, steps) in [
            ("-(y * yhat)", 0),      // a constant gradient
            ("-(y * log(yhat))", 1), // y times the logarithm's derivative
            ("square(y - yhat)", 2), // the difference, the derivative
            ("exp(square(y - yhat))", 4),
            ("1 - mean_nhw(y * yhat)", 0),
        ] {
            assert_eq!(moving(&graph(text)), steps, "{text}");
        }
    }

    #[test]
    fn means_are_kept_once() {
        let graph = graph("mean_c(yhat) * mean_nhw(mean_c(yhat))");
        let count = |channels, positions| {
            let extent = Extent::new(channels, positions);
            graph.extents.iter().filter(|e| **e == extent).count()
        };
        assert_eq!(count(true, true), 1, "{graph:?}");
        assert!(count(false, true) >= 2 && count(false, false) >= 1);
    }

    #[test]
    fn derivatives_are_read_off_the_table() {
        assert_eq!(derivative_of(Operator::Neg, 0), Derivative::Constant(-1.0));
        assert_eq!(derivative_of(Operator::Sub, 1), Derivative::Constant(-1.0));
        let second = Derivative::Is(Source::Operand(1));
        assert_eq!(derivative_of(Operator::Mul, 0), second);
        assert_eq!(
            derivative_of(Operator::Exp, 0),
            Derivative::Is(Source::Value)
        );
        let of_value = Derivative::Computed([false, false, true]);
        assert_eq!(derivative_of(Operator::Tanh, 0), of_value);
        let of_operand = Derivative::Computed([true, false, false]);
        assert_eq!(derivative_of(Operator::Log, 0), of_operand);
    }
}
