//! Fast loops over slices: pointwise operators forward and backward, and the optimiser's update.
//!
//! Every loop exists once, over the operator table's expressions on [`Lane`], and is compiled for
//! several instruction sets; [`Level::detect`] says which of them this processor has, so that a plain
//! release binary is fast everywhere.

use crate::lane::Lane;
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

for_each_level! {
    /// `out = op(a, b)`, element by element; a unary operator reads `a` alone.
    fn forward[forward_avx2, forward_avx512, forward_body](op: Operator, a: &[f32], b: &[f32], out: &mut [f32])
}

for_each_level! {
    /// Adds `adjoint · ∂op/∂operand` to the adjoints of the operands.
    fn backward[backward_avx2, backward_avx512, backward_body](op: Operator, step: Backward<'_>)
}

for_each_level! {
    /// One Adam update of `x`; `false` if some gradient was not finite.
    fn adam[adam_avx2, adam_avx512, adam_body](update: AdamUpdate, gradient: &[f32], m: &mut [f32], v: &mut [f32], x: &mut [f32]) -> bool
}

for_each_level! {
    /// Sum of all elements, in f64 beyond short runs; not finite if any element is not finite.
    fn sum[sum_avx2, sum_avx512, sum_body](x: &[f32]) -> f64
}

/// What the backward pass of one pointwise operator reads and writes; all slices of one length.
pub(crate) struct Backward<'a> {
    /// Value of the first operand.
    pub(crate) a: &'a [f32],
    /// Value of the second operand; that of the first for a unary operator.
    pub(crate) b: &'a [f32],
    /// Value of the operator.
    pub(crate) value: &'a [f32],
    /// Adjoint of the operator.
    pub(crate) adjoint: &'a [f32],
    /// Where the first operand's adjoint goes, if it has one.
    pub(crate) to_a: Option<Target<'a>>,
    /// Where the second operand's adjoint goes, if it has one of its own.
    pub(crate) to_b: Option<Target<'a>>,
    /// Both operands are one node: the sum of both partial derivatives goes to `to_a`.
    pub(crate) same: bool,
}

/// The adjoint of an operand.
pub(crate) struct Target<'a> {
    /// The adjoint so far; of no meaning before the first contribution.
    pub(crate) adjoint: &'a mut [f32],
    /// Whether this is the first contribution.
    pub(crate) first: bool,
}

/// The constants of one Adam update (Kingma and Ba 2015, as PyTorch computes it).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamUpdate {
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) bounds: (f32, f32),
    /// Step size / (1 − β₁ᵗ).
    pub(crate) rate: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub(crate) scale: f32,
}

struct Forward<'a> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl<const FMA: bool> Pointwise<Lane<FMA>> for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn unary(
        self,
        value: impl Fn(Lane<FMA>) -> Lane<FMA>,
        _: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
    ) {
        for (out, a) in self.out.iter_mut().zip(self.a) {
            *out = value(Lane(*a)).0;
        }
    }

    #[inline(always)]
    fn binary(
        self,
        value: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
        _: impl Fn(Lane<FMA>, Lane<FMA>, Lane<FMA>) -> (Lane<FMA>, Lane<FMA>),
    ) {
        for ((out, a), b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = value(Lane(*a), Lane(*b)).0;
        }
    }
}

#[inline(always)]
fn forward_body<const FMA: bool>(op: Operator, a: &[f32], b: &[f32], out: &mut [f32]) {
    op.pointwise::<Lane<FMA>, _>(Forward { a, b, out });
}

/// Writes or adds `contribution(i)` for every element.
#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "a target is used up")]
fn contribute(target: Target<'_>, contribution: impl Fn(usize) -> f32) {
    if target.first {
        for (i, t) in target.adjoint.iter_mut().enumerate() {
            *t = contribution(i);
        }
    } else {
        for (i, t) in target.adjoint.iter_mut().enumerate() {
            *t += contribution(i);
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
        let Some(target) = self.to_a else { return };
        // Cutting all slices to one length lets the compiler drop the bounds checks.
        let n = target.adjoint.len();
        let (x, y, adjoint) = (&self.a[..n], &self.value[..n], &self.adjoint[..n]);
        contribute(target, |i| adjoint[i] * gradient(Lane(x[i]), Lane(y[i])).0);
    }

    #[inline(always)]
    fn binary(
        self,
        _: impl Fn(Lane<FMA>, Lane<FMA>) -> Lane<FMA>,
        gradient: impl Fn(Lane<FMA>, Lane<FMA>, Lane<FMA>) -> (Lane<FMA>, Lane<FMA>),
    ) {
        let n = self.adjoint.len();
        let (a, b) = (&self.a[..n], &self.b[..n]);
        let (y, adjoint) = (&self.value[..n], &self.adjoint[..n]);
        if self.same {
            let Some(target) = self.to_a else { return };
            contribute(target, |i| {
                let (da, db) = gradient(Lane(a[i]), Lane(b[i]), Lane(y[i]));
                adjoint[i] * da.0 + adjoint[i] * db.0
            });
            return;
        }
        if let Some(target) = self.to_a {
            contribute(target, |i| {
                adjoint[i] * gradient(Lane(a[i]), Lane(b[i]), Lane(y[i])).0.0
            });
        }
        if let Some(target) = self.to_b {
            contribute(target, |i| {
                adjoint[i] * gradient(Lane(a[i]), Lane(b[i]), Lane(y[i])).1.0
            });
        }
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(op: Operator, step: Backward<'_>) {
    op.pointwise::<Lane<FMA>, _>(step);
}

#[inline(always)]
fn adam_body<const FMA: bool>(
    update: AdamUpdate,
    gradient: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    x: &mut [f32],
) -> bool {
    let n = x.len();
    let (gradient, m, v) = (&gradient[..n], &mut m[..n], &mut v[..n]);
    // 0 · g is 0 for every finite g and NaN for the others.
    let mut zeros = [0.0_f32; 16];
    let mut one = |i: usize, zero: &mut f32| {
        let g = gradient[i];
        *zero += g * 0.0;
        m[i] = m[i] * update.beta1 + g * (1.0 - update.beta1);
        v[i] = v[i] * update.beta2 + g * g * (1.0 - update.beta2);
        let moved = x[i] - update.rate * m[i] / (v[i].sqrt() * update.scale + update.epsilon);
        // Comparisons rather than min and max: NaN has to come through.
        let moved = if moved < update.bounds.0 {
            update.bounds.0
        } else {
            moved
        };
        x[i] = if moved > update.bounds.1 {
            update.bounds.1
        } else {
            moved
        };
    };
    let whole = n / 16 * 16;
    for base in (0..whole).step_by(16) {
        for (lane, zero) in zeros.iter_mut().enumerate() {
            one(base + lane, zero);
        }
    }
    for (i, zero) in (whole..n).zip(&mut zeros) {
        one(i, zero);
    }
    zeros.iter().sum::<f32>() == 0.0
}

#[inline(always)]
pub(crate) fn sum_body<const FMA: bool>(x: &[f32]) -> f64 {
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

    #[test]
    fn every_operator_agrees_with_f64_at_every_level_and_length() {
        for level in levels() {
            for &op in Operator::ALL.iter().filter(|op| op.structured().is_none()) {
                for n in [1, 15, 16, 17, 67] {
                    check_operator(level, op, n);
                }
            }
        }
    }

    fn check_operator(level: Level, op: Operator, n: usize) {
        let (a, b, adjoint) = (operands(n, 0.1), operands(n, 1.3), operands(n, 2.9));
        let mut value = vec![0.0; n];
        forward(level, op, &a, &b, &mut value);
        let (mut to_a, mut to_b) = (vec![7.0; n], vec![0.5; n]);
        let step = Backward {
            a: &a,
            b: &b,
            value: &value,
            adjoint: &adjoint,
            to_a: Some(Target {
                adjoint: &mut to_a,
                first: true,
            }),
            to_b: (op.arity() == 2).then_some(Target {
                adjoint: &mut to_b,
                first: false,
            }),
            same: false,
        };
        backward(level, op, step);
        for i in 0..n {
            let numbers = [f64::from(a[i]), f64::from(b[i])];
            let (y, [da, db]) = op.pointwise(OnNumbers(&numbers)).unwrap();
            assert!(
                close(value[i], y),
                "{op:?} at {}: {}, not {y}",
                a[i],
                value[i]
            );
            let want = f64::from(adjoint[i]) * da;
            // 1 − y² loses digits to cancellation where tanh saturates.
            let near =
                |got: f32, want: f64| close(got, want) || (f64::from(got) - want).abs() < 2e-6;
            assert!(near(to_a[i], want), "∂{op:?}: {}, not {want}", to_a[i]);
            let want = if op.arity() == 2 {
                0.5 + f64::from(adjoint[i]) * db
            } else {
                0.5
            };
            assert!(near(to_b[i], want), "∂{op:?}/∂b: {}, not {want}", to_b[i]);
        }
    }

    #[test]
    fn one_node_as_both_operands_gets_both_partial_derivatives() {
        for level in levels() {
            let (a, adjoint) = (operands(33, 0.4), operands(33, 0.9));
            let mut value = vec![0.0; 33];
            forward(level, Operator::Mul, &a, &a, &mut value);
            let mut to_a = vec![1.0; 33];
            let target = Target {
                adjoint: &mut to_a,
                first: false,
            };
            let step = Backward {
                a: &a,
                b: &a,
                value: &value,
                adjoint: &adjoint,
                to_a: Some(target),
                to_b: None,
                same: true,
            };
            backward(level, Operator::Mul, step);
            for i in 0..33 {
                let want = 1.0 + 2.0 * f64::from(adjoint[i]) * f64::from(a[i]);
                assert!(
                    (f64::from(to_a[i]) - want).abs() < 1e-5,
                    "{}, not {want}",
                    to_a[i]
                );
            }
        }
    }

    #[test]
    fn sums_and_updates_notice_what_is_not_finite() {
        for level in levels() {
            for bad in [f32::NAN, f32::INFINITY] {
                for at in [0, 31, 32, 40] {
                    let mut x = operands(41, 0.0);
                    let want: f64 = x.iter().map(|v| f64::from(*v)).sum();
                    assert!((sum(level, &x) - want).abs() < 1e-4);
                    x[at] = bad;
                    assert!(!sum(level, &x).is_finite());
                    let update = AdamUpdate {
                        beta1: 0.9,
                        beta2: 0.999,
                        epsilon: 1e-8,
                        bounds: (f32::NEG_INFINITY, f32::INFINITY),
                        rate: 0.1,
                        scale: 31.6,
                    };
                    let (mut m, mut v, mut p) = (vec![0.0; 41], vec![0.0; 41], vec![0.0; 41]);
                    assert!(!adam(level, update, &x, &mut m, &mut v, &mut p));
                    x[at] = 1.0;
                    assert!(adam(
                        level,
                        update,
                        &x,
                        &mut m.clone(),
                        &mut v.clone(),
                        &mut p
                    ));
                }
            }
        }
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(!close(1.000_01, 1.0));
        assert!(!close(f32::NAN, 1.0));
    }
}
