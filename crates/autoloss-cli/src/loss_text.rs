//! Losses as tables and lines show them.

/// A loss of several branches with a line for each.
pub(crate) fn by_branch(formula: &str) -> String {
    formula.replace("; ", "\n")
}

/// A name for a table: a formula may be one.
pub(crate) fn short(name: &str) -> String {
    /// Characters that are shown.
    const LENGTH: usize = 40;
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match name.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}
