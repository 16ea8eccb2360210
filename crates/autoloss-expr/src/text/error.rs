//! Errors of formulas, with the known name that an unknown one may be a slip of.

/// Characters of a long formula that are shown on either side of a place.
pub(super) const AROUND: usize = 100;

/// Characters of a name that are shown; no known name has as many.
const NAME: usize = 60;

/// A formula that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ParseError {
    /// Column of the first character that does not fit, counted from 1 in characters.
    pub column: usize,
    /// Text that was expected, and text that was found.
    pub message: String,
}

impl ParseError {
    /// The formula, or the part of a long one around the place, with a caret under the place.
    #[must_use]
    pub fn caret(&self, formula: &str) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let chars: Vec<char> = formula.chars().map(plain).collect();
        let at = self.column.saturating_sub(1).min(chars.len());
        let (begin, end) = (at.saturating_sub(AROUND), chars.len().min(at + AROUND));
        let left = if begin > 0 { "…" } else { "" };
        let right = if end < chars.len() { "…" } else { "" };
        let part: String = chars[begin..end].iter().collect();
        let place = " ".repeat(at - begin + left.chars().count());
        format!("{left}{part}{right}\n{place}^")
    }
}

/// The candidate nearest to `name` by edit distance, if one is so near that `name` may be a slip.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|_| name.len() <= NAME)
        .map(|c| (strsim::damerau_levenshtein(name, c), c))
        .filter(|(distance, c)| *distance <= 1 + c.len() / 3 && *distance < name.len().max(c.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// A name as it was typed, cut off where it is too long to read.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The nearest known name as a question, else all known names.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> String {
    nearest(name, known.iter().copied()).map_or_else(
        || format!("known: {}", known.join(", ")),
        |c| format!("did you mean `{c}`?"),
    )
}
