//! Errors of exports.

/// A loss that cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A native loss in a format that writes operators.
    #[error(
        "`{loss}` is a native loss, not a tree of operators, and cannot be exported to {format}: export a formula, \
         or use `latex` or `dot`, which name it"
    )]
    Native {
        /// The loss.
        loss: String,
        /// The format.
        format: &'static str,
    },
    /// Elements in a format that writes loss values alone.
    #[error("{format} has loss values alone, no elements: use `pytorch` or `jax`")]
    Elements {
        /// The format.
        format: &'static str,
    },
    /// An input that the branch does not have.
    #[error("branch `{branch}` uses the input `{name}`, which it does not have; it has {given}")]
    UnknownInput {
        /// The branch.
        branch: String,
        /// The input.
        name: String,
        /// The inputs of the branch.
        given: String,
    },
    /// No format of that name.
    #[error("unknown format `{name}`; {hint}known: {known}")]
    UnknownFormat {
        /// The name.
        name: String,
        /// The nearest known name, as a question.
        hint: String,
        /// The names of all formats.
        known: String,
    },
}
