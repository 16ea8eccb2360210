//! Settings of a segmentation task.

use std::path::PathBuf;

use autoloss_data::{Augmentation, DataError, LabelFiles};
use autoloss_nets::NetworkSettings;
use autoloss_scenes::DigitsSettings;

use crate::memory;
use crate::tasks::errors::TaskSettingsError;
use crate::tasks::keys::task_settings;
use crate::tasks::name::TaskName;

/// Numbers that any network keeps of a pixel while it is trained, at least.
const NUMBERS_A_PIXEL: usize = 32;

task_settings! {
    /// Settings of a segmentation task.
    pub struct SegmentationSettings {
        own {
            /// Names of the classes in the order of their labels, where the folder does not say.
            #[serde(skip_serializing_if = "Option::is_none")]
            classes: Option<Vec<String>>,
            /// Table from the numbers in label files to labels, as in `0=0,255=1`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            label_map: Option<String>,
            /// File of a colour map, where label files are coloured masks.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            colors: Option<PathBuf>,
            /// Images are reduced so that the longer side has at most this many pixels; 0: as they are.
            #[serde(default)]
            longest_side: usize,
            /// Chebyshev distance of the boundary metrics in pixels, at full size.
            boundary_distance: u32,
        }
        scenes {
            /// Scenes of the task `digits`.
            digits: DigitsSettings,
        }
        networks {
            /// The network.
            network: NetworkSettings,
        }
        augmentation: Augmentation,
        free: [boundary_distance],
    }
}

impl SegmentationSettings {
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

    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), TaskSettingsError> {
        let common = self.common();
        common.check()?;
        if self.training.crop == 0 {
            return Err(TaskSettingsError(
                "task.training.crop is 0, expected at least 1".to_owned(),
            ));
        }
        let crop = self.training.crop;
        memory::check(
            "task.training.batch times task.training.crop squared",
            &[self.training.batch, crop, crop],
            NUMBERS_A_PIXEL,
        )
        .map_err(TaskSettingsError)?;
        common.check_data()?;
        let own = match self.name {
            name if name.is_embedded() => Some(11),
            TaskName::Cityscapes => Some(19),
            _ => None,
        };
        let given = [
            ("classes", self.classes.is_some()),
            ("label_map", self.label_map.is_some()),
            ("colors", self.colors.is_some()),
        ];
        if let (Some(own), Some((key, _))) = (own, given.iter().find(|(_, given)| *given)) {
            return Err(TaskSettingsError(format!(
                "the task `{}` has its own {own} classes: leave `{key}` out",
                self.name
            )));
        }
        self.label_files()
            .map_err(|error| TaskSettingsError(format!("task.{error}")))?;
        self.augmentation
            .check()
            .map_err(|error| TaskSettingsError(format!("task.{error}")))
    }
}
