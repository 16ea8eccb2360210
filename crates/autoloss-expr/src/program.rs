//! Programs: losses that are ready to be computed.

use std::sync::{Arc, Mutex, PoisonError};

use crate::arithmetic::Field;
use crate::compute::{self, Adam, Compiled, NotFinite, Workspace};
use crate::flat::{Flat, Node, ProgramError};
use crate::shape::Shape;
use crate::tree::Tree;

/// A tree that is ready to be computed: each distinct subtree once, constants folded.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) flat: Flat,
    compiled: Latest,
}

impl Program {
    /// Flattens a tree over the given inputs: (name, whether gradients flow through the input).
    ///
    /// # Errors
    /// If the tree names another input, or is a native loss.
    pub fn new(tree: &Tree, inputs: &[(&str, bool)]) -> Result<Self, ProgramError> {
        Ok(Self {
            flat: Flat::new(tree, inputs)?,
            compiled: Latest::default(),
        })
    }

    /// A text that is equal for trees that compute the same after exchanging operands of
    /// commutative operators and folding constants.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.flat.canonical
    }

    /// Whether the result depends on the input with that number.
    #[must_use]
    pub fn uses(&self, input: usize) -> bool {
        self.flat
            .nodes
            .iter()
            .any(|node| matches!(node, Node::Input(i) if *i == input))
    }

    /// Computes the program on whole fields of a framework; one field an input.
    ///
    /// # Panics
    /// If there are fewer fields than inputs, or none at all.
    pub fn apply<F: Field>(&self, inputs: &[F]) -> F {
        let mut values: Vec<F> = Vec::with_capacity(self.flat.nodes.len());
        for node in &self.flat.nodes {
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

    /// The program's value at every element.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn output(&self, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> Vec<f32> {
        compute::output(&self.flat, ws, shape, inputs)
    }

    /// The loss value `1/(N·H·W) Σ output`.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn value(&self, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> f64 {
        compute::value(&self.flat, ws, shape, inputs)
    }

    /// The loss value `1/(N·H·W) Σ output`, and its gradient for each differentiable input, in the
    /// shape of the input. Gradients of the other inputs are left empty; those of differentiable
    /// inputs that the program does not use are 0.
    ///
    /// The computation is compiled at the first call for a shape. Later calls for the same shape use it
    /// again, until a call for another shape replaces it.
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
        let compiled = self.compiled.at(&self.flat, shape);
        compiled.gradient(ws, inputs, gradients)
    }

    /// The computation of value and gradient at fields of one shape.
    #[must_use]
    pub fn descent(&self, shape: Shape) -> Descent {
        Descent(self.compiled.at(&self.flat, shape))
    }

    /// Minimises the loss value by moving the differentiable inputs, in place.
    ///
    /// # Errors
    /// As soon as a gradient is not finite, or if the value is not finite in the end; the inputs are
    /// then of no further use.
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
        compute::optimise(&self.flat, ws, shape, inputs, adam)
    }
}

/// Value and gradient of a program at fields of one shape, see [`Program::descent`].
pub struct Descent(Arc<Compiled>);

impl Descent {
    /// Computes value and gradients as [`Program::gradient`] does.
    ///
    /// # Panics
    /// As [`Program::gradient`].
    pub fn gradient(
        &self,
        ws: &mut Workspace,
        inputs: &[&[f32]],
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        self.0.gradient(ws, inputs, gradients)
    }
}

/// The compiled gradient for the shape that was asked for last: a training computes a loss at one
/// shape again and again.
#[derive(Debug, Default)]
struct Latest(Mutex<Option<Arc<Compiled>>>);

impl Latest {
    fn at(&self, flat: &Flat, shape: Shape) -> Arc<Compiled> {
        // A panic while compiling leaves the value before, which is whole.
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = &*latest
            && compiled.shape() == shape
        {
            return Arc::clone(compiled);
        }
        let compiled = Arc::new(Compiled::new(flat, shape));
        *latest = Some(Arc::clone(&compiled));
        compiled
    }
}

impl Clone for Latest {
    fn clone(&self) -> Self {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Mutex::new(latest.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 2] = [Shape::new(2, 3, 4, 5), Shape::new(1, 3, 2, 2)];

    fn program() -> Program {
        let tree = Tree::parse("mean_c(yhat) * exp(yhat - y)", &["yhat", "y"]).unwrap();
        Program::new(&tree, &[("yhat", true), ("y", false)]).unwrap()
    }

    #[test]
    fn gradients_are_compiled_once_for_a_shape() {
        let program = program();
        let at = |program: &Program, shape| program.compiled.at(&program.flat, shape);
        let first = at(&program, SHAPES[0]);
        assert!(Arc::ptr_eq(&first, &at(&program, SHAPES[0])));
        assert!(Arc::ptr_eq(&first, &at(&program.clone(), SHAPES[0])));
        assert!(Arc::ptr_eq(&first, &program.descent(SHAPES[0]).0));
        assert_eq!(at(&program, SHAPES[1]).shape(), SHAPES[1]);
        assert!(!Arc::ptr_eq(&first, &at(&program, SHAPES[0])));
    }

    #[test]
    fn a_gradient_used_again_is_the_same_to_the_last_bit() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        fn at(program: &Program, shape: Shape) -> (u64, Vec<u32>) {
            let field = |by: usize| (0..shape.len()).map(move |i| 1.0 / (i + by) as f32);
            let (yhat, y): (Vec<f32>, Vec<f32>) = (field(1).collect(), field(3).collect());
            let mut gradients = [Vec::new(), Vec::new()];
            let mut ws = Workspace::new();
            let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
            let bits = gradients[0].iter().map(|g| g.to_bits()).collect();
            (value.to_bits(), bits)
        }
        let kept = program();
        for shape in [SHAPES[0], SHAPES[0], SHAPES[1], SHAPES[1], SHAPES[0]] {
            assert_eq!(at(&kept, shape), at(&program(), shape), "{shape}");
        }
    }
}
