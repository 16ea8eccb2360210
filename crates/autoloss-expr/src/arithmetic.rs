//! The functions that an operator's value may be composed of.
//!
//! A row of the operator table is an expression over [`Arithmetic`]. Every type that implements the
//! trait can compute a loss: `f64` (the reference), the numbers of the fast kernels, [`Dual`] (the
//! proof of the gradient column), and a framework's tensors (training). Operators that look across
//! elements are methods of [`Field`].

use std::ops::{Add, Mul, Neg, Sub};

/// Numbers, or fields of numbers that are computed element by element.
pub trait Arithmetic:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
    /// The constant `c` with the shape and place of `self`: device tensors need both.
    fn like(&self, c: f64) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// −1, 0 or 1; 0 at ±0, where `f32::signum` gives 1.
    fn sign(self) -> Self;
    /// 1 / x
    fn recip(self) -> Self;
    /// eˣ
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Sine, argument in radians.
    fn sin(self) -> Self;
    /// Cosine, argument in radians.
    fn cos(self) -> Self;
    /// Inverse tangent, in radians.
    fn atan(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
}

/// Arithmetic on whole (N, C, H, W) fields, for operators that look across elements.
///
/// Every result has the shape of `self`.
pub trait Field: Arithmetic {
    /// Mean over n, h and w for each channel, broadcast back.
    fn mean_nhw(self) -> Self;
    /// Mean over the channels at each (n, h, w), broadcast back.
    fn mean_c(self) -> Self;
    /// 3×3 maximum, stride 1; neighbours outside the image do not count.
    fn max_pool(self) -> Self;
    /// 3×3 minimum, stride 1; neighbours outside the image do not count.
    fn min_pool(self) -> Self;
    /// Softmax over the channels at each (n, h, w).
    fn softmax_c(self) -> Self;
}

/// sign(x) with sign(±0) = 0; NaN stays NaN.
#[must_use]
pub fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

impl Arithmetic for f64 {
    fn like(&self, c: f64) -> Self {
        c
    }
    fn abs(self) -> Self {
        f64::abs(self)
    }
    fn sign(self) -> Self {
        sign(self)
    }
    fn recip(self) -> Self {
        f64::recip(self)
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn sin(self) -> Self {
        f64::sin(self)
    }
    fn cos(self) -> Self {
        f64::cos(self)
    }
    fn atan(self) -> Self {
        f64::atan(self)
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
}

/// A number with its derivative. On dual numbers the *value* column of the operator table gives the
/// derivative by the chain rule, against which the gradient column is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub value: f64,
    /// The derivative with respect to the number whose derivative was set to 1.
    pub derivative: f64,
}

impl Dual {
    /// A function's value, and its derivative by the chain rule.
    fn chain(value: f64, partial: f64, derivative: f64) -> Self {
        Self {
            value,
            derivative: partial * derivative,
        }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            value: self.value + o.value,
            derivative: self.derivative + o.derivative,
        }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            value: self.value - o.value,
            derivative: self.derivative - o.derivative,
        }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self {
            value: self.value * o.value,
            derivative: self.derivative * o.value + self.value * o.derivative,
        }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self {
            value: -self.value,
            derivative: -self.derivative,
        }
    }
}

impl Arithmetic for Dual {
    fn like(&self, c: f64) -> Self {
        Self {
            value: c,
            derivative: 0.0,
        }
    }
    fn abs(self) -> Self {
        Self::chain(self.value.abs(), sign(self.value), self.derivative)
    }
    fn sign(self) -> Self {
        Self::chain(sign(self.value), 0.0, self.derivative)
    }
    fn recip(self) -> Self {
        let r = self.value.recip();
        Self::chain(r, -r * r, self.derivative)
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        Self::chain(e, e, self.derivative)
    }
    fn ln(self) -> Self {
        Self::chain(self.value.ln(), self.value.recip(), self.derivative)
    }
    fn tanh(self) -> Self {
        let t = self.value.tanh();
        Self::chain(t, 1.0 - t * t, self.derivative)
    }
    fn sqrt(self) -> Self {
        let s = self.value.sqrt();
        Self::chain(s, 0.5 / s, self.derivative)
    }
    fn sin(self) -> Self {
        Self::chain(self.value.sin(), self.value.cos(), self.derivative)
    }
    fn cos(self) -> Self {
        Self::chain(self.value.cos(), -self.value.sin(), self.derivative)
    }
    fn atan(self) -> Self {
        let partial = (1.0 + self.value * self.value).recip();
        Self::chain(self.value.atan(), partial, self.derivative)
    }
    fn erf(self) -> Self {
        let partial = std::f64::consts::FRAC_2_SQRT_PI * (-self.value * self.value).exp();
        Self::chain(libm::erf(self.value), partial, self.derivative)
    }
}
