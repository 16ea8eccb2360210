//! Branches of a loss, made ready for computation.

use std::borrow::Cow;

use autoloss_expr::{Branch, NativeFields, NativeLoss, Operator, Program, Shape, Tree};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::Place;

/// A branch, ready to be computed.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) tree: Tree,
    /// The inputs that the tree uses: `yhat` and `y` first.
    pub(super) inputs: Vec<String>,
    /// Value, and gradient for `yhat`; none of a native loss.
    pub(super) program: Option<Program>,
    /// True if the tree looks at neighbours, so that the positions' arrangement counts.
    pub(super) pools: bool,
    /// True if the loss of a batch is the mean of its samples' losses.
    pub(super) by_sample: bool,
}

impl Part {
    pub(super) fn new(branch: &Branch) -> PyResult<Self> {
        let Branch { name, tree } = branch;
        let mut inputs: Vec<String> = tree.inputs().into_iter().map(str::to_owned).collect();
        inputs.sort_by_key(|input| match input.as_str() {
            "yhat" => 0,
            "y" => 1,
            _ => 2,
        });
        if inputs.is_empty() {
            return Err(PyValueError::new_err(format!(
                "Loss: `{tree}` uses no input, expected a formula over `yhat` and `y`"
            )));
        }
        let pooling = |op| matches!(op, Operator::MaxPool | Operator::MinPool);
        let mut part = Self {
            name: name.clone(),
            pools: tree.native().is_some() || has(tree, pooling),
            by_sample: tree.native().is_none() && !couples_batch(tree),
            tree: tree.clone(),
            inputs,
            program: None,
        };
        if part.tree.native().is_none() {
            part.program = Some(part.differentiated("yhat")?);
        }
        Ok(part)
    }

    /// The inputs that the tree uses besides `yhat` and `y`.
    pub(super) fn further(&self) -> impl Iterator<Item = &str> {
        let names = self.inputs.iter().map(String::as_str);
        names.filter(|name| !matches!(*name, "yhat" | "y"))
    }

    fn differentiated(&self, of: &str) -> PyResult<Program> {
        let inputs: Vec<(&str, bool)> = self
            .inputs
            .iter()
            .map(|name| (name.as_str(), name == of))
            .collect();
        Program::new(&self.tree, &inputs).map_err(|e| PyValueError::new_err(format!("Loss: {e}")))
    }

    /// The program with the gradient for one input.
    ///
    /// # Errors
    /// A native loss, which has none.
    pub(super) fn program(&self, of: &str) -> PyResult<Cow<'_, Program>> {
        match &self.program {
            None => Err(PyTypeError::new_err(format!(
                "Loss: `{}` is a native loss, no tree of operators",
                self.tree
            ))),
            Some(program) if of == "yhat" => Ok(Cow::Borrowed(program)),
            Some(_) => self.differentiated(of).map(Cow::Owned),
        }
    }

    /// Number of an input to differentiate by.
    pub(super) fn place(&self, call: &str, of: &str) -> PyResult<usize> {
        let known = match self.tree.native() {
            Some(_) => &self.inputs[..1],
            None => &self.inputs[..],
        };
        known.iter().position(|name| name == of).ok_or_else(|| {
            let place = Place { call, name: "of" };
            let expected = format!("one of the inputs {}", known.join(", "));
            place.wrong_value(&format!("is '{of}'"), &expected)
        })
    }
}

/// True if the loss of a batch is more than the mean of its parts' losses. Trees are judged by their operators,
/// native losses by trying them.
pub(super) fn couples_batch(tree: &Tree) -> bool {
    match tree.native() {
        Some(native) => native_couples(native),
        None => has(tree, |op| op == Operator::MeanNhw),
    }
}

fn native_couples(native: &NativeLoss) -> bool {
    let one = Shape::new(1, 3, 8, 8);
    let both = Shape { n: 2, ..one };
    let pixels = one.h * one.w;
    // Two different samples: other shares of the classes and other certainties.
    let class = |n: usize, pixel: usize| (pixel / (5 + 3 * n) + n) % one.c;
    let (mut yhat, mut y) = (Vec::new(), Vec::new());
    for n in 0..both.n {
        for c in 0..one.c {
            for pixel in 0..pixels {
                let right = class(n, pixel) == c;
                let certainty = 0.4 + 0.5 * ((pixel * (7 + n)) % 11) as f64 / 11.0;
                yhat.push(if right {
                    certainty
                } else {
                    (1.0 - certainty) / 2.0
                });
                y.push(f64::from(u8::from(right)));
            }
        }
    }
    let value = |shape, from: usize, to: usize| {
        let (yhat, y) = (&yhat[from..to], &y[from..to]);
        native.at(&NativeFields { shape, yhat, y }).loss_value
    };
    let len = one.len();
    let whole = value(both, 0, 2 * len);
    let parts = (value(one, 0, len) + value(one, len, 2 * len)) / 2.0;
    (whole - parts).abs() > 1e-9 * whole.abs().max(1e-3)
}

/// True if an operator occurs in a tree.
fn has(tree: &Tree, wanted: impl Fn(Operator) -> bool) -> bool {
    let mut found = false;
    tree.visit(&mut |node| {
        if let Tree::Apply(op, _) = node {
            found |= wanted(*op);
        }
    });
    found
}
