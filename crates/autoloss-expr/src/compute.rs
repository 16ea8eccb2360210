//! The fast computation of a program: value, gradient, and the optimisation of predictions.
//!
//! A program runs on *blocks*. A block is a part of the fields on which every operator of the program
//! can be computed by itself: any run of elements where all operators are pointwise, all channels of a run
//! of positions where some look across channels, the whole fields where some look across
//! positions. Where blocks are small, the whole optimisation of one block runs in cache before the next
//! block is touched. Within a large block, runs of pointwise operators are computed tile by tile.

use std::ops::Range;

use crate::fields::{self, Read};
use crate::kernels::{self, AdamUpdate, Backward, Level, Target};
use crate::operator::Operator;
use crate::program::{Node, Program, Reach, Shape};

/// Elements of a tile: with a program's values and adjoints it stays in the first-level cache or
/// close to it, and is long enough that the interpreter's work between loops does not count.
const TILE: usize = 1024;

/// Adam (Kingma and Ba 2015) on the predictions themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Number of steps.
    pub steps: usize,
    /// Step size.
    pub step_size: f32,
    /// Decay of the gradient's mean.
    pub beta1: f32,
    /// Decay of the squared gradient's mean.
    pub beta2: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Least and greatest value that an element may take: it is put back after each step.
    pub bounds: (f32, f32),
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            steps: 500,
            step_size: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            bounds: (f32::NEG_INFINITY, f32::INFINITY),
        }
    }
}

impl Adam {
    fn update(&self, step: usize) -> AdamUpdate {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        let (beta1, beta2) = (f64::from(self.beta1), f64::from(self.beta2));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is wanted"
        )]
        AdamUpdate {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            bounds: self.bounds,
            rate: (f64::from(self.step_size) / (1.0 - beta1.powi(t))) as f32,
            scale: (1.0 / (1.0 - beta2.powi(t)).sqrt()) as f32,
        }
    }
}

/// An optimisation that met a value or a gradient that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value or the gradient is not finite at step {step}")]
pub struct NotFinite {
    /// The step, counted from 1.
    pub step: usize,
}

/// Buffers of a computation, kept between calls so that steps allocate nothing.
#[derive(Debug)]
pub struct Workspace {
    level: Level,
    /// One buffer a node: its value on the block.
    values: Vec<Vec<f32>>,
    /// One buffer a node that depends on a differentiable input: its adjoint on the block.
    adjoints: Vec<Vec<f32>>,
    /// First and second moments of Adam, one pair an input.
    moments: Vec<[Vec<f32>; 2]>,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty workspace for the processor this runs on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            level: Level::detect(),
            values: Vec::new(),
            adjoints: Vec::new(),
            moments: Vec::new(),
        }
    }
}

impl Program {
    /// The program's value at every element.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn output(&self, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> Vec<f32> {
        let plan = Plan::new(self);
        let mut out = vec![0.0; shape.len()];
        for block in blocks(self, shape) {
            plan.load(ws, &block, inputs);
            plan.forward(ws, &block, Phase::Static);
            plan.forward(ws, &block, Phase::Dynamic);
            block.scatter(&ws.values[plan.root()], &mut out);
        }
        out
    }

    /// The loss value `1/(N·H·W) Σ output`, and its gradient for each differentiable input, in the
    /// shape of the input. Gradients of the other inputs are left empty; those of differentiable
    /// inputs that the program does not use are 0.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements, or there are fewer
    /// gradients than inputs.
    pub fn gradient(
        &self,
        ws: &mut Workspace,
        shape: Shape,
        inputs: &[&[f32]],
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        let plan = Plan::new(self);
        for (gradient, differentiable) in gradients.iter_mut().zip(&self.differentiable) {
            gradient.clear();
            if *differentiable {
                gradient.resize(shape.len(), 0.0);
            }
        }
        let mut total = 0.0;
        for block in blocks(self, shape) {
            plan.load(ws, &block, inputs);
            plan.forward(ws, &block, Phase::Static);
            plan.forward(ws, &block, Phase::Dynamic);
            total += kernels::sum(ws.level, &ws.values[plan.root()]);
            plan.backward(ws, &block, shape);
            for (node, input) in plan.moving_inputs() {
                block.scatter(&ws.adjoints[node], &mut gradients[input]);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 positions")]
        let positions = shape.positions() as f64;
        total / positions
    }

    /// Minimises the loss value by moving the differentiable inputs, in place.
    ///
    /// # Errors
    /// As soon as a value or a gradient is not finite; the inputs are then of no further use.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn optimise(
        &self,
        ws: &mut Workspace,
        shape: Shape,
        inputs: &mut [Vec<f32>],
        adam: &Adam,
    ) -> Result<(), NotFinite> {
        let plan = Plan::new(self);
        let updates: Vec<AdamUpdate> = (1..=adam.steps).map(|t| adam.update(t)).collect();
        for block in blocks(self, shape) {
            let borrowed: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            plan.load(ws, &block, &borrowed);
            plan.forward(ws, &block, Phase::Static);
            plan.reset_moments(ws, &block);
            for (i, update) in updates.iter().enumerate() {
                plan.forward(ws, &block, Phase::Dynamic);
                plan.backward(ws, &block, shape);
                let value = kernels::sum(ws.level, &ws.values[plan.root()]);
                if !plan.step(ws, *update) || !value.is_finite() {
                    return Err(NotFinite { step: i + 1 });
                }
            }
            for (node, input) in plan.moving_inputs() {
                block.scatter(&ws.values[node], &mut inputs[input]);
            }
        }
        Ok(())
    }
}

/// A part of the fields on which the program can be computed by itself.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Its own extents.
    shape: Shape,
    /// Index of its first element in the fields.
    start: usize,
    /// Elements between the same position in neighbouring channels of the fields.
    stride: usize,
}

impl Block {
    /// The runs of elements that it takes from the fields, in its own order.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let length = self.shape.len() / self.shape.c;
        let (start, stride) = (self.start, self.stride);
        (0..self.shape.c).map(move |c| {
            let at = start + c * stride;
            at..at + length
        })
    }

    fn gather(&self, field: &[f32], into: &mut Vec<f32>) {
        into.clear();
        for run in self.runs() {
            into.extend_from_slice(&field[run]);
        }
    }

    fn scatter(&self, values: &[f32], field: &mut [f32]) {
        let length = self.shape.len() / self.shape.c;
        for (run, values) in self.runs().zip(values.chunks_exact(length)) {
            field[run].copy_from_slice(values);
        }
    }
}

/// The blocks of the fields, as small as the program's reach allows.
fn blocks(program: &Program, shape: Shape) -> Vec<Block> {
    let plane = shape.h * shape.w;
    let flat = |start, length| Block {
        shape: Shape::new(1, 1, 1, length),
        start,
        stride: 0,
    };
    match program.reach() {
        _ if shape.len() == 0 => Vec::new(),
        Reach::Element => (0..shape.len())
            .step_by(TILE)
            .map(|start| flat(start, TILE.min(shape.len() - start)))
            .collect(),
        Reach::Position => {
            // Whole vectors of positions.
            let length = (TILE / shape.c / 16 * 16).max(16);
            let starts = |n| (0..plane).step_by(length).map(move |start| (n, start));
            (0..shape.n)
                .flat_map(starts)
                .map(|(n, start)| Block {
                    shape: Shape::new(1, shape.c, 1, length.min(plane - start)),
                    start: n * shape.c * plane + start,
                    stride: plane,
                })
                .collect()
        }
        // The samples hang together through mean_nhw only, but simply all are one block.
        Reach::Field => vec![Block {
            shape,
            start: 0,
            stride: shape.len() / shape.c,
        }],
    }
}

/// Which nodes a forward pass computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Those that no step of an optimisation changes.
    Static,
    /// Those that depend on a differentiable input.
    Dynamic,
}

/// What is known of a program before it meets data.
struct Plan<'a> {
    program: &'a Program,
    /// Nodes to compute, in runs: a run is computed tile by tile if it is pointwise.
    statics: Vec<Segment>,
    dynamics: Vec<Segment>,
    /// For each node and operand: whether the backward pass reaches the operand here first.
    first: Vec<[bool; 2]>,
}

/// Consecutive operators that are computed together.
struct Segment {
    nodes: Vec<usize>,
    pointwise: bool,
}

impl<'a> Plan<'a> {
    fn new(program: &'a Program) -> Self {
        let mut seen = vec![false; program.nodes.len()];
        let mut first = vec![[false; 2]; program.nodes.len()];
        for (i, node) in program.nodes.iter().enumerate().rev() {
            let Node::Apply(op, operands) = node else {
                continue;
            };
            if !program.dynamic[i] {
                continue;
            }
            for (k, operand) in operands.iter().take(op.arity()).enumerate() {
                first[i][k] = !std::mem::replace(&mut seen[*operand], true);
            }
        }
        Self {
            program,
            statics: segments(program, false),
            dynamics: segments(program, true),
            first,
        }
    }

    const fn root(&self) -> usize {
        self.program.nodes.len() - 1
    }

    /// (node, input) of each differentiable input that the program uses.
    fn moving_inputs(&self) -> impl Iterator<Item = (usize, usize)> {
        let nodes = self.program.nodes.iter().enumerate();
        nodes.filter_map(|(node, what)| match what {
            Node::Input(input) if self.program.differentiable[*input] => Some((node, *input)),
            _ => None,
        })
    }

    /// Sizes the buffers for the block and fills those of inputs and constants.
    fn load(&self, ws: &mut Workspace, block: &Block, inputs: &[&[f32]]) {
        let nodes = self.program.nodes.len();
        let length = block.shape.len();
        ws.values.resize_with(nodes.max(ws.values.len()), Vec::new);
        ws.adjoints
            .resize_with(nodes.max(ws.adjoints.len()), Vec::new);
        for (i, node) in self.program.nodes.iter().enumerate() {
            if self.program.dynamic[i] {
                ws.adjoints[i].resize(length, 0.0);
            }
            let buffer = &mut ws.values[i];
            match node {
                Node::Input(input) => block.gather(inputs[*input], buffer),
                #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
                Node::Constant(c) => {
                    buffer.clear();
                    buffer.resize(length, *c as f32);
                }
                Node::Apply(..) => buffer.resize(length, 0.0),
            }
        }
    }

    fn forward(&self, ws: &mut Workspace, block: &Block, phase: Phase) {
        let segments = match phase {
            Phase::Static => &self.statics,
            Phase::Dynamic => &self.dynamics,
        };
        for segment in segments {
            for tile in segment.tiles(block.shape.len()) {
                for &node in &segment.nodes {
                    self.forward_node(ws, block, node, tile.clone());
                }
            }
        }
    }

    fn forward_node(&self, ws: &mut Workspace, block: &Block, node: usize, tile: Range<usize>) {
        let (op, [a, b]) = self.operator(node);
        // Taken out so that it can be written while its operands are read.
        let mut out = std::mem::take(&mut ws.values[node]);
        match op.structured() {
            None => kernels::forward(
                ws.level,
                op,
                &ws.values[a][tile.clone()],
                &ws.values[b][tile.clone()],
                &mut out[tile],
            ),
            Some(structured) => {
                fields::forward(ws.level, structured, block.shape, &ws.values[a], &mut out);
            }
        }
        ws.values[node] = out;
    }

    /// Adjoints of all nodes that have one, from the root to the inputs.
    fn backward(&self, ws: &mut Workspace, block: &Block, shape: Shape) {
        if !self.program.dynamic[self.root()] {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "single precision is wanted")]
        ws.adjoints[self.root()].fill(1.0 / shape.positions() as f32);
        for segment in self.dynamics.iter().rev() {
            for tile in segment.tiles(block.shape.len()) {
                for &node in segment.nodes.iter().rev() {
                    self.backward_node(ws, block, node, tile.clone());
                }
            }
        }
    }

    fn backward_node(&self, ws: &mut Workspace, block: &Block, node: usize, tile: Range<usize>) {
        let (op, [a, b]) = self.operator(node);
        let same = a == b;
        let mut to_a = std::mem::take(&mut ws.adjoints[a]);
        let mut to_b = if same {
            Vec::new()
        } else {
            std::mem::take(&mut ws.adjoints[b])
        };
        if let Some(structured) = op.structured() {
            if self.first[node][0] {
                to_a.fill(0.0);
            }
            let read = Read {
                x: &ws.values[a],
                value: &ws.values[node],
                adjoint: &ws.adjoints[node],
            };
            fields::backward(ws.level, structured, block.shape, read, &mut to_a);
        } else {
            let first = self.first[node];
            let target = |operand: usize, first, adjoint| {
                self.program.dynamic[operand].then_some(Target { adjoint, first })
            };
            let step = Backward {
                a: &ws.values[a][tile.clone()],
                b: &ws.values[b][tile.clone()],
                value: &ws.values[node][tile.clone()],
                adjoint: &ws.adjoints[node][tile.clone()],
                to_a: dynamic_tile(&mut to_a, &tile).and_then(|t| target(a, first[0], t)),
                to_b: dynamic_tile(&mut to_b, &tile).and_then(|t| target(b, first[1], t)),
                same: same && op.arity() == 2,
            };
            kernels::backward(ws.level, op, step);
        }
        ws.adjoints[a] = to_a;
        if !same {
            ws.adjoints[b] = to_b;
        }
    }

    fn operator(&self, node: usize) -> (Operator, [usize; 2]) {
        match self.program.nodes[node] {
            Node::Apply(op, operands) => (op, operands),
            leaf => unreachable!("{leaf:?} is not in a segment"),
        }
    }

    fn reset_moments(&self, ws: &mut Workspace, block: &Block) {
        let inputs = self.program.differentiable.len();
        ws.moments
            .resize_with(inputs.max(ws.moments.len()), Default::default);
        for (_, input) in self.moving_inputs() {
            for moment in &mut ws.moments[input] {
                moment.clear();
                moment.resize(block.shape.len(), 0.0);
            }
        }
    }

    /// Moves the block's differentiable inputs; `false` if a gradient was not finite.
    fn step(&self, ws: &mut Workspace, update: AdamUpdate) -> bool {
        let mut finite = true;
        for (node, input) in self.moving_inputs() {
            let [m, v] = &mut ws.moments[input];
            let (gradient, x) = (&ws.adjoints[node], &mut ws.values[node]);
            finite &= kernels::adam(ws.level, update, gradient, m, v, x);
        }
        finite
    }
}

/// The tile of an adjoint, if there is an adjoint.
fn dynamic_tile<'b>(adjoint: &'b mut [f32], tile: &Range<usize>) -> Option<&'b mut [f32]> {
    adjoint.get_mut(tile.clone())
}

impl Segment {
    /// The tiles it is computed in: one for the whole block where operators look across elements.
    fn tiles(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let size = if self.pointwise { TILE } else { length };
        (0..length)
            .step_by(size)
            .map(move |start| start..length.min(start + size))
    }
}

/// Cuts a program's static or dynamic operators at those that look across elements.
fn segments(program: &Program, dynamic: bool) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (node, what) in program.nodes.iter().enumerate() {
        let Node::Apply(op, _) = what else { continue };
        if program.dynamic[node] != dynamic {
            continue;
        }
        let pointwise = op.structured().is_none();
        match segments.last_mut() {
            Some(last) if pointwise && last.pointwise => last.nodes.push(node),
            _ => segments.push(Segment {
                nodes: vec![node],
                pointwise,
            }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, ReferenceInput};
    use crate::testing::{any_tree, smooth_inputs};
    use crate::tree::Tree;
    use proptest::prelude::*;

    const SHAPES: [Shape; 4] = [
        Shape::new(1, 1, 1, 1),
        Shape::new(2, 3, 4, 5),
        Shape::new(1, 11, 9, 7),
        Shape::new(3, 2, 1, 700),
    ];
    const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fast computation is in f32"
    )]
    fn single(values: &[f64]) -> Vec<f32> {
        values.iter().map(|v| *v as f32).collect()
    }

    fn double(values: &[f32]) -> Vec<f64> {
        values.iter().map(|v| f64::from(*v)).collect()
    }

    /// Whether two fields agree relative to their largest element, or to the share of one element in
    /// the mean where all are smaller: a gradient may be 0 by cancellation.
    fn fields_agree(got: &[f32], want: &[f64], tolerance: f64) -> bool {
        let scale = want
            .iter()
            .fold(1.0 / want.len() as f64, |m, v| m.max(v.abs()));
        got.iter()
            .zip(want)
            .all(|(g, w)| (f64::from(*g) - w).abs() <= tolerance * scale)
    }

    /// Whether every value on the way is of a size that single precision keeps to some digits:
    /// far from overflow, and no digit lost by taking 1/(x + ε) or a logarithm next to 0.
    fn tame(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
        let mut tame = true;
        tree.visit(&mut |node| {
            let largest = |t: &Tree| {
                let values = reference::output(t, shape, inputs);
                values
                    .iter()
                    .all(|v| v.abs() < 1e4 && (*v == 0.0 || v.abs() > 1e-4))
            };
            tame &= largest(node);
        });
        tame
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn value_and_gradient_equal_the_reference(
            tree in any_tree(4),
            shape in prop::sample::select(&SHAPES[..3]),
            (yhat, y) in smooth_inputs(700),
        ) {
            let (yhat, y) = (single(&yhat[..shape.len()]), single(&y[..shape.len()]));
            let (yhat64, y64) = (double(&yhat), double(&y));
            let given = [
                ReferenceInput { name: "yhat", values: &yhat64 },
                ReferenceInput { name: "y", values: &y64 },
            ];
            prop_assume!(tame(&tree, shape, &given));
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut ws = Workspace::new();
            let mut gradients = [Vec::new(), Vec::new()];
            let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
            let output = program.output(&mut ws, shape, &[&yhat, &y]);
            let want = reference::output(&tree, shape, &given);
            prop_assert!(fields_agree(&output, &want, 1e-3), "{tree}: {output:?}, not {want:?}");
            let want_value = reference::loss_value(&tree, shape, &given);
            let scale = want.iter().fold(0.0_f64, |m, v| m.max(v.abs())) * shape.c as f64;
            prop_assert!((value - want_value).abs() <= 1e-3 * scale, "{value}, not {want_value}");
            let want = reference::gradient(&tree, shape, &given, "yhat");
            prop_assert!(fields_agree(&gradients[0], &want, 1e-3), "{tree}: {:?}, not {want:?}", gradients[0]);
            prop_assert!(gradients[1].is_empty());
        }
    }

    /// Formulas of every reach, with shared subtrees and one node as both operands.
    const FORMULAS: &[&str] = &[
        "-(y * log(yhat))",
        "exp(square(y - yhat))",
        "yhat * yhat + y",
        "sqrt(abs(yhat - y)) / (yhat + y)",
        "tanh(yhat * mean_c(yhat - y)) + max_pool(square(yhat - y))",
        "-(y * log(softmax_c(yhat)))",
        "1 - mean_nhw(y * yhat) / (mean_nhw(y) + mean_nhw(yhat))",
        "min_pool(yhat) * max_pool(y) + mean_c(max_pool(yhat) * yhat)",
        "square(mean_c(yhat)) * mean_c(yhat)",
        "yhat",
        "y",
        "1",
    ];

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn example(shape: Shape) -> (Vec<f32>, Vec<f32>) {
        let wave = |i: usize, f: f32| 0.5 + 0.4 * (i as f32 * f + 0.3).sin();
        let yhat = (0..shape.len()).map(|i| wave(i, 0.71)).collect();
        let y = (0..shape.len()).map(|i| wave(i, 1.37).round()).collect();
        (yhat, y)
    }

    #[test]
    fn formulas_of_every_reach_equal_the_reference() {
        for text in FORMULAS {
            let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
            let program = Program::new(&tree, INPUTS).unwrap();
            // One workspace for all shapes: what an earlier call left must not show.
            let mut ws = Workspace::new();
            for shape in SHAPES {
                let (yhat, y) = example(shape);
                let (yhat64, y64) = (double(&yhat), double(&y));
                let given = [
                    ReferenceInput {
                        name: "yhat",
                        values: &yhat64,
                    },
                    ReferenceInput {
                        name: "y",
                        values: &y64,
                    },
                ];
                let mut gradients = [Vec::new(), Vec::new()];
                let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
                let want = reference::loss_value(&tree, shape, &given);
                assert!(
                    (value - want).abs() <= 1e-5 * want.abs().max(1.0),
                    "{text}: {value}, not {want}"
                );
                let want = reference::gradient(&tree, shape, &given, "yhat");
                assert!(fields_agree(&gradients[0], &want, 1e-5), "{text} {shape}");
            }
        }
    }

    #[test]
    fn bounds_hold_what_is_optimised() {
        let tree = Tree::parse("-(y * yhat) + (1 - y) * yhat", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let shape = SHAPES[1];
        let (yhat, y) = example(shape);
        let adam = Adam {
            bounds: (0.0, 1.0),
            ..Adam::default()
        };
        let mut moved = [yhat, y.clone()];
        program
            .optimise(&mut Workspace::new(), shape, &mut moved, &adam)
            .unwrap();
        assert_eq!(moved[0], y);
    }

    /// Adam in f64 on the reference gradient.
    fn slow_adam(tree: &Tree, shape: Shape, yhat: &[f32], y: &[f32], adam: &Adam) -> Vec<f64> {
        let (mut x, y) = (double(yhat), double(y));
        let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let [b1, b2] = [f64::from(adam.beta1), f64::from(adam.beta2)];
        for t in 1..=adam.steps {
            let given = [
                ReferenceInput {
                    name: "yhat",
                    values: &x,
                },
                ReferenceInput {
                    name: "y",
                    values: &y,
                },
            ];
            let g = reference::gradient(tree, shape, &given, "yhat");
            let t = i32::try_from(t).unwrap();
            for i in 0..x.len() {
                m[i] = b1 * m[i] + (1.0 - b1) * g[i];
                v[i] = b2 * v[i] + (1.0 - b2) * g[i] * g[i];
                let (m, v) = (m[i] / (1.0 - b1.powi(t)), v[i] / (1.0 - b2.powi(t)));
                x[i] -= f64::from(adam.step_size) * m / (v.sqrt() + f64::from(adam.epsilon));
            }
        }
        x
    }

    #[test]
    fn optimising_equals_adam_on_the_reference() {
        let adam = Adam {
            steps: 12,
            ..Adam::default()
        };
        for text in &FORMULAS[..9] {
            let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut ws = Workspace::new();
            for shape in &SHAPES[..3] {
                let (yhat, y) = example(*shape);
                let want = slow_adam(&tree, *shape, &yhat, &y, &adam);
                let mut moved = [yhat, y.clone()];
                program
                    .optimise(&mut ws, *shape, &mut moved, &adam)
                    .unwrap();
                assert!(
                    fields_agree(&moved[0], &want, 2e-3),
                    "{text} {shape}: {:?} {want:?}",
                    moved[0]
                );
                assert_eq!(moved[1], y);
            }
        }
    }

    #[test]
    fn optimising_reports_what_is_not_finite() {
        let shape = SHAPES[1];
        let tree = Tree::parse("exp(exp(exp(exp(yhat + 1 + 1))))", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let (yhat, y) = example(shape);
        let error = program
            .optimise(
                &mut Workspace::new(),
                shape,
                &mut [yhat, y],
                &Adam::default(),
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value or the gradient is not finite at step 1"
        );
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(!fields_agree(&[1.0, 2.0], &[1.0, 2.1], 1e-2));
        assert!(!fields_agree(&[f32::NAN], &[1.0], 1e-2));
    }
}
