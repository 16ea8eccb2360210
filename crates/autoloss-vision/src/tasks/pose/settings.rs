//! Settings of a task of keypoints.

use std::path::PathBuf;

use autoloss_data::{HoldOut, PersonAugmentation};
use autoloss_nets::PoseNetSettings;
use autoloss_scenes::FiguresSettings;
use serde::{Deserialize, Serialize};

use crate::tasks::settings::check_data;
use crate::tasks::{SettingsError, TaskName};
use crate::train::TrainingSettings;

/// Settings of a task of keypoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseSettings {
    /// The task.
    pub name: TaskName,
    /// Name of the metric that is searched for.
    pub metric: String,
    /// Name of the device that networks run on.
    pub device: String,
    /// Folder of the data set; embedded ones need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Rows and columns that the box of a person is cropped to.
    pub crop_size: [usize; 2],
    /// Standard deviation of a keypoint's target, in pixels of the heatmap.
    pub sigma: f32,
    /// Sigma of each keypoint, the annotators' spread as a share of the person's size, for the metric; none:
    /// COCO's where there are 17 keypoints, else 0.067 for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sigmas: Vec<f64>,
    /// Share of the training examples that is held out as the search set.
    pub search_share: f64,
    /// Search examples at most; 0: as many as the share gives.
    pub search_images: usize,
    /// Another seed holds out other examples.
    pub split_seed: u64,
    /// Validation images that results are scored on; 0: all.
    pub val_images: usize,
    /// Megabytes of decoded images kept in memory.
    pub cache_mb: usize,
    /// Scenes of the embedded task.
    #[serde(default)]
    pub figures: FiguresSettings,
    /// The network.
    pub network: PoseNetSettings,
    /// The training.
    pub training: TrainingSettings,
    /// How training crops are varied.
    pub augmentation: PersonAugmentation,
}

impl PoseSettings {
    /// Split of the training examples into training and search set.
    #[must_use]
    pub const fn hold_out(&self) -> HoldOut {
        HoldOut {
            share: self.search_share,
            most: self.search_images,
            seed: self.split_seed,
        }
    }

    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.training.check().map_err(SettingsError)?;
        self.hold_out().check().map_err(SettingsError)?;
        if self.training.crop != 0 {
            return Err(SettingsError(
                "task.training.crop: this task has task.crop_size instead".to_owned(),
            ));
        }
        check_data(self.name, self.data.as_deref())?;
        if self
            .crop_size
            .iter()
            .any(|side| *side == 0 || *side > 4096 || *side % 32 != 0)
        {
            return Err(SettingsError(format!(
                "task.crop_size is {:?}, expected two multiples of 32 up to 4096",
                self.crop_size
            )));
        }
        if !(0.1..=100.0).contains(&self.sigma) {
            return Err(SettingsError(format!(
                "task.sigma is {}, expected 0.1 to 100",
                self.sigma
            )));
        }
        self.augmentation
            .check()
            .map_err(|error| SettingsError(format!("task.{error}")))
    }
}
