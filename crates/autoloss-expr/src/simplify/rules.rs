//! Rules of simplification: two formulas that compute the same.
//!
//! `a`, `b` and `c` stand for any subtree, `k` for a constant, `p` for subtrees that do not vary over samples
//! and positions, `q` for subtrees that do not vary over channels. The operators are ours, with their ε: identities of
//! textbooks that fail with ε at 0 or near 0, such as a · inv(a) = 1 or √(a²) = |a|, whose gradient is 0.7 where a is
//! 1e-6, are missing, and a test shows that they would be refused.

/// Names that stand for subtrees in rules.
pub(super) const VARIABLES: [&str; 6] = ["a", "b", "c", "k", "p", "q"];

/// Condition on a subtree, by the name that stands for the subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Any subtree.
    None,
    /// A constant.
    Constant,
    /// The same at all samples and positions.
    AlikeOverPositions,
    /// The same for all channels.
    AlikeOverChannels,
}

/// Condition of the variable with that number.
pub(super) const fn condition(variable: usize) -> Condition {
    match variable {
        3 => Condition::Constant,
        4 => Condition::AlikeOverPositions,
        5 => Condition::AlikeOverChannels,
        _ => Condition::None,
    }
}

/// Scope and exactness of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everywhere, but for rounding.
    Exact,
    /// Everywhere, but for ε.
    Near,
    /// For the terms of the outermost sum, of which the loss value is the mean; but for rounding.
    Outermost,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) scope: Scope,
    pub(super) left: &'static str,
    pub(super) right: &'static str,
}

const fn exact(left: &'static str, right: &'static str) -> Rule {
    Rule {
        scope: Scope::Exact,
        left,
        right,
    }
}

const fn near(left: &'static str, right: &'static str) -> Rule {
    Rule {
        scope: Scope::Near,
        left,
        right,
    }
}

const fn outermost(left: &'static str, right: &'static str) -> Rule {
    Rule {
        scope: Scope::Outermost,
        left,
        right,
    }
}

/// All rules.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    // Sums.
    exact("a + b", "b + a"),
    exact("(a + b) + c", "a + (b + c)"),
    exact("a + (b + c)", "(a + b) + c"),
    exact("a + 0", "a"),
    exact("a - a", "0"),
    exact("a + a", "2 * a"),
    exact("--a", "a"),
    exact("-a - b", "-(a + b)"),
    exact("-(a + b)", "-a - b"),
    // Products.
    exact("a * b", "b * a"),
    exact("(a * b) * c", "a * (b * c)"),
    exact("a * (b * c)", "(a * b) * c"),
    exact("a * 0", "0"),
    exact("a * 1", "a"),
    exact("-a * b", "-(a * b)"),
    exact("-(a * b)", "-a * b"),
    exact("a * b + a * c", "a * (b + c)"),
    exact("a * b + a", "a * (b + 1)"),
    exact("a * a", "square(a)"),
    exact("square(a) * square(b)", "square(a * b)"),
    // Even and odd functions.
    exact("square(-a)", "square(a)"),
    exact("square(abs(a))", "square(a)"),
    exact("abs(-a)", "abs(a)"),
    exact("abs(abs(a))", "abs(a)"),
    exact("abs(square(a))", "square(a)"),
    exact("abs(exp(a))", "exp(a)"),
    exact("abs(a) * abs(b)", "abs(a * b)"),
    exact("tanh(-a)", "-tanh(a)"),
    exact("-tanh(a)", "tanh(-a)"),
    exact("sqrt(-a)", "-sqrt(a)"),
    exact("-sqrt(a)", "sqrt(-a)"),
    exact("log(-a)", "-log(a)"),
    exact("-log(a)", "log(-a)"),
    exact("abs(tanh(a))", "tanh(abs(a))"),
    exact("tanh(abs(a))", "abs(tanh(a))"),
    exact("abs(sqrt(a))", "sqrt(abs(a))"),
    exact("sqrt(abs(a))", "abs(sqrt(a))"),
    exact("abs(mean_c(abs(a)))", "mean_c(abs(a))"),
    exact("abs(mean_nhw(abs(a)))", "mean_nhw(abs(a))"),
    exact("abs(max_pool(abs(a)))", "max_pool(abs(a))"),
    exact("abs(min_pool(abs(a)))", "min_pool(abs(a))"),
    exact("abs(mean_c(exp(a)))", "mean_c(exp(a))"),
    exact("abs(mean_nhw(exp(a)))", "mean_nhw(exp(a))"),
    exact("abs(mean_c(square(a)))", "mean_c(square(a))"),
    exact("abs(mean_nhw(square(a)))", "mean_nhw(square(a))"),
    // Functions and their inverses.
    exact("exp(a) * exp(b)", "exp(a + b)"),
    near("inv(exp(a))", "exp(-a)"),
    near("exp(-a)", "inv(exp(a))"),
    near("log(exp(a))", "a"),
    near("square(sqrt(a))", "abs(a)"),
    near("inv(inv(a))", "a"),
    // Means.
    exact("mean_nhw(p)", "p"),
    exact("mean_c(q)", "q"),
    exact("mean_nhw(mean_c(a))", "mean_c(mean_nhw(a))"),
    exact("mean_c(mean_nhw(a))", "mean_nhw(mean_c(a))"),
    exact("mean_nhw(-a)", "-mean_nhw(a)"),
    exact("-mean_nhw(a)", "mean_nhw(-a)"),
    exact("mean_c(-a)", "-mean_c(a)"),
    exact("-mean_c(a)", "mean_c(-a)"),
    exact("mean_nhw(a) + mean_nhw(b)", "mean_nhw(a + b)"),
    exact("mean_c(a) + mean_c(b)", "mean_c(a + b)"),
    exact("mean_nhw(a + p)", "mean_nhw(a) + p"),
    exact("mean_c(a + q)", "mean_c(a) + q"),
    exact("mean_nhw(a * p)", "mean_nhw(a) * p"),
    exact("mean_c(a * q)", "mean_c(a) * q"),
    outermost("mean_nhw(a)", "a"),
    outermost("mean_c(a)", "a"),
    outermost("mean_nhw(a) * b", "a * mean_nhw(b)"),
    outermost("mean_c(a) * b", "a * mean_c(b)"),
    outermost("mean_nhw(a) * p", "a * p"),
    outermost("mean_c(a) * q", "a * q"),
    // Pooling.
    exact("max_pool(p)", "p"),
    exact("min_pool(p)", "p"),
    exact("max_pool(-a)", "-min_pool(a)"),
    exact("-min_pool(a)", "max_pool(-a)"),
    exact("min_pool(-a)", "-max_pool(a)"),
    exact("-max_pool(a)", "min_pool(-a)"),
];
