//! The end of a search.

use std::fmt;

use serde::{Serialize, Serializer};

/// Reason for which a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `search.evaluations` were made.
    Evaluations,
    /// The rest of `search.time` is needed for the full trainings at the end.
    Time,
    /// The user asked for it.
    Interrupted,
    /// Everything drawn was equivalent to something known, or nothing passed any more.
    NothingNew,
}

impl End {
    /// The end with that text, as a store keeps it.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [
            Self::Evaluations,
            Self::Time,
            Self::Interrupted,
            Self::NothingNew,
        ]
        .into_iter()
        .find(|end| end.to_string() == text)
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evaluations => "all evaluations were made",
            Self::Time => "the time is used up",
            Self::Interrupted => "interrupted",
            Self::NothingNew => "nothing new was found any more",
        })
    }
}
