//! Data sets of images: reading, checks, augmentation, loading.
//!
//! A data set implements [`SegmentationData`] (a class for each pixel) or [`ObjectData`] (boxes, masks, keypoints);
//! [`Loader`] makes endless batches of one beside the training, [`Divided`] holds out a search set.
//!
//! Nothing here knows of networks, losses, searches or a deep-learning framework, and nothing is scored. Of
//! `autoloss-metrics` it takes COCO's file format alone: the one reader of annotations, and the masks it gives.
//! Random numbers come from [`stream`]s of a seed, so that example and batch n are pure functions of data, settings,
//! seed and n.
//!
//! ```
//! use autoloss_data::{DataError, Example, Prepared, SegmentationData, Split, in_split};
//!
//! /// One image of a white and a black pixel, which are the classes 1 and 0.
//! struct Two(Vec<String>);
//!
//! impl SegmentationData for Two {
//!     fn class_names(&self) -> &[String] {
//!         &self.0
//!     }
//!
//!     fn background(&self) -> Option<u8> {
//!         Some(0)
//!     }
//!
//!     fn len(&self, split: Split) -> usize {
//!         usize::from(split == Split::Train)
//!     }
//!
//!     fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
//!         in_split(split, index, self.len(split))?;
//!         Ok(Example {
//!             image: vec![255, 255, 255, 0, 0, 0],
//!             labels: vec![1, 0],
//!             width: 2,
//!             height: 1,
//!             name: "both".to_owned(),
//!         })
//!     }
//! }
//!
//! let data = Two(vec!["black".to_owned(), "white".to_owned()]);
//! let prepared = Prepared::whole(&data.example(Split::Train, 0)?);
//! assert_eq!((prepared.width, prepared.labels), (2, vec![1, 0]));
//! let error = data.example(Split::Val, 0).unwrap_err();
//! assert!(error.to_string().contains("the val split has 0 examples"));
//! # Ok::<(), DataError>(())
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod augment;
mod cached;
mod check;
mod cityscapes;
mod classes;
mod divided;
mod error;
mod example;
mod files;
mod folder;
mod label_files;
mod labels;
mod loader;
mod objects;
mod pairing;
mod pictures;
mod resized;
mod roboflow;
mod split;
mod streams;
mod summary;
#[cfg(test)]
mod testing;
mod voc;

pub use augment::{Augmentation, IMAGENET_MEAN, IMAGENET_STD, Prepared};
pub use cached::{Cached, CachedScenes};
pub use check::{check, meaningless};
pub use classes::background;
pub use divided::{Divided, HoldOut};
pub use error::{DataError, in_split};
pub use example::{Example, IGNORE, SegmentationData};
pub use label_files::LabelFiles;
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
pub use split::Split;
pub use streams::{Purpose, stream};
pub use summary::{
    ClassCount, SetSummary, Summary, Unit, count_labels_of, of_label_maps, of_scenes,
};
