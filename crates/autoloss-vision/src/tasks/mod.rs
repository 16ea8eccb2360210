//! The tasks: each is data, a network, branches and a metric in one folder.

mod branches;
mod coco_metric;
#[cfg(test)]
mod coco_tests;
mod configuration;
mod data;
mod detection;
mod errors;
mod keys;
mod made_up;
mod name;
mod pictures;
mod pose;
mod presets;
mod schedules;
mod segmentation;
mod settings;
#[cfg(test)]
mod tests;

pub use configuration::{Configuration, utf8};
pub use detection::{DetectionSettings, DetectorSettings};
pub use errors::{SetupError, TaskSettingsError};
pub use made_up::MadeUp;
pub use name::{Family, TaskName};
pub use pose::PoseSettings;
pub use schedules::VisionTask;
pub use segmentation::SegmentationSettings;
pub use settings::{FamilySettings, TaskSettings};
