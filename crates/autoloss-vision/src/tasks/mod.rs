//! The tasks: each is data, a network, branches and a metric in one file.

mod segmentation;
mod settings;

pub use segmentation::{Segmentation, SetupError};
pub use settings::{SegmentationSettings, SettingsError, TaskName};
