//! Sizes of diagrams, in the units of their view boxes.

/// Width and height of a diagram.
pub(super) const SIZE: [f64; 2] = [560.0, 260.0];

/// Margin on the left, for the numbers of the vertical axis.
pub(super) const LEFT: f64 = 58.0;

/// Margin below, for the numbers and the label of the horizontal axis.
pub(super) const BELOW: f64 = 42.0;

/// Margin on the other sides.
pub(super) const MARGIN: f64 = 12.0;
