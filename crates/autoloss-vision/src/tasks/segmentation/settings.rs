//! Settings of a segmentation task.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, DigitsSettings};
use crate::nets::NetworkSettings;
use crate::tasks::settings::check_data;
use crate::tasks::{SettingsError, TaskName};
use crate::train::TrainingSettings;

/// Settings of a segmentation task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationSettings {
    /// The task.
    pub name: TaskName,
    /// Name of the metric that is searched for.
    pub metric: String,
    /// Name of the device that networks run on.
    pub device: String,
    /// Folder of the data set; `digits` needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Names of the classes in the order of their labels, where the folder does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Images are reduced so that the longer side has at most this many pixels; 0: as they are.
    #[serde(default)]
    pub longest_side: usize,
    /// Chebyshev distance of the boundary metrics in pixels, at full size.
    pub boundary_distance: u32,
    /// Validation examples that are scored; 0: all.
    pub val_images: usize,
    /// Megabytes of decoded examples kept in memory.
    pub cache_mb: usize,
    /// Scenes of the task `digits`.
    #[serde(default)]
    pub digits: DigitsSettings,
    /// The network.
    pub network: NetworkSettings,
    /// The training.
    pub training: TrainingSettings,
    /// How training examples are varied.
    pub augmentation: Augmentation,
}

impl SegmentationSettings {
    /// The preset of a task.
    #[must_use]
    pub fn preset(task: TaskName) -> Self {
        toml::from_str(task.preset()).expect("presets are settings, as tested")
    }

    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.training.check().map_err(SettingsError)?;
        if self.training.crop == 0 {
            return Err(SettingsError(
                "task.training.crop is 0, expected at least 1".to_owned(),
            ));
        }
        check_data(self.name, self.data.as_deref())?;
        if self.name == TaskName::Digits && self.classes.is_some() {
            return Err(SettingsError(
                "the task `digits` has its own 11 classes: leave `classes` out".to_owned(),
            ));
        }
        if self.name == TaskName::Cityscapes && self.classes.is_some() {
            return Err(SettingsError(
                "the task `cityscapes` has its own 19 classes: leave `classes` out".to_owned(),
            ));
        }
        self.augmentation
            .check()
            .map_err(|error| SettingsError(format!("task.{error}")))
    }
}
