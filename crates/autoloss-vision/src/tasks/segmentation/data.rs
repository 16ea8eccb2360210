//! The data sets of semantic segmentation.

use std::sync::Arc;

use autoloss_data::{
    self as data, Cached, DataError, Divided, Pictures, Resized, SegmentationData, Split, Summary,
};
use autoloss_scenes::Digits;

use super::settings::SegmentationSettings;
use crate::tasks::data::EMBEDDED_COUNTED;
use crate::tasks::errors::SetupError;
use crate::tasks::keys::FamilyKeys;
use crate::tasks::name::TaskName;

/// A data set with its summary.
pub(super) type Data = (Arc<dyn SegmentationData>, Summary);

/// The data set as trainings see it: checked, reduced, kept in memory, divided.
pub(super) fn open(settings: &SegmentationSettings) -> Result<Data, SetupError> {
    let mut data = open_original(settings)?;
    if settings.longest_side > 0 {
        data = Arc::new(Resized::new(data, settings.longest_side));
    }
    let common = settings.common();
    let cached: Arc<dyn SegmentationData> = Arc::new(Cached::new(data, common.cache));
    let read = match settings.name.is_embedded() {
        true => data::of_label_maps(&*cached, EMBEDDED_COUNTED)?,
        false => data::check(&*cached)?,
    };
    let counts = data::count_labels_of(&*cached, Split::Train)?;
    let divided = Divided::segmentation(cached, &counts, common.hold_out)?;
    let summary = divided.summary(&counts, read)?;
    Ok((Arc::new(divided), summary))
}

fn open_original(settings: &SegmentationSettings) -> Result<Arc<dyn SegmentationData>, DataError> {
    let dir = settings.data.clone().unwrap_or_default();
    Ok(match settings.name {
        name if name.is_embedded() => Arc::new(Digits::new(settings.digits.clone())?),
        TaskName::Cityscapes => Arc::new(Pictures::cityscapes(dir)?),
        _ => Arc::new(Pictures::voc(dir, settings.label_files()?)?),
    })
}

/// The boundary distance in the pixels of the reduced images, at least 1.
pub(super) fn boundary_distance(settings: &SegmentationSettings) -> Result<u32, DataError> {
    let full = settings.boundary_distance;
    if settings.longest_side == 0 {
        return Ok(full);
    }
    let original = open_original(settings)?.example(Split::Val, 0)?;
    let longer = original.width.max(original.height);
    let share = settings.longest_side.min(longer) as f64 / longer as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32"
    )]
    Ok(((f64::from(full) * share).round() as u32).max(1))
}
