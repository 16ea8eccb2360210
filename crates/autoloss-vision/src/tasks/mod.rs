//! The tasks: each is data, a network, branches and a metric in one file.

mod made_up;
mod segmentation;
mod settings;

pub use made_up::MadeUp;
pub use segmentation::{Segmentation, SetupError};
pub use settings::{SegmentationSettings, SettingsError, TaskName};
