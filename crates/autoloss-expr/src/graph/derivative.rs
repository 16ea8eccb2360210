//! Derivatives of pointwise operators, read off the expressions of the operator table.

use crate::arithmetic::Arithmetic;
use crate::operator::{OnNumbers, Operator, Pointwise};

/// A number that a derivative may be computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Operand(usize),
    Value,
}

/// Form of a derivative in the table's gradient column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Derivative {
    /// A number.
    Constant(f64),
    /// An operand, or the value, itself.
    Is(Source),
    /// A function of these: first operand, second operand, value.
    Computed([bool; 3]),
}

/// Finds the form of a derivative by following its expression.
pub(super) fn derivative_of(op: Operator, which: usize) -> Derivative {
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

/// A number that knows which numbers it was computed from.
#[derive(Clone)]
struct Trace {
    /// A bit for each.
    uses: u8,
    /// The number itself, if it was not changed.
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

/// Follows the expression of a derivative.
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
