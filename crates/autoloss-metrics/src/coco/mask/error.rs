//! Errors of masks.

use crate::coco::limits::{MAX_CROSSINGS, MAX_PIXELS};

/// A wrong mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// A compressed mask holds a byte outside of its alphabet.
    #[error(
        "byte {byte:#04x} at {position} of the compressed mask: expected `0` (0x30) to `o` (0x6f)"
    )]
    Alphabet {
        /// Place of the byte, counted from 0.
        position: usize,
        /// The byte.
        byte: u8,
    },
    /// A compressed mask ends within a number.
    #[error("the compressed mask ends within a run: expected more of it")]
    Truncated,
    /// A run is longer than any image, or its length is negative.
    #[error(
        "run {run} of the mask is negative or longer than {} pixels",
        MAX_PIXELS
    )]
    Run {
        /// Number of the run, counted from 0.
        run: usize,
    },
    /// The runs cover more or fewer pixels than the mask has.
    #[error("the runs of the mask cover {covered} pixels, expected {height} x {width}")]
    Covered {
        /// Number of pixels in all runs.
        covered: u64,
        /// Rows of the mask.
        height: u32,
        /// Columns of the mask.
        width: u32,
    },
    /// The mask has more pixels than are supported.
    #[error(
        "a mask of {height} x {width} pixels: expected at most {} in all",
        MAX_PIXELS
    )]
    TooLarge {
        /// Rows of the mask.
        height: u32,
        /// Columns of the mask.
        width: u32,
    },
    /// A bitmap has another number of pixels than its size says.
    #[error("a bitmap of {found} pixels: expected {height} x {width}")]
    Bitmap {
        /// The number of pixels.
        found: usize,
        /// Rows of the mask.
        height: u32,
        /// Columns of the mask.
        width: u32,
    },
    /// A polygon without points to span an area.
    #[error("the first polygon holds {0} numbers: expected x and y of at least 3 points")]
    FewPoints(usize),
    /// There is no polygon.
    #[error("the list of polygons is empty: expected at least one")]
    NoPolygon,
    /// A coordinate that no image reaches.
    #[error("a polygon has the coordinate {0}: expected at most 1e8, positive or negative")]
    Coordinate(f64),
    /// Polygons whose outlines are longer than is supported.
    #[error(
        "the outlines of the polygons cross more than {} columns of pixels in all",
        MAX_CROSSINGS
    )]
    LongOutline,
    /// The image to draw on has no pixels.
    #[error("polygons on an image of {height} x {width} pixels: expected at least 1 x 1")]
    NoPixels {
        /// Rows of the image.
        height: u32,
        /// Columns of the image.
        width: u32,
    },
}
