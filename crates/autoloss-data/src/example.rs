//! Images with a class for each pixel, and data sets of them.

use crate::error::DataError;
use crate::split::Split;

/// Label of ignored pixels, which take part neither in training nor in scoring.
pub const IGNORE: u8 = 255;

/// An image with the class of each pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Red, green, blue bytes; shape (height, width, 3).
    pub image: Vec<u8>,
    /// Class of each pixel, or the ignore label; shape (height, width).
    pub labels: Vec<u8>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Name of the example in the data set.
    pub name: String,
}

/// A data set for semantic segmentation.
pub trait SegmentationData: Send + Sync {
    /// Names of the classes; the position is the label.
    fn class_names(&self) -> &[String];

    /// The label of ignored pixels.
    fn ignore(&self) -> u8 {
        IGNORE
    }

    /// The class of the background, if the data set has one.
    fn background(&self) -> Option<u8>;

    /// Sentences on findings in the files that may make scores meaningless.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Number of examples of a split.
    fn len(&self, split: Split) -> usize;

    /// An example. Every label is a class or [`IGNORE`].
    ///
    /// # Errors
    /// A file that is missing, cannot be decoded, has another size than its
    /// counterpart or holds a label out of range; an index beyond the split.
    fn example(&self, split: Split, index: usize) -> Result<Example, DataError>;
}
