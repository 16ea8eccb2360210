//! Settings of a task of keypoints.

use autoloss_data::PersonAugmentation;
use autoloss_nets::PoseNetSettings;
use autoloss_scenes::FiguresSettings;

use crate::tasks::errors::TaskSettingsError;
use crate::tasks::keys::task_settings;

task_settings! {
    /// Settings of a task of keypoints.
    pub struct PoseSettings {
        own {
            /// Rows and columns that the box of a person is cropped to.
            crop_size: [usize; 2],
            /// Standard deviation of a keypoint's target, in pixels of the heatmap.
            sigma: f32,
            /// Sigma of each keypoint for the metric, the annotators' spread as a share of the person's size; none:
            /// COCO's where there are 17 keypoints, else 0.067 for each.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            sigmas: Vec<f64>,
        }
        scenes {
            /// Scenes of the embedded task.
            figures: FiguresSettings,
        }
        networks {
            /// The network.
            network: PoseNetSettings,
        }
        augmentation: PersonAugmentation,
        free: [crop_size, sigma],
    }
}

impl PoseSettings {
    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), TaskSettingsError> {
        let common = self.common();
        common.check()?;
        if self.training.crop != 0 {
            return Err(TaskSettingsError(
                "task.training.crop: this task has task.crop_size instead".to_owned(),
            ));
        }
        common.check_data()?;
        if self
            .crop_size
            .iter()
            .any(|side| *side == 0 || *side > 4096 || *side % 32 != 0)
        {
            return Err(TaskSettingsError(format!(
                "task.crop_size is {:?}, expected two multiples of 32 up to 4096",
                self.crop_size
            )));
        }
        if !(0.1..=100.0).contains(&self.sigma) {
            return Err(TaskSettingsError(format!(
                "task.sigma is {}, expected 0.1 to 100",
                self.sigma
            )));
        }
        self.augmentation
            .check()
            .map_err(|error| TaskSettingsError(format!("task.{error}")))
    }
}
