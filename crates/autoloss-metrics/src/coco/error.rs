//! Errors of annotations and results.

use super::mask::MaskError;
use super::region::Kind;

/// Wrong input of a COCO evaluation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CocoError {
    /// The text is no JSON, or a value is of another type than COCO's format has there.
    #[error("{}{problem}", before(place))]
    Json {
        /// The entry and the field, such as `annotations[3].bbox`; empty for the text as a whole.
        place: String,
        /// Value that was found, and value that was expected.
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
        /// The entry.
        item: Item,
        /// The field.
        field: &'static str,
        /// Content that the field should hold.
        expected: &'static str,
    },
    /// A list of a wrong length.
    #[error("{item}: `{field}` holds {found} numbers, expected {expected}")]
    Length {
        /// The entry.
        item: Item,
        /// The field.
        field: &'static str,
        /// Number of numbers in the list.
        found: usize,
        /// Number of numbers that the list should hold.
        expected: usize,
    },
    /// Sigmas that do not fit a category, or that are no positive numbers.
    #[error("{0}")]
    Sigmas(String),
    /// A keypoint whose counterpart on the other side is missing.
    #[error("the keypoint `{name}` has a side, but there is no `{expected}`: expected both")]
    LonelyKeypoint {
        /// Name of the keypoint.
        name: String,
        /// The name that is missing, in words.
        expected: String,
    },
    /// A prediction is of an image that the target does not have.
    #[error(
        "{item} is of image {image}, which the annotations do not have: expected results of the same images"
    )]
    UnknownImage {
        /// The prediction.
        item: Item,
        /// The image that the prediction names.
        image: String,
    },
    /// The size of an image is needed to draw a polygon, and is not given.
    #[error(
        "{item}: image {image} has {stated}: expected a height and a width of 1 or more, to draw its polygons"
    )]
    UnknownSize {
        /// The entry.
        item: Item,
        /// The image.
        image: String,
        /// Size of the image in the annotations.
        stated: String,
    },
    /// A mask has another size than its image.
    #[error(
        "{item}: its mask has {} rows and {} columns, but image {image} has {} and {}: expected a mask of the image's size",
        mask.0, mask.1, size.0, size.1
    )]
    MaskSize {
        /// The entry.
        item: Item,
        /// The image.
        image: String,
        /// Rows and columns of the mask.
        mask: (u32, u32),
        /// Rows and columns of the image.
        size: (u32, u32),
    },
    /// The mask of an entry cannot be read.
    #[error("{item}: {problem}")]
    Mask {
        /// The entry.
        item: Item,
        /// Fault of the mask.
        problem: MaskError,
    },
    /// The area of results without boxes is taken from compressed masks only.
    #[error(
        "{item}: `segmentation` is no compressed mask: expected one, or a `bbox` in the first result to take the area from"
    )]
    Uncompressed {
        /// The prediction.
        item: Item,
    },
    /// Results of captions, which have no region.
    #[error("the results are captions: expected `bbox`, `segmentation` or `keypoints` in each")]
    Captions,
    /// The region of a target or a prediction is of another kind than the one that is evaluated.
    #[error("{item} has a {found}, expected a {expected}")]
    Region {
        /// The entry.
        item: Item,
        /// Kind of the region that was found.
        found: Kind,
        /// Kind that is evaluated.
        expected: Kind,
    },
}

impl CocoError {
    /// A value that cannot be read; [`Self::inside`] adds the place.
    pub(super) fn json(problem: String) -> Self {
        Self::Json {
            place: String::new(),
            problem,
        }
    }

    /// The error with its place inside of a field, or of an entry of a list (`[3]`).
    pub(super) fn inside(self, outer: &str) -> Self {
        match self {
            Self::Json { place, problem } => {
                let dot = match place.is_empty() || place.starts_with('[') {
                    true => "",
                    false => ".",
                };
                Self::Json {
                    place: format!("{outer}{dot}{place}"),
                    problem,
                }
            }
            other => other,
        }
    }
}

/// The place of an error, before its description.
fn before(place: &str) -> String {
    match place {
        "" => String::new(),
        place => format!("{place}: "),
    }
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
        /// Place in the list.
        index: usize,
        /// `id` of the annotation, if it is a number.
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
