//! Evaluation metrics on plain arrays: label maps or detections in, numbers out.
//!
//! The six metrics of semantic segmentation are in one table, [`Metric`].
//! [`SegmentationScore`] counts in integers over a data set, the same for thousands
//! of images and for a single one, and counts only for the metrics that are asked
//! for.
//!
//! ```
//! use autoloss_metrics::{Metric, SegmentationScore, SegmentationSettings, SegmentationTarget};
//!
//! let settings = SegmentationSettings {
//!     classes: 2,
//!     background: Some(0),
//!     distance: 5,
//!     metrics: vec![Metric::MIoU, Metric::BF1],
//! };
//! // 255 is no class, so the last pixel is ignored.
//! let target = SegmentationTarget::new(vec![0, 0, 1, 1, 1, 255], 3, 2, &settings)?;
//! let mut score = SegmentationScore::new(settings)?;
//! score.add(&target, &[0, 0, 1, 0, 1, 1])?;
//! // Class 0: 2 of 3 pixels; class 1: 2 of 3 pixels.
//! assert!((score.get(Metric::MIoU) - 2.0 / 3.0).abs() < 1e-12);
//! assert!((score.get(Metric::BF1) - 1.0).abs() < 1e-12);
//! # Ok::<(), autoloss_metrics::MetricError>(())
//! ```
//!
//! The parts can be used by themselves: [`Confusion`] is the confusion matrix,
//! [`TargetEdges`] and [`BoundaryF1`] are the edges of label maps and their
//! matches, [`argmax_channels`] gives labels from class scores.
//!
//! [`coco`] scores boxes, masks and keypoints, with the numbers of pycocotools.
//!
//! The crate knows nothing of losses and networks.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod argmax;
mod bits;
mod boundary;
pub mod coco;
mod confusion;
mod error;
mod metric;
#[cfg(test)]
mod reference;
mod segmentation;

pub use argmax::{argmax, argmax_channels};
pub use boundary::{BoundaryF1, TargetEdges};
pub use confusion::Confusion;
pub use error::MetricError;
pub use metric::Metric;
pub use segmentation::{ClassScore, SegmentationScore, SegmentationSettings, SegmentationTarget};
