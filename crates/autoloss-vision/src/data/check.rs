//! Finding what is wrong with a data set before a run starts.

use rayon::prelude::*;

use super::summary::{add_counts, count_labels};
use super::{DataError, SegmentationData, SetSummary, Split, Summary};

/// How many problems are told in full.
const TOLD: usize = 5;

/// Reads every example of all sets once, on all cores, and counts the pixels of
/// each class: each file must be there and decode to its last byte, image and
/// label map must have the same size, every label must be a class or the ignore
/// label, and no set may be empty.
///
/// Decoding everything is what makes the promise good that a run will not fail
/// later on a damaged file. Given a [`Cached`](super::Cached) data set the work
/// is not lost: what fits the cache is not decoded again.
///
/// # Errors
/// [`DataError::Unusable`] with the first few problems and their number, or
/// [`DataError::Setting`] for an empty set.
pub fn check(data: &dyn SegmentationData) -> Result<Summary, DataError> {
    let names = data.class_names();
    let (mut sets, mut problems, mut checked) = (Vec::new(), Vec::new(), 0);
    for split in Split::ALL {
        let images = data.len(split);
        if images == 0 {
            return Err(DataError::Setting {
                name: "data",
                reason: format!("the {split} split is empty, expected at least one example"),
            });
        }
        let read: Vec<Result<Vec<u64>, DataError>> = (0..images)
            .into_par_iter()
            .map(|index| {
                let example = data.example(split, index)?;
                Ok(count_labels(&example.labels, names.len()))
            })
            .collect();
        let mut counts = vec![0; names.len() + 1];
        for read in read {
            match read {
                Ok(more) => counts = add_counts(counts, &more),
                Err(problem) => problems.push(problem),
            }
        }
        sets.push(SetSummary::of_pixels(split, images, names, &counts));
        checked += images;
    }
    if problems.is_empty() {
        return Ok(Summary::of_sets(sets));
    }
    Err(DataError::Unusable {
        total: problems.len(),
        checked,
        first: problems.into_iter().take(TOLD).collect(),
    })
}
