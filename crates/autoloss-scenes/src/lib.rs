//! The embedded data sets: scenes composed from handwritten digits, and scenes of human figures.
//!
//! [`Digits`] serves segmentation, detection and instance segmentation, [`Figures`] pose. Both implement the data set
//! traits of `autoloss-data` and know nothing of networks, losses, searches or a deep-learning framework; of
//! `autoloss-metrics` they take masks and COCO's order of keypoints. A scene is a pure function of the settings, the
//! split and its index.
//!
//! ```
//! use autoloss_data::{ObjectData, SegmentationData, Split};
//! use autoloss_scenes::{Digits, DigitsSettings};
//!
//! let settings = DigitsSettings { size: 32, ..DigitsSettings::default() };
//! let data = Digits::new(settings)?;
//! let scene = data.example(Split::Train, 7)?;
//! assert_eq!((scene.width, scene.labels.len()), (32, 32 * 32));
//! let objects = data.scene(Split::Train, 7)?.objects;
//! assert!(objects.iter().all(|digit| digit.mask.is_some()));
//! # Ok::<(), autoloss_data::DataError>(())
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod digits;
mod drawing;
mod figures;
mod range;
#[cfg(test)]
mod testing;

pub use digits::{Digits, DigitsSettings, asset, single_digit};
pub use figures::{Figures, FiguresSettings};
