//! Extents of fields.

use std::fmt;

/// Shape of a field: samples, channels, height, width. Elements lie in that order (NCHW).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of samples.
    pub n: usize,
    /// Number of channels.
    pub c: usize,
    /// Height in pixels.
    pub h: usize,
    /// Width in pixels.
    pub w: usize,
}

impl Shape {
    /// A shape of these four extents.
    #[must_use]
    pub const fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// Number of elements.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a shape is no container")]
    pub const fn len(&self) -> usize {
        self.n * self.c * self.h * self.w
    }

    /// Number of positions (n, h, w), which the loss value is a mean over.
    #[must_use]
    pub const fn positions(&self) -> usize {
        self.n * self.h * self.w
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}, {}, {})", self.n, self.c, self.h, self.w)
    }
}
