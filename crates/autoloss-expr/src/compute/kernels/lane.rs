//! Single-precision numbers for the fast kernels.
//!
//! [`Lane`] is one `f32` whose functions have no branches, so that a loop over them is compiled to
//! vector instructions of whatever width the surrounding function may use. With `FMA` the
//! polynomials use fused multiply-add, which must be chosen only on processors that have the
//! instruction.
//!
//! The polynomials are those of the Cephes library (S. Moshier). Largest errors against f64 over
//! the whole range, measured by the tests below: exp 2, ln 2, tanh 4 units in the last place.

use std::ops::{Add, Mul, Neg, Sub};

use crate::arithmetic::Arithmetic;

/// One `f32` of the fast kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane<const FMA: bool>(pub(crate) f32);

impl<const FMA: bool> Add for Lane<FMA> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0)
    }
}

impl<const FMA: bool> Sub for Lane<FMA> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0)
    }
}

impl<const FMA: bool> Mul for Lane<FMA> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self(self.0 * o.0)
    }
}

impl<const FMA: bool> Neg for Lane<FMA> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// a · b + c, rounded once where the processor can.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The polynomial with the given coefficients, highest power first.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    let mut i = 1;
    while i < N {
        sum = mul_add::<FMA>(sum, x, coefficients[i]);
        i += 1;
    }
    sum
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23).cast_unsigned())
}

#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // Comparisons rather than min and max: NaN has to come through. Beyond the limits the result
    // is inf or 0 by way of the scaling.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted.to_bits().cast_signed() - ROUND.to_bits().cast_signed();
    let whole = shifted - ROUND;
    // ln 2 in two parts, so that the difference is exact.
    let r = mul_add::<FMA>(whole, -0.693_359_4, x);
    let r = mul_add::<FMA>(whole, 2.121_944_4e-4, r);
    let p = polynomial::<FMA, 6>(
        r,
        [
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ],
    );
    let e = mul_add::<FMA>(p, r * r, r) + 1.0;
    // In two factors, because 2ⁿ itself may be beyond the range while the result is not.
    let half = n >> 1;
    e * power_of_two(half) * power_of_two(n - half)
}

#[inline(always)]
fn ln<const FMA: bool>(x: f32) -> f32 {
    // Subnormal numbers are scaled into the normal range.
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    // The exponent for which the mantissa lies in [√½, √2).
    let bits = scaled.to_bits().wrapping_sub(0x3f35_04f3);
    let exponent = (bits.cast_signed() >> 23) - if tiny { 23 } else { 0 };
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    #[expect(clippy::cast_precision_loss, reason = "an exponent has at most 9 bits")]
    let e = exponent as f32;
    let p = polynomial::<FMA, 9>(
        m,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_4e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let square = m * m;
    let y = mul_add::<FMA>(e, -2.121_944_4e-4, p * m * square);
    let y = mul_add::<FMA>(-0.5, square, y);
    let y = mul_add::<FMA>(e, 0.693_359_4, m + y);
    // inf and NaN come through; 0 gives −inf, anything below gives NaN.
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    let square = x * x;
    let p = polynomial::<FMA, 5>(
        square,
        [
            -5.704_988_7e-3,
            2.063_909e-2,
            -5.373_971_6e-2,
            1.333_144_2e-1,
            -3.333_328e-1,
        ],
    );
    let near = mul_add::<FMA>(p * square, x, x);
    let far = 1.0 - 2.0 / (exp::<FMA>(2.0 * x.abs()) + 1.0);
    let far = if x < 0.0 { -far } else { far };
    if x.abs() < 0.625 { near } else { far }
}

impl<const FMA: bool> Arithmetic for Lane<FMA> {
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "single precision is wanted"
    )]
    fn like(&self, c: f64) -> Self {
        Self(c as f32)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }
    #[inline(always)]
    fn sign(self) -> Self {
        let x = self.0;
        let positive = if x > 0.0 { 1.0 } else { x };
        Self(if x < 0.0 { -1.0 } else { positive })
    }
    #[inline(always)]
    fn recip(self) -> Self {
        Self(1.0 / self.0)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        Self(exp::<FMA>(self.0))
    }
    #[inline(always)]
    fn ln(self) -> Self {
        Self(ln::<FMA>(self.0))
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        Self(tanh::<FMA>(self.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    // The four below serve operators outside the default search space: exact rather than fast.
    #[inline(always)]
    fn sin(self) -> Self {
        Self(self.0.sin())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        Self(self.0.cos())
    }
    #[inline(always)]
    fn atan(self) -> Self {
        Self(self.0.atan())
    }
    #[inline(always)]
    fn erf(self) -> Self {
        Self(libm::erff(self.0))
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the tests compare precisions"
)]
mod tests {
    use super::*;

    /// Difference in units of the last place of the right result.
    fn ulps(got: f32, want: f64) -> f64 {
        if got.is_nan() && want.is_nan() || f64::from(got) == f64::from(want as f32) {
            return 0.0;
        }
        let unit = f64::from((want as f32).abs().next_up() - (want as f32).abs());
        (f64::from(got) - want).abs() / unit
    }

    fn every(step: usize) -> impl Iterator<Item = f32> {
        (0..=u32::MAX).step_by(step).map(f32::from_bits)
    }

    fn check(fast: fn(f32) -> f32, exact: fn(f64) -> f64, limit: f64) {
        for x in every(9973) {
            let (got, want) = (fast(x), exact(f64::from(x)));
            assert!(ulps(got, want) <= limit, "f({x:e}) = {got:e}, not {want:e}");
        }
    }

    #[test]
    fn exp_is_accurate_everywhere() {
        check(exp::<true>, f64::exp, 2.0);
        check(exp::<false>, f64::exp, 2.0);
    }

    #[test]
    fn ln_is_accurate_everywhere() {
        check(ln::<true>, f64::ln, 2.0);
        check(ln::<false>, f64::ln, 2.0);
    }

    #[test]
    fn tanh_is_accurate_everywhere() {
        check(tanh::<true>, f64::tanh, 4.0);
        check(tanh::<false>, f64::tanh, 4.0);
    }

    #[test]
    fn special_values_come_through() {
        for x in [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for (got, want) in [
                (exp::<true>(x), x.exp()),
                (ln::<true>(x), x.ln()),
                (tanh::<true>(x), x.tanh()),
            ] {
                let near = ulps(got, f64::from(want)) <= 6.0;
                assert!(near || got == want, "at {x}: {got}, not {want}");
            }
        }
        assert_eq!(Lane::<true>(-0.0).sign().0, 0.0);
        assert!(Lane::<true>(f32::NAN).sign().0.is_nan());
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(ulps(1.000_01, 1.0) > 4.0);
        assert!(ulps(f32::NAN, 1.0).is_nan());
        assert!(!matches!(
            ulps(f32::NAN, 1.0).partial_cmp(&4.0),
            Some(std::cmp::Ordering::Less)
        ));
    }
}
