//! Runs for people to read: a run as one HTML page, and diagrams as SVG.

mod curves;
mod kinds;
mod page;
pub mod plot;
mod tree;

use autoloss_search::resolve;

pub use curves::{Curve, Curves, Points, curves};
pub use kinds::Kinds;
pub use page::html;

/// The simplified form of a formula, where it is shorter.
///
/// ```
/// use autoloss_report::simplified;
///
/// assert_eq!(simplified("--y * yhat").as_deref(), Some("y * yhat"));
/// assert_eq!(simplified("yhat * y"), None);
/// let branches = simplified("a = abs(abs(yhat)); b = y");
/// assert_eq!(branches.as_deref(), Some("a = abs(yhat); b = y"));
/// ```
#[must_use]
pub fn simplified(formula: &str) -> Option<String> {
    let loss = resolve::read(formula).ok()?;
    let simplified = loss.simplified();
    (simplified.size() < loss.size()).then(|| simplified.to_string())
}
