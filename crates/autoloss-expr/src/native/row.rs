//! Rows of the table of native losses.

use super::fields::{NativeAt, NativeFields};
use crate::named_loss::ZooLoss;

/// A number that a native loss takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// Name in errors.
    pub(super) name: &'static str,
    /// Value where no numbers are given.
    pub(super) default: f64,
    /// Smallest and largest value.
    pub(super) range: [f64; 2],
}

/// A row of the table of native losses.
pub(crate) struct Native {
    /// The loss as a named loss, whose formula is the call without numbers.
    pub(crate) zoo: ZooLoss,
    /// The numbers that the loss takes, all or none.
    pub(super) parameters: &'static [Parameter],
    /// Computes value and gradient from fields and numbers.
    pub(super) compute: fn(&NativeFields<'_>, &[f64]) -> NativeAt,
}
