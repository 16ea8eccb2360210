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
mod presets;
mod schedules;
mod segmentation;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use autoloss_expr::{Loss, ZooLoss};
use autoloss_search::{BranchSpec, EvaluationSet, Task};

use autoloss_data::{self as data, CachedScenes, DataError, Divided, ObjectData, Summary};
use autoloss_nets::NetworkError;

pub use configuration::{Configuration, utf8};
use detection::Detection;
pub use detection::{DetectionSettings, DetectorSettings};
pub use made_up::MadeUp;
pub use name::{Family, TaskName};
use pose::Pose;
pub use pose::PoseSettings;
use segmentation::Segmentation;
pub use segmentation::SegmentationSettings;
use settings::Common;
pub use settings::{FamilySettings, TaskSettings, TaskSettingsError};

/// A vision task. Where a job keeps files, they are `checkpoint-N.*`, `checkpoint.json`, `best.safetensors` and
/// `network.safetensors`.
pub trait VisionTask: Task {
    /// Remark for the user before a run, such as a setting that was adapted to the data.
    fn note(&self) -> Option<String>;

    /// Summary of the data: images, and how often each class occurs, set by set.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn summary(&self) -> Result<Summary, DataError>;
}

/// Images of each set whose classes are counted where the data are embedded: the program knows them, and making all of
/// them takes a while.
const EMBEDDED_COUNTED: usize = 200;

/// Data of scenes with objects as trainings see them: kept in memory, and divided into training and search set.
fn divided_scenes(
    data: Arc<dyn ObjectData>,
    settings: Common<'_>,
) -> Result<Arc<dyn ObjectData>, DataError> {
    let cached = Arc::new(CachedScenes::new(data, settings.cache));
    Ok(Arc::new(Divided::objects(cached, settings.hold_out)?))
}

/// Summary of scenes with objects; of embedded ones the first images are counted.
fn summary_of_scenes(data: &dyn ObjectData, task: TaskName) -> Result<Summary, DataError> {
    let most = match task.is_embedded() {
        true => EMBEDDED_COUNTED,
        false => usize::MAX,
    };
    data::of_scenes(data, most)
}

/// Largest number of examples of a set that are scored, by `val_images`; 0: all.
const fn scored_at_most(set: EvaluationSet, val_images: usize) -> usize {
    match set {
        EvaluationSet::Search => 0,
        EvaluationSet::Validation => val_images,
    }
}

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
    Settings(#[from] TaskSettingsError),
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
