//! Rows of the tables of named losses.

/// Things that a loss compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZooKind {
    /// Class probabilities with one-hot targets.
    Classes,
    /// Numbers, such as encoded boxes and heatmaps.
    Numbers,
    /// Predicted boxes with target boxes, by their areas.
    Boxes,
}

impl ZooKind {
    /// The kind in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Numbers => "numbers",
            Self::Boxes => "boxes",
        }
    }
}

/// A named loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZooLoss {
    /// Name, for `zoo:NAME`.
    pub name: &'static str,
    /// Things that the loss compares.
    pub kind: ZooKind,
    /// Formula of one branch.
    pub formula: &'static str,
    /// Name in full, and the publication that the loss comes from.
    pub source: &'static str,
}
