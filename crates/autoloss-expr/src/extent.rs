//! Dimensions over which values vary.

/// Dimensions over which a value varies. Over other dimensions the value is constant and kept once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Over the channels.
    pub(crate) channels: bool,
    /// Over samples, height and width.
    pub(crate) positions: bool,
}

/// Dimension of a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Channels,
    /// Samples, height and width together.
    Positions,
}

impl Extent {
    pub(crate) const FULL: Self = Self::new(true, true);
    pub(crate) const ONE: Self = Self::new(false, false);

    pub(crate) const fn new(channels: bool, positions: bool) -> Self {
        Self {
            channels,
            positions,
        }
    }

    /// Extent of a pointwise function of two values.
    pub(crate) const fn join(self, other: Self) -> Self {
        Self::new(
            self.channels || other.channels,
            self.positions || other.positions,
        )
    }

    pub(crate) const fn has(self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Channels => self.channels,
            Dimension::Positions => self.positions,
        }
    }
}
