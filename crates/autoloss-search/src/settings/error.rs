//! Faults of settings.

use std::fmt::Display;

/// Settings that make no sense, or text that holds none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, an unknown key, or a value of another type.
    #[error("settings: {0}")]
    Toml(String),
    /// A value outside its range.
    #[error("settings: `{key}` is {value}, expected {expected}")]
    Range {
        /// The key with its section.
        key: &'static str,
        /// Value that was given.
        value: String,
        /// Values that are allowed.
        expected: &'static str,
    },
    /// A formula that a branch is to be held fixed to.
    #[error("settings: `search.fixed.{branch}`: {reason}")]
    Fixed {
        /// The branch named.
        branch: String,
        /// The fault.
        reason: String,
    },
    /// A loss that the population is to begin with.
    #[error("settings: `search.start`: `{text}`: {reason}")]
    Start {
        /// The loss as it was given.
        text: String,
        /// The fault.
        reason: String,
    },
    /// An operator that does not exist.
    #[error("settings: `search.operators` names `{name}`, which is no operator{}", hint(nearest.as_deref()))]
    UnknownOperator {
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// A range check: the fault of a value unless the condition holds.
pub(super) fn check(
    holds: bool,
    key: &'static str,
    value: impl Display + Copy,
    expected: &'static str,
) -> Result<(), SettingsError> {
    if holds {
        return Ok(());
    }
    Err(SettingsError::Range {
        key,
        value: format!("{value}"),
        expected,
    })
}
