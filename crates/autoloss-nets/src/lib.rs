//! Networks for segmentation, detection and pose in Burn, and their fast operations on the processor.
//!
//! A network maps images to logits; [`boxes`] and [`anchors`] are the plain numbers of detection, [`ops`] the
//! operations that are computed here instead of by Burn. Nothing here knows of losses, metrics, data sets or training.
//! Initial parameters come from the generator that the caller gives, so that one seed gives one network, whatever else
//! runs in the process.
//!
//! ```
//! use autoloss_nets::{NetworkSettings, SegmentationNet};
//! use burn::tensor::{Device, Tensor};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//!
//! let settings = NetworkSettings {
//!     name: "pspnet-slim".parse()?,
//!     ..NetworkSettings::default()
//! };
//! let device = Device::flex();
//! let mut rng = ChaCha8Rng::seed_from_u64(1);
//! let net = SegmentationNet::init(&settings, 11, &mut rng, &device)?;
//! let logits = net.forward(Tensor::zeros([2, 3, 32, 48], &device));
//! assert_eq!(logits.dims(), [2, 11, 32, 48]);
//! # Ok::<(), autoloss_nets::NetworkError>(())
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

pub mod anchors;
mod classifier;
pub mod deeplab;
mod detection;
mod error;
pub mod faster_rcnn;
pub mod fpn;
mod init;
mod layers;
pub mod mask_rcnn;
mod names;
pub mod ops;
mod parameters;
pub mod pose;
pub mod pspnet;
#[cfg(test)]
mod recorded;
pub mod resnet;
mod segmentation;
mod settings;
mod start;
#[cfg(test)]
mod tests;
mod weights;

pub use autoloss_boxes as boxes;

pub use classifier::Classifier;
pub use detection::{DetectionHead, DetectionName, DetectionNetSettings};
pub use error::NetworkError;
pub use faster_rcnn::{BoxPredictions, DetectionNet, RpnLevel};
pub use names::{Backbone, Name, NamedHead};
pub use pose::{PoseHead, PoseName, PoseNet, PoseNetSettings};
pub use segmentation::SegmentationNet;
pub use settings::{Head, NetworkName, NetworkSettings};
pub use weights::{Weights, WeightsError, save as save_backbone};
