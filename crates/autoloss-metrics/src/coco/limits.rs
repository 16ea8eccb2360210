//! Sizes beyond which input is refused.

/// Largest number of pixels of a mask: up to here the lengths of runs survive COCO's compressed form in
/// every implementation.
pub(super) const MAX_PIXELS: u64 = 1 << 29;

/// Largest number of columns that the outlines of polygons may cross in all: a few coordinates must not
/// make a mask of gigabytes.
pub(super) const MAX_CROSSINGS: usize = 1 << 20;
