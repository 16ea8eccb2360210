//! The parts of a data set.

use std::fmt;

/// Part of a data set.
///
/// A data set as it is read has the parts `Train` and `Val`; [`Divided`](crate::Divided) takes the search examples from
/// the training examples. A data set that makes its examples may give each training example in a second form: the
/// search example of the same index, made of sources that no training example holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Examples that networks are trained on.
    Train,
    /// Training examples held out to choose losses and checkpoints by.
    Search,
    /// Examples of the validation set, for results alone.
    Val,
}

impl Split {
    /// The parts of a data set as it is read.
    pub(crate) const READ: [Self; 2] = [Self::Train, Self::Val];

    /// All parts.
    pub const ALL: [Self; 3] = [Self::Train, Self::Search, Self::Val];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Search => "search",
            Self::Val => "val",
        })
    }
}
