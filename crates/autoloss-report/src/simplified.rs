//! Shorter forms of losses.

use autoloss_search::resolve;

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
