//! Settings of a segmentation task.

use std::path::PathBuf;

use autoloss_data::{Augmentation, DataError, HoldOut, LabelFiles};
use autoloss_nets::NetworkSettings;
use autoloss_scenes::DigitsSettings;
use serde::{Deserialize, Serialize};

use crate::memory;
use crate::tasks::settings::check_data;
use crate::tasks::{SettingsError, TaskName};
use crate::train::TrainingSettings;

/// Numbers that any network keeps of a pixel while it is trained, at the least.
const NUMBERS_A_PIXEL: usize = 32;

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
    /// Table from the numbers in label files to labels, as in `0=0,255=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_map: Option<String>,
    /// File of a colour map, where label files are coloured masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colors: Option<PathBuf>,
    /// Images are reduced so that the longer side has at most this many pixels; 0: as they are.
    #[serde(default)]
    pub longest_side: usize,
    /// Chebyshev distance of the boundary metrics in pixels, at full size.
    pub boundary_distance: u32,
    /// Share of the training examples that is held out as the search set.
    pub search_share: f64,
    /// Search examples at most; 0: as many as the share gives.
    pub search_images: usize,
    /// Another seed holds out other examples.
    pub split_seed: u64,
    /// Validation examples that results are scored on; 0: all.
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
        super::super::settings::preset(task)
    }

    /// The meaning of label files, as the settings have it.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub(super) fn label_files(&self) -> Result<LabelFiles, DataError> {
        let table = self.label_map.as_deref().map(str::parse).transpose()?;
        Ok(LabelFiles {
            classes: self.classes.clone(),
            table: table.unwrap_or_default(),
            colours: self.colors.clone(),
        })
    }

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
        if self.training.crop == 0 {
            return Err(SettingsError(
                "task.training.crop is 0, expected at least 1".to_owned(),
            ));
        }
        let crop = self.training.crop;
        memory::check(
            "task.training.batch times task.training.crop squared",
            &[self.training.batch, crop, crop],
            NUMBERS_A_PIXEL,
        )
        .map_err(SettingsError)?;
        check_data(self.name, self.data.as_deref())?;
        let own = match self.name {
            TaskName::Digits => Some(11),
            TaskName::Cityscapes => Some(19),
            _ => None,
        };
        let given = [
            ("classes", self.classes.is_some()),
            ("label_map", self.label_map.is_some()),
            ("colors", self.colors.is_some()),
        ];
        if let (Some(own), Some((key, _))) = (own, given.iter().find(|(_, given)| *given)) {
            return Err(SettingsError(format!(
                "the task `{}` has its own {own} classes: leave `{key}` out",
                self.name
            )));
        }
        self.label_files()
            .map_err(|error| SettingsError(format!("task.{error}")))?;
        self.augmentation
            .check()
            .map_err(|error| SettingsError(format!("task.{error}")))
    }
}
