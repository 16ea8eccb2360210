//! Pointwise operators, forward and backward.

use super::lane::{Lane, mul_add};
use super::level::{Level, for_each_level};
use super::rows::{Rows, View, ViewMut};
use crate::operator::{Operator, Pointwise};

for_each_level! {
    /// `out = op(a, b)`, element by element; a unary operator reads `a` alone.
    fn value[value_avx2, value_avx512, value_body](op: Operator, rows: Rows, a: View<'_>, b: View<'_>, out: ViewMut<'_>)
}

for_each_level! {
    /// `out = adjoint · ∂op/∂operand`.
    fn partial[partial_avx2, partial_avx512, partial_body](op: Operator, rows: Rows, read: Partial<'_>, out: ViewMut<'_>)
}

for_each_level! {
    /// `out = a + factor · b`.
    fn combine[combine_avx2, combine_avx512, combine_body](factor: f32, rows: Rows, a: View<'_>, b: View<'_>, out: ViewMut<'_>)
}

/// Fields that the derivative of a pointwise operator is computed from.
#[derive(Clone, Copy)]
pub(crate) struct Partial<'a> {
    /// Number of the operand.
    pub(crate) which: usize,
    /// Values of the operands.
    pub(crate) operands: [View<'a>; 2],
    /// Value of the operator.
    pub(crate) value: View<'a>,
    /// Adjoint of the operator.
    pub(crate) adjoint: View<'a>,
}

/// Computes an operator's value.
struct Forward<'a> {
    rows: Rows,
    a: View<'a>,
    b: View<'a>,
    out: ViewMut<'a>,
}

impl<const FMA: bool> Pointwise<Lane<FMA>> for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn unary(
        mut self,
        value: impl Fn(Lane<FMA>) -> Lane<FMA>,
        _: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
    ) {
        let strides = [self.a.stride, self.out.stride, self.out.stride];
        let rows = self.rows.joined(strides);
        for r in 0..rows.count {
            let out = self.out.row(r, rows);
            for (out, a) in out.iter_mut().zip(self.a.row(r, rows)) {
                *out = value(Lane(*a)).0;
            }
        }
    }

    #[inline(always)]
    fn binary(
        mut self,
        value: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
        _: impl Fn(Lane<FMA>, Lane<FMA>, Lane<FMA>) -> (Lane<FMA>, Lane<FMA>),
    ) {
        let strides = [self.a.stride, self.b.stride, self.out.stride];
        let rows = self.rows.joined(strides);
        for r in 0..rows.count {
            let (a, b) = (self.a.row(r, rows), self.b.row(r, rows));
            for ((out, a), b) in self.out.row(r, rows).iter_mut().zip(a).zip(b) {
                *out = value(Lane(*a), Lane(*b)).0;
            }
        }
    }
}

#[inline(always)]
fn value_body<const FMA: bool>(
    op: Operator,
    rows: Rows,
    a: View<'_>,
    b: View<'_>,
    out: ViewMut<'_>,
) {
    op.pointwise::<Lane<FMA>, _>(Forward { rows, a, b, out });
}

/// Computes an adjoint times an operator's derivative.
struct Backward<'a> {
    rows: Rows,
    read: Partial<'a>,
    out: ViewMut<'a>,
}

impl Backward<'_> {
    /// `out = f(first operand, second operand, value, adjoint)`.
    #[inline(always)]
    fn each(mut self, f: impl Fn(f32, f32, f32, f32) -> f32) {
        let Partial {
            operands: [a, b],
            value,
            adjoint,
            ..
        } = self.read;
        let rows = self.rows;
        let joined = rows.joined([a.stride, b.stride, value.stride]);
        let rows = match [adjoint.stride, self.out.stride] == [rows.length; 2] {
            true => joined,
            false => rows,
        };
        for r in 0..rows.count {
            // All slices have one length, which lets the compiler drop the bounds checks.
            let (a, b) = (a.row(r, rows), b.row(r, rows));
            let (value, adjoint) = (value.row(r, rows), adjoint.row(r, rows));
            let out = self.out.row(r, rows);
            for (i, out) in out.iter_mut().enumerate() {
                *out = f(a[i], b[i], value[i], adjoint[i]);
            }
        }
    }
}

impl<const FMA: bool> Pointwise<Lane<FMA>> for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn unary(
        self,
        _: impl Fn(Lane<FMA>) -> Lane<FMA>,
        gradient: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
    ) {
        self.each(|x, _, y, adjoint| adjoint * gradient(Lane(x), Lane(y)).0);
    }

    #[inline(always)]
    fn binary(
        self,
        _: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
        gradient: impl Fn(Lane<FMA>, Lane<FMA>, Lane<FMA>) -> (Lane<FMA>, Lane<FMA>),
    ) {
        match self.read.which {
            0 => self.each(|a, b, y, adjoint| adjoint * gradient(Lane(a), Lane(b), Lane(y)).0.0),
            _ => self.each(|a, b, y, adjoint| adjoint * gradient(Lane(a), Lane(b), Lane(y)).1.0),
        }
    }
}

#[inline(always)]
fn partial_body<const FMA: bool>(op: Operator, rows: Rows, read: Partial<'_>, out: ViewMut<'_>) {
    op.pointwise::<Lane<FMA>, _>(Backward { rows, read, out });
}

#[inline(always)]
fn combine_body<const FMA: bool>(
    factor: f32,
    rows: Rows,
    a: View<'_>,
    b: View<'_>,
    mut out: ViewMut<'_>,
) {
    let rows = rows.joined([a.stride, b.stride, out.stride]);
    for r in 0..rows.count {
        let operands = a.row(r, rows).iter().zip(b.row(r, rows));
        for (out, (a, b)) in out.row(r, rows).iter_mut().zip(operands) {
            *out = mul_add::<FMA>(*b, factor, *a);
        }
    }
}
