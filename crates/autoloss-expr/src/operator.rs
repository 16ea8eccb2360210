//! The table of operators: one row for each.
//!
//! A row gives an operator's name, parameters (hence the arity), value, gradient and LaTeX form, and
//! whether the operator belongs to the paper's default set. Parser, printer, random trees, mutation,
//! reference, kernels, training and the tests over the table all read the rows. A new pointwise
//! operator is a new row. An operator that looks across elements is a row, too, a method of [`Field`],
//! and an arm of every `match` over [`Structured`], all of which the compiler demands.
//!
//! Values are those of AutoLoss-Zero (arXiv 2103.14026, table 1) with ε = 1e-12. The gradient is the
//! chain rule of the written value with sign(0) = 0, as in PyTorch and Burn; `jnp.abs` has 1 at 0.

use crate::arithmetic::{Arithmetic, Field};

/// ε of `inv`, `log` and `sqrt`.
pub const EPSILON: f64 = 1e-12;

/// A computation with the value and the gradient of one pointwise operator, both functions over the
/// arithmetic `A`.
///
/// The functions are types, not pointers, so that a loop over them is compiled for each operator by
/// itself.
pub trait Pointwise<A: Arithmetic> {
    /// Result of the computation.
    type Output;
    /// Computes with x ↦ value and (x, value) ↦ ∂value/∂x.
    fn unary(self, value: impl Fn(A) -> A, gradient: impl Fn(A, A) -> A) -> Self::Output;
    /// Computes with (a, b) ↦ value and (a, b, value) ↦ (∂value/∂a, ∂value/∂b).
    fn binary(
        self,
        value: impl Fn(A, A) -> A,
        gradient: impl Fn(A, A, A) -> (A, A),
    ) -> Self::Output;
}

macro_rules! operators {
    (
        pointwise { $(
            $(#[doc = $doc:literal])+
            $op:ident $name:literal ($($arg:ident),+) -> $y:ident = $value:expr,
            gradient $gradient:expr, latex $latex:literal, default $default:literal, commutes $commutes:literal;
        )+ }
        structured { $(
            $(#[doc = $sdoc:literal])+
            $sop:ident $sname:literal method $method:ident, latex $slatex:literal, default $sdefault:literal;
        )+ }
    ) => {
        /// A primitive of the search space.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operator {
            $($(#[doc = $doc])+ $op,)+
            $($(#[doc = $sdoc])+ $sop,)+
        }

        /// Operators that look across elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Structured {
            $($(#[doc = $sdoc])+ $sop,)+
        }

        impl Operator {
            /// All operators, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$op,)+ $(Self::$sop,)+];

            /// Name in formulas.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$op => $name,)+ $(Self::$sop => $sname,)+ }
            }

            /// Number of operands.
            #[must_use]
            pub const fn arity(self) -> usize {
                match self { $(Self::$op => [$(stringify!($arg)),+].len(),)+ $(Self::$sop => 1,)+ }
            }

            /// Value in words.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$op => concat!($($doc),+),)+ $(Self::$sop => concat!($($sdoc),+),)+ }
            }

            /// LaTeX template; `{0}` and `{1}` stand for the operands.
            #[must_use]
            pub const fn latex(self) -> &'static str {
                match self { $(Self::$op => $latex,)+ $(Self::$sop => $slatex,)+ }
            }

            /// Whether the operator is one of the paper's fourteen.
            #[must_use]
            pub const fn in_default_set(self) -> bool {
                match self { $(Self::$op => $default,)+ $(Self::$sop => $sdefault,)+ }
            }

            /// Whether the two operands may be exchanged.
            #[must_use]
            pub const fn commutes(self) -> bool {
                match self { $(Self::$op => $commutes,)+ $(Self::$sop => false,)+ }
            }

            /// The structured operator; `None` for a pointwise one.
            #[must_use]
            pub const fn structured(self) -> Option<Structured> {
                match self { $(Self::$op => None,)+ $(Self::$sop => Some(Structured::$sop),)+ }
            }

            /// Hands the value and gradient of a pointwise operator to `visitor`; `None` for a
            /// structured one.
            #[inline(always)]
            pub fn pointwise<A: Arithmetic, V: Pointwise<A>>(self, visitor: V) -> Option<V::Output> {
                match self {
                    $(Self::$op => Some(operators!(@visit visitor, ($($arg),+), $y, $value, $gradient)),)+
                    $(Self::$sop => None,)+
                }
            }

            /// The operator's value on whole fields, by which a framework's tensors compute a loss.
            ///
            /// # Panics
            /// If the number of operands is not the arity.
            pub fn apply<F: Field>(self, operands: &[F]) -> F {
                assert_eq!(operands.len(), self.arity(), "operands of {}", self.name());
                match self {
                    $(Self::$op => operators!(@apply operands, ($($arg),+), $value),)+
                    $(Self::$sop => operands[0].clone().$method(),)+
                }
            }
        }
    };
    (@visit $v:ident, ($x:ident), $y:ident, $value:expr, $gradient:expr) => {
        $v.unary(
            #[inline(always)] |$x| $value,
            #[inline(always)] |$x, $y| { let _ = (&$x, &$y); $gradient },
        )
    };
    (@visit $v:ident, ($a:ident, $b:ident), $y:ident, $value:expr, $gradient:expr) => {
        $v.binary(
            #[inline(always)] |$a, $b| $value,
            #[inline(always)] |$a, $b, $y| { let _ = (&$a, &$b, &$y); $gradient },
        )
    };
    (@apply $operands:ident, ($x:ident), $value:expr) => {{
        let $x = $operands[0].clone();
        $value
    }};
    (@apply $operands:ident, ($a:ident, $b:ident), $value:expr) => {{
        let ($a, $b) = ($operands[0].clone(), $operands[1].clone());
        $value
    }};
}

#[rustfmt::skip]
operators! {
    pointwise {
        /// a + b
        Add "add" (a, b) -> y = a + b,
        gradient (y.like(1.0), y.like(1.0)), latex "{0} + {1}", default true, commutes true;

        /// a · b
        Mul "mul" (a, b) -> y = a * b,
        gradient (b.clone(), a.clone()), latex "{0} \\cdot {1}", default true, commutes true;

        /// −x
        Neg "neg" (x) -> y = -x,
        gradient y.like(-1.0), latex "-{0}", default true, commutes false;

        /// |x|
        Abs "abs" (x) -> y = x.abs(),
        gradient x.clone().sign(), latex "\\left|{0}\\right|", default true, commutes false;

        /// 1 / (x + ε)
        Inv "inv" (x) -> y = (x.like(EPSILON) + x).recip(),
        gradient -(y.clone() * y.clone()), latex "\\frac{1}{{0}}", default true, commutes false;

        /// sign(x) · ln(|x| + ε)
        Log "log" (x) -> y = x.clone().sign() * (x.like(EPSILON) + x.abs()).ln(),
        gradient { let s = x.clone().sign(); s.clone() * s * (x.like(EPSILON) + x.clone().abs()).recip() },
        latex "\\log {0}", default true, commutes false;

        /// eˣ
        Exp "exp" (x) -> y = x.exp(),
        gradient y.clone(), latex "e^{{0}}", default true, commutes false;

        /// tanh x
        Tanh "tanh" (x) -> y = x.tanh(),
        gradient y.like(1.0) - y.clone() * y.clone(), latex "\\tanh {0}", default true, commutes false;

        /// x²
        Square "square" (x) -> y = x.clone() * x,
        gradient x.like(2.0) * x.clone(), latex "{0}^2", default true, commutes false;

        /// sign(x) · √(|x| + ε)
        Sqrt "sqrt" (x) -> y = x.clone().sign() * (x.like(EPSILON) + x.abs()).sqrt(),
        // sign² / (2√(|x|+ε)) is sign² · |y|⁻¹ / 2 wherever sign is not 0.
        gradient { let s = x.clone().sign(); s.clone() * s * (x.like(EPSILON) + x.clone().abs()).sqrt().recip() * x.like(0.5) },
        latex "\\sqrt{{0}}", default true, commutes false;

        /// a − b
        Sub "sub" (a, b) -> y = a - b,
        gradient (y.like(1.0), y.like(-1.0)), latex "{0} - {1}", default false, commutes false;

        /// a / b, without the ε of `inv`
        Div "div" (a, b) -> y = a * b.recip(),
        gradient { let r = b.clone().recip(); (r.clone(), -(y.clone() * r)) },
        latex "\\frac{{0}}{{1}}", default false, commutes false;

        /// sin x, x in radians
        Sin "sin" (x) -> y = x.sin(),
        gradient x.clone().cos(), latex "\\sin {0}", default false, commutes false;

        /// The error function
        Erf "erf" (x) -> y = x.erf(),
        gradient x.like(std::f64::consts::FRAC_2_SQRT_PI) * (-(x.clone() * x.clone())).exp(),
        latex "\\operatorname{erf} {0}", default false, commutes false;

        /// The Gudermannian 2 · atan(tanh(x / 2))
        Gd "gd" (x) -> y = x.like(2.0) * (x.like(0.5) * x).tanh().atan(),
        gradient { let t = (x.like(0.5) * x.clone()).tanh(); let t2 = t.clone() * t;
            (x.like(1.0) - t2.clone()) * (x.like(1.0) + t2).recip() },
        latex "\\operatorname{gd} {0}", default false, commutes false;

        /// The logistic function (1 + tanh(x / 2)) / 2, finite everywhere
        Sigmoid "sigmoid" (x) -> y = x.like(0.5) * (x.like(1.0) + (x.like(0.5) * x).tanh()),
        gradient y.clone() * (y.like(1.0) - y.clone()), latex "\\sigma({0})", default false, commutes false;
    }
    structured {
        /// Mean over n, h, w for each channel, broadcast back
        MeanNhw "mean_nhw" method mean_nhw, latex "\\operatorname{mean}_{nhw}({0})", default true;
        /// Mean over the channels at each (n, h, w), broadcast back
        MeanC "mean_c" method mean_c, latex "\\operatorname{mean}_{c}({0})", default true;
        /// 3×3 max-pooling, stride 1, same size
        MaxPool "max_pool" method max_pool, latex "\\operatorname{maxpool}({0})", default true;
        /// 3×3 min-pooling, stride 1, same size
        MinPool "min_pool" method min_pool, latex "\\operatorname{minpool}({0})", default true;
        /// Softmax over the channels at each (n, h, w)
        SoftmaxC "softmax_c" method softmax_c, latex "\\operatorname{softmax}_{c}({0})", default false;
    }
}

impl Operator {
    /// The operator of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|op| op.name() == name)
    }

    /// The paper's fourteen operators (table 1), the default search space.
    pub fn default_set() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|op| op.in_default_set())
    }
}

/// Computes value and gradient of a pointwise operator on single numbers.
pub(crate) struct OnNumbers<'a, A>(pub(crate) &'a [A]);

impl<A: Arithmetic> Pointwise<A> for OnNumbers<'_, A> {
    type Output = (A, [A; 2]);

    fn unary(self, value: impl Fn(A) -> A, gradient: impl Fn(A, A) -> A) -> Self::Output {
        let x = self.0[0].clone();
        let y = value(x.clone());
        let zero = y.like(0.0);
        (y.clone(), [gradient(x, y), zero])
    }

    fn binary(
        self,
        value: impl Fn(A, A) -> A,
        gradient: impl Fn(A, A, A) -> (A, A),
    ) -> Self::Output {
        let (a, b) = (self.0[0].clone(), self.0[1].clone());
        let y = value(a.clone(), b.clone());
        let (da, db) = gradient(a, b, y.clone());
        (y, [da, db])
    }
}
