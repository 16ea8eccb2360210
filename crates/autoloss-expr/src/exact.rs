//! The plain computation in f64: whole fields, every operator by itself, in the order of the program.
//!
//! The fast computation is compared with this one where the reference, which walks the tree element
//! by element, takes too long: for the optimisation of stored predictions in hundreds of steps.

use crate::compute::{Adam, NotFinite};
use crate::flat::Node;
use crate::operator::{Pointwise, Structured};
use crate::program::Program;
use crate::shape::Shape;

/// A program on fields of one shape, with the fields it computes.
pub struct Exact<'a> {
    program: &'a Program,
    shape: Shape,
    values: Vec<Vec<f64>>,
    adjoints: Vec<Vec<f64>>,
    /// For each pooling, the places that its values come from.
    winners: Vec<Vec<usize>>,
}

impl<'a> Exact<'a> {
    /// A computation on fields of that shape.
    #[must_use]
    pub fn new(program: &'a Program, shape: Shape) -> Self {
        let fields = || vec![vec![0.0; shape.len()]; program.flat.nodes.len()];
        Self {
            program,
            shape,
            values: fields(),
            adjoints: fields(),
            winners: vec![Vec::new(); program.flat.nodes.len()],
        }
    }

    /// Computes the loss value `1/(N·H·W) Σ output`, and the gradients for [`Exact::gradient`].
    ///
    /// # Panics
    /// If an input that the program uses does not have the shape's number of elements.
    pub fn descend<V: AsRef<[f64]>>(&mut self, inputs: &[V]) -> f64 {
        for (i, node) in self.program.flat.nodes.iter().enumerate() {
            let (before, rest) = self.values.split_at_mut(i);
            let out = &mut rest[0];
            match node {
                Node::Input(input) => out.copy_from_slice(inputs[*input].as_ref()),
                Node::Constant(c) => out.fill(*c),
                Node::Apply(op, [a, b]) => {
                    let (a, b) = (&before[*a], &before[*b]);
                    match op.structured() {
                        None => {
                            op.pointwise::<f64, _>(Forward { a, b, out });
                        }
                        Some(structured) => {
                            structured_value(structured, self.shape, a, out, &mut self.winners[i]);
                        }
                    }
                }
            }
        }
        self.pull_back();
        let positions = self.shape.positions() as f64;
        self.values[self.values.len() - 1].iter().sum::<f64>() / positions
    }

    /// Computes the adjoints of all nodes.
    fn pull_back(&mut self) {
        self.adjoints.iter_mut().for_each(|field| field.fill(0.0));
        let root = self.program.flat.nodes.len() - 1;
        self.adjoints[root].fill(1.0 / self.shape.positions() as f64);
        for (i, node) in self.program.flat.nodes.iter().enumerate().rev() {
            let Node::Apply(op, operands) = *node else {
                continue;
            };
            if !self.program.flat.dynamic[i] {
                continue;
            }
            let (to, from) = self.adjoints.split_at_mut(i);
            let value = &self.values[i];
            for (which, operand) in operands.into_iter().enumerate().take(op.arity()) {
                if !self.program.flat.dynamic[operand] {
                    continue;
                }
                let out = &mut to[operand];
                match op.structured() {
                    None => {
                        op.pointwise::<f64, _>(Backward {
                            which,
                            a: &self.values[operands[0]],
                            b: &self.values[operands[1]],
                            value,
                            adjoint: &from[0],
                            out,
                        });
                    }
                    Some(structured) => {
                        let read = (&value[..], &self.winners[i][..]);
                        add_adjoint(structured, self.shape, read, &from[0], out);
                    }
                }
            }
        }
    }

    /// The gradient for an input that the program uses, after [`Exact::descend`].
    #[must_use]
    pub fn gradient(&self, input: usize) -> Option<&[f64]> {
        let nodes = &self.program.flat.nodes;
        let node = nodes.iter().position(|n| *n == Node::Input(input))?;
        Some(&self.adjoints[node])
    }

    /// Minimises the loss value by moving the differentiable inputs, in place. Every value and every
    /// gradient is checked.
    ///
    /// # Errors
    /// As soon as a value or a gradient is not finite.
    ///
    /// # Panics
    /// As [`Exact::descend`].
    pub fn optimise(&mut self, inputs: &mut [Vec<f64>], adam: &Adam) -> Result<(), NotFinite> {
        let moved: Vec<usize> = (0..inputs.len())
            .filter(|i| self.program.flat.differentiable[*i] && self.program.uses(*i))
            .collect();
        let mut moments = vec![[(); 2].map(|()| vec![0.0; self.shape.len()]); inputs.len()];
        for step in 1..=adam.steps {
            let mut finite = self.descend(inputs).is_finite();
            for &input in &moved {
                let gradient = self.gradient(input).unwrap_or_default();
                finite &= gradient.iter().all(|g| g.is_finite());
                adam.step(step, &mut inputs[input], &mut moments[input], gradient);
            }
            if !finite {
                return Err(NotFinite { step });
            }
        }
        Ok(())
    }
}

/// Computes a pointwise operator's value.
struct Forward<'a> {
    a: &'a [f64],
    b: &'a [f64],
    out: &'a mut [f64],
}

impl Pointwise<f64> for Forward<'_> {
    type Output = ();

    fn unary(self, value: impl Fn(f64) -> f64, _: impl Fn(f64, f64) -> f64) {
        for (out, a) in self.out.iter_mut().zip(self.a) {
            *out = value(*a);
        }
    }

    fn binary(self, value: impl Fn(f64, f64) -> f64, _: impl Fn(f64, f64, f64) -> (f64, f64)) {
        for ((out, a), b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = value(*a, *b);
        }
    }
}

/// Adds `adjoint · ∂op/∂operand`.
struct Backward<'a> {
    which: usize,
    a: &'a [f64],
    b: &'a [f64],
    value: &'a [f64],
    adjoint: &'a [f64],
    out: &'a mut [f64],
}

impl Pointwise<f64> for Backward<'_> {
    type Output = ();

    fn unary(self, _: impl Fn(f64) -> f64, gradient: impl Fn(f64, f64) -> f64) {
        let read = self.a.iter().zip(self.value).zip(self.adjoint);
        for (out, ((a, value), adjoint)) in self.out.iter_mut().zip(read) {
            *out += adjoint * gradient(*a, *value);
        }
    }

    fn binary(self, _: impl Fn(f64, f64) -> f64, gradient: impl Fn(f64, f64, f64) -> (f64, f64)) {
        let operands = self.a.iter().zip(self.b);
        let read = operands.zip(self.value).zip(self.adjoint);
        for (out, (((a, b), value), adjoint)) in self.out.iter_mut().zip(read) {
            let (da, db) = gradient(*a, *b, *value);
            *out += adjoint * if self.which == 0 { da } else { db };
        }
    }
}

/// Calls `f` with the index of each element, its channel and its position.
fn each(shape: Shape, mut f: impl FnMut(usize, usize, usize)) {
    let plane = shape.h * shape.w;
    for n in 0..shape.n {
        for c in 0..shape.c {
            let start = (n * shape.c + c) * plane;
            (0..plane).for_each(|at| f(start + at, c, n * plane + at));
        }
    }
}

/// The mean over n, h and w of each channel.
fn channel_means(shape: Shape, x: &[f64]) -> Vec<f64> {
    let mut means = vec![0.0; shape.c];
    each(shape, |i, c, _| means[c] += x[i]);
    means
        .iter_mut()
        .for_each(|m| *m /= shape.positions() as f64);
    means
}

/// A sum over the channels at each position.
fn position_sums(shape: Shape, term: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; shape.positions()];
    each(shape, |i, _, at| sums[at] += term(i));
    sums
}

/// For each pixel, the first neighbour in row order with the greatest (smallest) value.
fn find_winners(min: bool, shape: Shape, x: &[f64], winners: &mut Vec<usize>) {
    let (w, h) = (shape.w, shape.h);
    let better = |a: f64, b: f64| (if min { a < b } else { a > b }) || a.is_nan();
    winners.clear();
    for start in (0..x.len()).step_by(h * w) {
        for row in 0..h {
            for column in 0..w {
                let columns = column.saturating_sub(1)..(column + 2).min(w);
                let mut best = start + row.saturating_sub(1) * w + columns.start;
                for r in row.saturating_sub(1)..(row + 2).min(h) {
                    for k in start + r * w + columns.start..start + r * w + columns.end {
                        if better(x[k], x[best]) {
                            best = k;
                        }
                    }
                }
                winners.push(best);
            }
        }
    }
}

/// Computes the value of a structured operator.
fn structured_value(
    op: Structured,
    shape: Shape,
    x: &[f64],
    out: &mut [f64],
    winners: &mut Vec<usize>,
) {
    match op {
        Structured::MeanNhw => {
            let means = channel_means(shape, x);
            each(shape, |i, c, _| out[i] = means[c]);
        }
        Structured::MeanC => {
            let sums = position_sums(shape, |i| x[i]);
            each(shape, |i, _, at| out[i] = sums[at] / shape.c as f64);
        }
        Structured::MaxPool | Structured::MinPool => {
            find_winners(op == Structured::MinPool, shape, x, winners);
            for (out, winner) in out.iter_mut().zip(winners) {
                *out = x[*winner];
            }
        }
        Structured::SoftmaxC => {
            let mut largest = vec![f64::NEG_INFINITY; shape.positions()];
            each(shape, |i, _, at| {
                let so_far: &mut f64 = &mut largest[at];
                *so_far = so_far.max(x[i]);
            });
            each(shape, |i, _, at| out[i] = (x[i] - largest[at]).exp());
            let sums = position_sums(shape, |i| out[i]);
            each(shape, |i, _, at| out[i] /= sums[at]);
        }
    }
}

/// Adds a structured operator's contribution to the adjoint of the operand.
fn add_adjoint(
    op: Structured,
    shape: Shape,
    (value, winners): (&[f64], &[usize]),
    adjoint: &[f64],
    out: &mut [f64],
) {
    match op {
        Structured::MeanNhw => {
            let means = channel_means(shape, adjoint);
            each(shape, |i, c, _| out[i] += means[c]);
        }
        Structured::MeanC => {
            let sums = position_sums(shape, |i| adjoint[i]);
            each(shape, |i, _, at| out[i] += sums[at] / shape.c as f64);
        }
        Structured::MaxPool | Structured::MinPool => {
            for (adjoint, winner) in adjoint.iter().zip(winners) {
                out[*winner] += adjoint;
            }
        }
        Structured::SoftmaxC => {
            let dots = position_sums(shape, |i| value[i] * adjoint[i]);
            each(shape, |i, _, at| {
                out[i] += value[i] * (adjoint[i] - dots[at]);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, ReferenceInput};
    use crate::testing::{any_tree, smooth_inputs, tame};
    use proptest::prelude::*;

    const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];
    const SHAPES: [Shape; 2] = [Shape::new(1, 1, 1, 1), Shape::new(2, 3, 4, 5)];

    fn agree(got: &[f64], want: &[f64]) -> bool {
        got.iter().zip(want).all(|(g, w)| {
            let alike = (g - w).abs() <= 1e-9 * w.abs().max(1e-3);
            alike || g.is_finite() == w.is_finite() && !w.is_finite()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn value_and_gradient_equal_the_reference(
            tree in any_tree(4),
            shape in prop::sample::select(&SHAPES[..]),
            (yhat, y) in smooth_inputs(120),
        ) {
            let inputs = [yhat[..shape.len()].to_vec(), y[..shape.len()].to_vec()];
            let given = [
                ReferenceInput { name: "yhat", values: &inputs[0] },
                ReferenceInput { name: "y", values: &inputs[1] },
            ];
            prop_assume!(tame(&tree, shape, &given));
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut exact = Exact::new(&program, shape);
            let value = exact.descend(&inputs);
            let want = reference::loss_value(&tree, shape, &given);
            prop_assert!(agree(&[value], &[want]), "{tree}: {value}, not {want}");
            if program.uses(0) {
                let want = reference::gradient(&tree, shape, &given, "yhat");
                // Where terms cancel, errors are relative to the largest element.
                let scale = want.iter().fold(1.0_f64, |m, w| if w.is_finite() { m.max(w.abs()) } else { m });
                let relative = |x: &f64| x / scale;
                let got: Vec<f64> = exact.gradient(0).unwrap().iter().map(relative).collect();
                let want: Vec<f64> = want.iter().map(relative).collect();
                prop_assert!(agree(&got, &want), "{tree}: {got:?}, not {want:?}");
            }
        }
    }

    #[test]
    fn predictions_move_as_in_the_fast_computation() {
        use crate::{Tree, Workspace};
        let shape = Shape::new(2, 3, 4, 5);
        let wave = |f: f64| (0..shape.len()).map(move |i| 0.5 + 0.4 * (i as f64 * f).sin());
        let adam = Adam {
            steps: 60,
            bounds: (0.0, 1.0),
            ..Adam::default()
        };
        for text in [
            "-(y * log(yhat))",
            "max_pool(square(yhat - y)) + mean_c(yhat) * y",
        ] {
            let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut exact = [wave(0.71).collect(), wave(1.37).map(f64::round).collect()];
            let mut fast = exact
                .clone()
                .map(|field: Vec<f64>| -> Vec<f32> { field.iter().map(|x| *x as f32).collect() });
            Exact::new(&program, shape)
                .optimise(&mut exact, &adam)
                .unwrap();
            program
                .optimise(&mut Workspace::new(), shape, &mut fast, &adam)
                .unwrap();
            for (exact, fast) in exact[0].iter().zip(&fast[0]) {
                assert!((exact - f64::from(*fast)).abs() < 1e-3, "{text}");
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_end_an_optimisation() {
        let tree = crate::Tree::parse("1 / (yhat - yhat) * y", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, &[("yhat", true), ("y", false)]).unwrap();
        let shape = Shape::new(1, 1, 1, 2);
        let mut inputs = [vec![0.5, f64::INFINITY], vec![1.0, 1.0]];
        let result = Exact::new(&program, shape).optimise(&mut inputs, &Adam::default());
        assert_eq!(result, Err(NotFinite { step: 1 }));
    }
}
