//! The data of a task as trainings see them, and how many of the examples are counted and scored.

use std::sync::Arc;

use autoloss_data::{self as data, CachedScenes, DataError, Divided, ObjectData, Summary};
use autoloss_search::EvaluationSet;

use super::keys::Common;
use super::name::TaskName;

/// Images of each set whose classes are counted where the data are embedded: the program knows them, and making all of
/// them takes a while.
pub(super) const EMBEDDED_COUNTED: usize = 200;

/// Data of scenes with objects as trainings see them: kept in memory, and divided into training and search set.
pub(super) fn divided_scenes(
    data: Arc<dyn ObjectData>,
    settings: Common<'_>,
) -> Result<Arc<dyn ObjectData>, DataError> {
    let cached = Arc::new(CachedScenes::new(data, settings.cache));
    Ok(Arc::new(Divided::objects(cached, settings.hold_out)?))
}

/// Summary of scenes with objects; of embedded ones the first images are counted.
pub(super) fn summary_of_scenes(
    data: &dyn ObjectData,
    task: TaskName,
) -> Result<Summary, DataError> {
    let most = match task.is_embedded() {
        true => EMBEDDED_COUNTED,
        false => usize::MAX,
    };
    data::of_scenes(data, most)
}

/// Largest number of examples of a set that are scored, by `val_images`; 0: all.
pub(super) const fn scored_at_most(set: EvaluationSet, val_images: usize) -> usize {
    match set {
        EvaluationSet::Search => 0,
        EvaluationSet::Validation => val_images,
    }
}
