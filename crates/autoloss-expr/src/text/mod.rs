//! Formulas as text: reading and printing.
//!
//! Infix with the operator table's names, `-(y * log(yhat))`. `a - b` is `add(a, neg(b))` and
//! `a / b` is `mul(a, inv(b))`. Printing is canonical: `parse(print(t)) == t`, and
//! `print(parse(s))` is the one spelling of `s`.
//!
//! ```text
//! loss    = tree | name "=" tree { ";" name "=" tree } [";"]
//! tree    = product { ("+" | "-") product }
//! product = unary { ("*" | "/") unary }
//! unary   = "-" unary | atom
//! atom    = number | input | operator "(" tree { "," tree } ")" | "(" tree ")"
//!         | native "(" [number { "," number }] ")"
//! ```
//!
//! A native loss ([`NativeLoss`](crate::NativeLoss)) is the whole loss of a branch, never part of a larger formula.

mod error;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use error::{ParseError, nearest};
