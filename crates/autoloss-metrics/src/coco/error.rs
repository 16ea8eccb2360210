//! What can be wrong with annotations, results and masks.

use super::Kind;

/// What can be wrong with the input of a COCO evaluation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CocoError {
    /// The text is no JSON, or a value is of another type than COCO's format has there.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// Line of the text, counted from 1.
        line: usize,
        /// Byte of the line, counted from 1.
        column: usize,
        /// What was found, and what was expected.
        problem: String,
    },
    /// The annotations hold no list of this name.
    #[error(
        "no `{0}` in the annotations: expected an object with `images`, `categories` and `annotations`"
    )]
    MissingList(&'static str),
    /// An entry of a list lacks a field.
    #[error("{item} has no `{field}`: expected {expected}")]
    MissingField {
        /// Which entry.
        item: Item,
        /// The field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field holds a list of another length than it must.
    #[error("{item}: `{field}` holds {found} numbers, expected {expected}")]
    Length {
        /// Which entry.
        item: Item,
        /// The field.
        field: &'static str,
        /// How many numbers it holds.
        found: usize,
        /// How many it should hold.
        expected: usize,
    },
    /// A prediction is of an image that the target does not have.
    #[error(
        "{item} is of image {image}, which the annotations do not have: expected results of the same images"
    )]
    UnknownImage {
        /// Which prediction.
        item: Item,
        /// The image it names.
        image: i64,
    },
    /// The size of an image is needed to draw a polygon, and is not given.
    #[error(
        "{item} is of image {image}, whose `height` and `width` the annotations do not give: expected both, to draw its polygons"
    )]
    UnknownSize {
        /// Which entry.
        item: Item,
        /// The image.
        image: i64,
    },
    /// The mask of an entry cannot be read.
    #[error("{item}: {problem}")]
    Mask {
        /// Which entry.
        item: Item,
        /// What is wrong with the mask.
        problem: MaskError,
    },
    /// The area of results without boxes is taken from compressed masks only.
    #[error(
        "{item}: `segmentation` is no compressed mask: expected one, or a `bbox` in the first result to take the area from"
    )]
    Uncompressed {
        /// Which prediction.
        item: Item,
    },
    /// Results of captions, which have no region.
    #[error("the results are captions: expected `bbox`, `segmentation` or `keypoints` in each")]
    Captions,
    /// A target or a prediction has another shape than the one that is evaluated.
    #[error("{item} has a {found}, expected a {expected}")]
    Shape {
        /// Which entry.
        item: Item,
        /// What it has.
        found: Kind,
        /// What it should have.
        expected: Kind,
    },
}

/// An entry of one of the lists, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// An image of the annotations.
    Image(usize),
    /// A category of the annotations.
    Category(usize),
    /// A target.
    Annotation {
        /// Its place in the list.
        index: usize,
        /// Its `id`, if it is known.
        id: Option<i64>,
    },
    /// A prediction.
    Result(usize),
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(index) => write!(f, "images[{index}]"),
            Self::Category(index) => write!(f, "categories[{index}]"),
            Self::Annotation { index, id: None } => write!(f, "annotations[{index}]"),
            Self::Annotation {
                index,
                id: Some(id),
            } => write!(f, "annotations[{index}] (id {id})"),
            Self::Result(index) => write!(f, "results[{index}]"),
        }
    }
}

/// What can be wrong with a mask.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// A compressed mask holds a byte outside of its alphabet.
    #[error(
        "byte {byte:#04x} at {position} of the compressed mask: expected `0` (0x30) to `o` (0x6f)"
    )]
    Alphabet {
        /// Where it is, counted from 0.
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
        super::mask::MAX_PIXELS
    )]
    Run {
        /// Which run, counted from 0.
        run: usize,
    },
    /// The runs cover more or fewer pixels than the mask has.
    #[error("the runs of the mask cover {covered} pixels, expected {height} x {width}")]
    Covered {
        /// The pixels that they cover.
        covered: u64,
        /// Rows of the mask.
        height: u32,
        /// Columns of the mask.
        width: u32,
    },
    /// The mask has more pixels than are supported.
    #[error(
        "a mask of {height} x {width} pixels: expected at most {} in all",
        super::mask::MAX_PIXELS
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
        super::polygon::MAX_CROSSINGS
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
