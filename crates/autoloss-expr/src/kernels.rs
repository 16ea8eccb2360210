//! Fast loops over slices: pointwise operators forward and backward, and the optimiser's update.
//!
//! Every loop exists once, over the operator table's expressions on [`Lane`], and is compiled for
//! several instruction sets; [`Level::detect`] says which of them this processor has, so that a plain
//! release binary is fast everywhere.

use crate::lane::{Lane, mul_add};
use crate::operator::{Operator, Pointwise};

/// An instruction set the loops were compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What the build target guarantees (SSE2 on x86-64, NEON on ARM64).
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 (F, BW, DQ, VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best level of this processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Whether the build target guarantees fused multiply-add, so that the baseline may use it.
pub(crate) const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Compiles `$name` once a level: the same body, other instructions.
macro_rules! for_each_level {
    ($(#[doc = $doc:literal])+ fn $name:ident[$avx2:ident, $avx512:ident, $body:ident]($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[doc = $doc])+
        pub(crate) fn $name(level: Level, $($arg: $ty),*) $(-> $ret)? {
            match level {
                Level::Baseline => $body::<{ $crate::kernels::BASELINE_FMA }>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Level::detect` gives this level only where the processor has AVX2 and FMA.
                Level::Avx2 => unsafe { $avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `Level::detect` gives this level only where the processor has these sets.
                Level::Avx512 => unsafe { $avx512($($arg),*) },
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn $avx2($($arg: $ty),*) $(-> $ret)? {
            $body::<true>($($arg),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        fn $avx512($($arg: $ty),*) $(-> $ret)? {
            $body::<true>($($arg),*)
        }
    };
}

pub(crate) use for_each_level;

/// So many rows of so many elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    pub(crate) length: usize,
}

/// Rows that are read: row r begins at `r · stride`; with stride 0 one row is all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
}

/// Rows that are written.
#[derive(Debug)]
pub(crate) struct ViewMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) stride: usize,
}

impl<'a> View<'a> {
    #[inline(always)]
    fn row(self, r: usize, rows: Rows) -> &'a [f32] {
        &self.data[r * self.stride..][..rows.length]
    }
}

impl ViewMut<'_> {
    #[inline(always)]
    fn row(&mut self, r: usize, rows: Rows) -> &mut [f32] {
        &mut self.data[r * self.stride..][..rows.length]
    }
}

impl Rows {
    /// One long row where the rows lie next to each other everywhere.
    #[inline(always)]
    fn joined(self, strides: [usize; 3]) -> Self {
        match strides.iter().all(|stride| *stride == self.length) {
            true => Self {
                count: 1,
                length: self.count * self.length,
            },
            false => self,
        }
    }
}

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

for_each_level! {
    /// One Adam update of `x`.
    fn adam[adam_avx2, adam_avx512, adam_body](update: AdamUpdate, rows: Rows, gradient: View<'_>, m: ViewMut<'_>, v: ViewMut<'_>, x: ViewMut<'_>)
}

for_each_level! {
    /// What will become of `x`, by its gradient and the moment before the update.
    fn look[look_avx2, look_avx512, look_body](update: AdamUpdate, rows: Rows, gradient: View<'_>, m: View<'_>, x: View<'_>) -> Outlook
}

for_each_level! {
    /// Adds each row's sum to its total, in f64 beyond short runs; not finite if any element is not
    /// finite.
    fn sums[sums_avx2, sums_avx512, sums_body](rows: Rows, x: View<'_>, totals: &mut [f64])
}

/// What the derivative of a pointwise operator is computed from.
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

/// The constants of one Adam update (Kingma and Ba 2015, as PyTorch computes it), for a gradient
/// that is `factor` times what the kernel reads: moments are kept without the factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamUpdate {
    /// β and 1 − β of the first moment.
    pub(crate) first: [f32; 2],
    /// β and 1 − β of the second moment.
    pub(crate) second: [f32; 2],
    /// ε / |factor|
    pub(crate) epsilon: f32,
    pub(crate) bounds: (f32, f32),
    /// Step size / (1 − β₁ᵗ), with the factor's sign.
    pub(crate) rate: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub(crate) scale: f32,
}

/// What is to be expected of the next updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Every gradient so far was finite: one that was not stays in the moment for good.
    pub(crate) finite: bool,
    /// No element will move any more as long as no other does: each is at a bound and pushed
    /// outwards by gradient and moment alike, or by neither.
    pub(crate) settled: bool,
}

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

#[inline(always)]
fn adam_body<const FMA: bool>(
    update: AdamUpdate,
    rows: Rows,
    gradient: View<'_>,
    mut m: ViewMut<'_>,
    mut v: ViewMut<'_>,
    mut x: ViewMut<'_>,
) {
    let rows = match gradient.stride == rows.length {
        true => rows.joined([m.stride, v.stride, x.stride]),
        false => rows,
    };
    for r in 0..rows.count {
        let fields = (m.row(r, rows), v.row(r, rows), x.row(r, rows));
        adam_row::<FMA>(update, gradient.row(r, rows), fields);
    }
}

#[inline(always)]
fn adam_row<const FMA: bool>(
    update: AdamUpdate,
    gradient: &[f32],
    (m, v, x): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let AdamUpdate {
        first,
        second,
        epsilon,
        bounds: (low, high),
        rate,
        scale,
    } = update;
    let n = x.len();
    let (gradient, m, v) = (&gradient[..n], &mut m[..n], &mut v[..n]);
    for i in 0..n {
        let g = gradient[i];
        let mean = mul_add::<FMA>(m[i], first[0], g * first[1]);
        let square = mul_add::<FMA>(v[i], second[0], g * g * second[1]);
        let step = rate * mean / mul_add::<FMA>(square.sqrt(), scale, epsilon);
        let moved = x[i] - step;
        // Comparisons rather than min and max: NaN has to come through.
        let moved = if moved < low { low } else { moved };
        let moved = if moved > high { high } else { moved };
        m[i] = mean;
        v[i] = square;
        x[i] = moved;
    }
}

#[inline(always)]
fn look_body<const FMA: bool>(
    update: AdamUpdate,
    rows: Rows,
    gradient: View<'_>,
    m: View<'_>,
    x: View<'_>,
) -> Outlook {
    let (low, high) = update.bounds;
    let sign = update.rate.signum();
    let mut outlook = Outlook {
        finite: true,
        settled: true,
    };
    for r in 0..rows.count {
        let n = rows.length;
        let (g, m, x) = (gradient.row(r, rows), m.row(r, rows), x.row(r, rows));
        let (mut free, mut wild) = (false, false);
        for i in 0..n {
            let (push, drift) = (sign * g[i], sign * m[i]);
            let at_low = (x[i] == low) & (push >= 0.0) & (drift >= 0.0);
            let at_high = (x[i] == high) & (push <= 0.0) & (drift <= 0.0);
            let still = (push == 0.0) & (drift == 0.0);
            free |= !(at_low | at_high | still);
            wild |= !(g[i].abs() + m[i].abs()).is_finite();
        }
        outlook.settled &= !free;
        outlook.finite &= !wild;
    }
    outlook
}

#[inline(always)]
fn sums_body<const FMA: bool>(rows: Rows, x: View<'_>, totals: &mut [f64]) {
    for (r, total) in totals.iter_mut().enumerate().take(rows.count) {
        *total += sum(x.row(r, rows));
    }
}

#[inline(always)]
fn sum(x: &[f32]) -> f64 {
    let mut total = 0.0;
    for run in x.chunks(2048) {
        let mut lanes = [0.0_f32; 32];
        let mut blocks = run.chunks_exact(32);
        for block in &mut blocks {
            for (lane, value) in lanes.iter_mut().zip(block) {
                *lane += value;
            }
        }
        for (lane, value) in lanes.iter_mut().zip(blocks.remainder()) {
            *lane += value;
        }
        total += lanes.iter().map(|v| f64::from(*v)).sum::<f64>();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::OnNumbers;

    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::Baseline];
        #[cfg(target_arch = "x86_64")]
        match Level::detect() {
            Level::Avx512 => levels.extend([Level::Avx2, Level::Avx512]),
            Level::Avx2 => levels.push(Level::Avx2),
            Level::Baseline => {}
        }
        levels
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn operands(n: usize, phase: f32) -> Vec<f32> {
        (0..n)
            .map(|i| 3.0 * (i as f32 * 0.37 + phase).sin())
            .collect()
    }

    fn close(got: f32, want: f64) -> bool {
        (f64::from(got) - want).abs() <= 2e-6 * want.abs().max(1e-3)
    }

    fn pointwise() -> impl Iterator<Item = Operator> {
        let all = Operator::ALL.iter().copied();
        all.filter(|op| op.structured().is_none())
    }

    #[test]
    fn every_operator_agrees_with_f64_at_every_level_and_layout() {
        for level in levels() {
            for op in pointwise() {
                for length in [1, 15, 16, 17, 67] {
                    for (a, b) in [
                        (length, length),
                        (length, 0),
                        (0, length),
                        (length + 3, length),
                    ] {
                        check_operator(level, op, Rows { count: 3, length }, (a, b));
                    }
                }
            }
        }
    }

    /// The operator on rows with these strides of its operands.
    fn check_operator(level: Level, op: Operator, rows: Rows, (sa, sb): (usize, usize)) {
        let size = 3 * (rows.length + 3);
        let fields = [0.1, 1.3, 2.9].map(|phase| operands(size, phase));
        let view = |k: usize, stride| View {
            data: &fields[k],
            stride,
        };
        let (a, b, adjoint) = (view(0, sa), view(1, sb), view(2, sa));
        let stride = rows.length + 1;
        let mut results = [vec![0.0; size], vec![7.0; size], vec![7.0; size]];
        let [out, da, db] = &mut results;
        value(level, op, rows, a, b, ViewMut { data: out, stride });
        for (which, to) in [da, db].into_iter().enumerate().take(op.arity()) {
            let read = Partial {
                which,
                operands: [a, b],
                value: View { data: out, stride },
                adjoint,
            };
            partial(level, op, rows, read, ViewMut { data: to, stride });
        }
        for r in 0..rows.count {
            for i in 0..rows.length {
                let at = |v: View<'_>| f64::from(v.row(r, rows)[i]);
                let numbers = [at(a), at(b)];
                let (y, partials) = op.pointwise(OnNumbers(&numbers)).unwrap();
                let got = results.each_ref().map(|field| field[r * stride + i]);
                assert!(close(got[0], y), "{op:?} {numbers:?}: {}, not {y}", got[0]);
                for which in 0..op.arity() {
                    let want = at(adjoint) * partials[which];
                    let got = got[1 + which];
                    // 1 − y² loses digits to cancellation where tanh saturates.
                    let near = close(got, want) || (f64::from(got) - want).abs() < 2e-6;
                    assert!(near, "∂{op:?} {numbers:?}: {got}, not {want}");
                }
            }
        }
    }

    fn update(bounds: (f32, f32)) -> AdamUpdate {
        AdamUpdate {
            first: [0.9, 0.1],
            second: [0.999, 0.001],
            epsilon: 1e-8,
            bounds,
            rate: 0.1,
            scale: 31.6,
        }
    }

    const FREE: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

    fn outlook(level: Level, bounds: (f32, f32), g: &[f32], m: &[f32], x: &[f32]) -> Outlook {
        let stride = x.len();
        let [g, m, x] = [g, m, x].map(|data| View { data, stride });
        let rows = Rows {
            count: 1,
            length: stride,
        };
        look(level, update(bounds), rows, g, m, x)
    }

    #[test]
    fn sums_and_updates_notice_what_is_not_finite() {
        let rows = Rows {
            count: 1,
            length: 41,
        };
        for level in levels() {
            for bad in [f32::NAN, f32::INFINITY] {
                for at in [0, 31, 32, 40] {
                    let mut x = operands(41, 0.0);
                    let sum = |x: &[f32]| {
                        let mut total = [0.0];
                        sums(
                            level,
                            rows,
                            View {
                                data: x,
                                stride: 41,
                            },
                            &mut total,
                        );
                        total[0]
                    };
                    let want: f64 = x.iter().map(|v| f64::from(*v)).sum();
                    assert!((sum(&x) - want).abs() < 1e-4);
                    x[at] = bad;
                    assert!(!sum(&x).is_finite());
                    let zeros = [0.0; 41];
                    assert!(!outlook(level, FREE, &x, &zeros, &zeros).finite);
                    assert!(!outlook(level, FREE, &zeros, &x, &zeros).finite);
                    x[at] = 1e30;
                    assert!(outlook(level, FREE, &x, &x, &zeros).finite);
                }
            }
        }
    }

    #[test]
    fn an_update_is_that_of_the_formula() {
        for level in levels() {
            let [g, m, v, x] = [0.1, 0.5, 0.9, 2.0].map(|phase| operands(41, phase));
            let v: Vec<f32> = v.iter().map(|v| v * v).collect();
            let (mut m1, mut v1, mut x1) = (m.clone(), v.clone(), x.clone());
            let rows = Rows {
                count: 1,
                length: 41,
            };
            let moving = |data| ViewMut { data, stride: 41 };
            let gradient = View {
                data: &g,
                stride: 41,
            };
            let bounds = (-2.0, 2.0);
            adam(
                level,
                update(bounds),
                rows,
                gradient,
                moving(&mut m1),
                moving(&mut v1),
                moving(&mut x1),
            );
            for i in 0..41 {
                let [g, m, v, x] = [g[i], m[i], v[i], x[i]].map(f64::from);
                let (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g);
                let moved = x - 0.1 * m / (31.6 * v.sqrt() + 1e-8);
                assert!(close(m1[i], m) && close(v1[i], v));
                let want = moved.clamp(-2.0, 2.0);
                assert!(
                    (f64::from(x1[i]) - want).abs() < 2e-6,
                    "{}, not {want}",
                    x1[i]
                );
            }
        }
    }

    #[test]
    fn what_cannot_move_is_settled() {
        let settled = |level, g: f32, m: f32, x: f32| {
            // One element of many.
            let (mut gs, mut ms, mut xs) = (vec![1.0; 37], vec![0.0; 37], vec![0.0; 37]);
            (gs[20], ms[20], xs[20]) = (g, m, x);
            outlook(level, (0.0, 1.0), &gs, &ms, &xs).settled
        };
        for level in levels() {
            assert!(settled(level, 1.0, 0.5, 0.0)); // downwards at the lower bound
            assert!(settled(level, -1.0, -0.5, 1.0));
            assert!(settled(level, 0.0, 0.0, 0.3)); // nothing pushes
            assert!(!settled(level, 1.0, -9.0, 0.0)); // the moment still pushes upwards
            assert!(!settled(level, -1.0, 9.0, 0.0)); // the moment will turn
            assert!(!settled(level, 1.0, 0.5, 0.9));
            assert!(!settled(level, f32::NAN, 0.0, 0.0));
        }
    }
}
