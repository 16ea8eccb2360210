//! Data sets for semantic segmentation: reading, checking, augmenting, batching.
//!
//! A data set implements [`SegmentationData`]; [`Loader`] turns one into an
//! endless stream of training batches made beside the training, and
//! [`Prepared`] is one example as a network takes it. Nothing here knows of
//! networks, losses or metrics.

mod augment;
mod cached;
mod check;
mod cityscapes;
mod classes;
mod divided;
mod error;
mod files;
mod folder;
mod labels;
mod loader;
mod objects;
mod pairing;
mod pictures;
mod resized;
mod roboflow;
mod streams;
mod summary;
#[cfg(test)]
mod testing;
mod voc;

use std::fmt;

pub use augment::{Augmentation, IMAGENET_MEAN, IMAGENET_STD, Prepared};
pub use cached::{Cached, CachedScenes};
pub use check::{check, meaningless};
pub use classes::background;
pub use divided::{Divided, HoldOut};
pub use error::DataError;
pub use labels::{ColourMap, LabelMap, LabelReader, LabelTable, write_label_map};
pub use loader::{Batch, Loader, LoaderSettings};
pub use objects::{
    CocoData, Corners, CropMap, Keypoints, Object, ObjectData, Person, PersonAugmentation,
    PersonBatch, PersonLoader, PersonSize, PreparedPerson, PreparedScene, Scene, SceneBatch,
    SceneLoader, SceneSize, Skeleton, decode_heatmaps, keypoint_to_coco, outlines, persons, within,
};
pub use pairing::pair_label_maps;
pub use pictures::Pictures;
pub use resized::Resized;
pub use streams::{Purpose, stream};
pub use summary::{
    ClassCount, SetSummary, Summary, Unit, count_labels_of, of_label_maps, of_scenes,
};
pub use voc::LabelFiles;

/// The label of pixels that take part neither in training nor in scoring.
pub const IGNORE: u8 = 255;

/// One image and the class of each of its pixels.
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
    /// What the data set calls this example.
    pub name: String,
}

/// The three parts of a data set.
///
/// As it is read, a data set has two of them and no search examples of its own: [`Divided`] takes those from its
/// training examples. One that makes its examples may give each training example in a second form as search example
/// of the same index, made of sources that no training example holds.
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
    /// Those that a data set has as it is read.
    pub(crate) const READ: [Self; 2] = [Self::Train, Self::Val];

    /// All of them.
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

/// A data set for semantic segmentation.
pub trait SegmentationData: Send + Sync {
    /// Names of the classes; the position is the label.
    fn class_names(&self) -> &[String];

    /// The label of pixels to be left out.
    fn ignore(&self) -> u8 {
        IGNORE
    }

    /// The class that stands for "nothing of interest", if the data set has one.
    fn background(&self) -> Option<u8>;

    /// Things about the files that may make numbers meaningless, each a sentence with its numbers.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Number of examples of a split.
    fn len(&self, split: Split) -> usize;

    /// One example, with every label a class or the ignore label.
    ///
    /// # Errors
    /// A file that is missing, cannot be decoded, has another size than its
    /// counterpart or holds a label out of range; an index beyond the split.
    fn example(&self, split: Split, index: usize) -> Result<Example, DataError>;
}

/// The error for an index beyond a split, before any slice is indexed.
pub fn in_split(split: Split, index: usize, len: usize) -> Result<(), DataError> {
    if index < len {
        Ok(())
    } else {
        Err(DataError::NoExample { split, index, len })
    }
}
