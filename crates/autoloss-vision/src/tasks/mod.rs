//! The tasks: each is data, a network, branches and a metric in one folder.

mod coco_metric;
#[cfg(test)]
mod coco_tests;
mod configuration;
mod detection;
mod made_up;
mod name;
mod pictures;
mod pose;
mod schedules;
mod segmentation;
mod settings;
#[cfg(test)]
mod tests;

use autoloss_data::{DataError, Summary};
use autoloss_expr::{Loss, ZooLoss};
use autoloss_nets::NetworkError;
use autoloss_search::{BranchSpec, Task};

use crate::learner::Learner;

pub use configuration::{Configuration, utf8};
pub use detection::{Detection, DetectionSettings, DetectorSettings};
pub use made_up::MadeUp;
pub use name::{Family, TaskName};
pub use pose::{Pose, PoseSettings};
pub use segmentation::{Segmentation, SegmentationSettings};
pub use settings::{FamilySettings, SettingsError, TaskSettings};

/// A vision task. Where a job keeps files, they are `checkpoint-N.*`, `checkpoint.json`, `best.safetensors` and
/// `network.safetensors`.
pub trait VisionTask: Task {
    /// What a user should know before a run, such as a setting that was adapted to the data.
    fn note(&self) -> Option<String>;

    /// Summary of the data: images, and how often each class occurs, set by set.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn summary(&self) -> Result<Summary, DataError>;
}

impl<T: Task + Learner> VisionTask for T {
    fn note(&self) -> Option<String> {
        Learner::note(self)
    }

    fn summary(&self) -> Result<Summary, DataError> {
        Learner::summary(self)
    }
}

/// Images of each set whose classes are counted where the data are embedded: they never surprise, and
/// making all of them takes a while.
const EMBEDDED_COUNTED: usize = 200;

/// Hand-written losses of a task with one branch.
fn zoo_baselines<const N: usize>(branch: &BranchSpec, names: [&str; N]) -> Vec<(String, Loss)> {
    let zoo = names.into_iter().filter_map(ZooLoss::from_name);
    zoo.map(|zoo| (zoo.name.to_owned(), Loss::single(&branch.name, zoo.tree())))
        .collect()
}

/// Why a task could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Data that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An unknown metric, or a number of classes no metric takes.
    #[error(transparent)]
    Metric(#[from] autoloss_metrics::MetricError),
}
