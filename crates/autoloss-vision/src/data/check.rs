//! Finding what is wrong with a data set before a run starts.

use rayon::prelude::*;

use super::{DataError, SegmentationData, Split};

/// How many problems are told in full.
const TOLD: usize = 5;

/// Reads every example of both splits once, on all cores: each file must be
/// there and decode to its last byte, image and label map must have the same
/// size, every label must be a class or the ignore label, and neither split may
/// be empty.
///
/// Decoding everything is what makes the promise good that a run will not fail
/// later on a damaged file. Given a [`Cached`](super::Cached) data set the work
/// is not lost: what fits the cache is not decoded again.
///
/// # Errors
/// [`DataError::Unusable`] with the first few problems and their number, or
/// [`DataError::Setting`] for an empty split.
pub fn check(data: &dyn SegmentationData) -> Result<(), DataError> {
    let mut places = Vec::new();
    for split in [Split::Train, Split::Val] {
        if data.len(split) == 0 {
            return Err(DataError::Setting {
                name: "data",
                reason: format!("the {split} split is empty, expected at least one example"),
            });
        }
        places.extend((0..data.len(split)).map(|index| (split, index)));
    }
    let problems: Vec<DataError> = places
        .par_iter()
        .filter_map(|&(split, index)| data.example(split, index).err())
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(DataError::Unusable {
        total: problems.len(),
        checked: places.len(),
        first: problems.into_iter().take(TOLD).collect(),
    })
}
