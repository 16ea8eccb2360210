//! Checks of a data set before a run starts.

use rayon::prelude::*;

use crate::error::DataError;
use crate::example::SegmentationData;
use crate::split::Split;
use crate::summary::{ClassCount, SetSummary, Summary};
use crate::summary::{add_counts, count_labels};

/// Problems told in full.
const TOLD: usize = 5;

/// Reads every example of all sets once, on all cores, and counts the pixels of
/// each class: each file must be there and decode to its last byte, image and
/// label map must have the same size, every label must be a class or the ignore
/// label, no set may be empty, and each must hold something to tell predictions
/// apart by.
///
/// Only a complete decoding ensures that no run fails
/// later on a damaged file. Given a [`Cached`](crate::Cached) data set the work
/// is not lost: what fits the cache is not decoded again.
///
/// # Errors
/// [`DataError::Unusable`] with the first few problems and their number,
/// [`DataError::Setting`] for an empty set, [`DataError::Meaningless`] for one
/// of ignored pixels.
pub fn check(data: &dyn SegmentationData) -> Result<Summary, DataError> {
    let names = data.class_names();
    let (mut sets, mut problems, mut checked) = (Vec::new(), Vec::new(), 0);
    for split in Split::READ {
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
    if !problems.is_empty() {
        return Err(DataError::Unusable {
            total: problems.len(),
            checked,
            first: problems.into_iter().take(TOLD).collect(),
        });
    }
    for set in &sets {
        let counts = set.classes.iter().map(|class| class.count);
        let counts: Vec<u64> = counts.chain([set.ignored]).collect();
        if let Some(reason) = meaningless(&counts) {
            return Err(DataError::Meaningless {
                set: set.set.clone(),
                reason,
            });
        }
    }
    let mut summary = Summary::of_sets(sets);
    summary.warnings = data.warnings();
    summary.warnings.extend(doubtful(&summary.sets));
    Ok(summary)
}

/// The reason why label maps cannot tell a good prediction from a bad one, if there is one. `counts` are the pixels of
/// each class and, last, the ignored pixels.
///
/// Absent classes and ignored pixels alone are no reason: parts of data sets lack classes, and borders of objects are
/// ignored. Masks of 0 and 255, however, hold only the first class and ignored pixels if 255 is read as "ignored". A
/// prediction without any object would then be perfect.
#[must_use]
pub fn meaningless(counts: &[u64]) -> Option<String> {
    let (ignored, classes) = counts.split_last()?;
    let present = classes.iter().filter(|count| **count > 0).count();
    if *ignored == 0 {
        return None;
    }
    if present == 0 {
        return Some(format!(
            "all {ignored} pixels are ignored, so that there is nothing to learn or to score; \
             expected labels 0 to {}. Where the files mean classes by other numbers, name them with \
             --label-map, as in --label-map 255=1",
            classes.len().saturating_sub(1)
        ));
    }
    (present == 1 && classes[0] > 0 && classes.len() > 1).then(|| {
        format!(
            "of the classes only that of label 0 occurs ({} pixels), and {ignored} pixels are ignored \
             (label 255), so that a prediction which finds nothing would be perfect. Masks of 0 and 255 \
             look like this: give --label-map 0=0,255=1 for them. If 255 does stand for ignored pixels, \
             add images with other classes",
            classes[0]
        )
    })
}

/// Warnings of sets whose scores may say little.
fn doubtful(sets: &[SetSummary]) -> Vec<String> {
    let mut warnings = Vec::new();
    for set in sets {
        let present: Vec<&ClassCount> = set.classes.iter().filter(|c| c.count > 0).collect();
        if let [only] = present[..] {
            let name = &only.name;
            warnings.push(format!(
                "{}: {name} alone occurs ({} pixels): a prediction of {name} everywhere is perfect",
                set.set, only.count
            ));
        }
    }
    let Some((train, others)) = sets.split_first() else {
        return warnings;
    };
    for set in others {
        let unseen = train.classes.iter().zip(&set.classes);
        for (_, class) in unseen.filter(|(seen, class)| seen.count == 0 && class.count > 0) {
            warnings.push(format!(
                "{}: {} pixels of {}, of which {} has none: no network can learn it",
                set.set, class.count, class.name, train.set
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;
    use crate::testing::message;

    /// Label maps of one row each.
    struct Rows(Vec<String>, [Vec<Vec<u8>>; 2]);

    impl SegmentationData for Rows {
        fn class_names(&self) -> &[String] {
            &self.0
        }
        fn background(&self) -> Option<u8> {
            None
        }
        fn len(&self, split: Split) -> usize {
            self.1[usize::from(split != Split::Train)].len()
        }
        fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
            let labels = self.1[usize::from(split != Split::Train)][index].clone();
            Ok(Example {
                image: vec![0; 3 * labels.len()],
                width: labels.len(),
                height: 1,
                labels,
                name: String::new(),
            })
        }
    }

    fn checked(classes: usize, train: &[&[u8]], val: &[&[u8]]) -> Result<Summary, DataError> {
        let names = (0..classes).map(|i| format!("c{i}")).collect();
        let maps = [train, val].map(|maps| maps.iter().map(|map| map.to_vec()).collect());
        check(&Rows(names, maps))
    }

    #[test]
    fn masks_of_0_and_255_and_ignored_sets_are_refused() {
        let good: &[&[u8]] = &[&[0, 1, 255, 2]];
        let said = message(checked(3, good, &[&[255, 255], &[255]]));
        assert!(said.starts_with("val: all 3 pixels are ignored"), "{said}");
        for (classes, train, val) in [
            (2, &[&[0, 255, 0][..], &[0]][..], &[&[0, 1][..]][..]),
            (3, good, &[&[255, 0, 0, 0]]),
        ] {
            let said = message(checked(classes, train, val));
            let fits =
                said.contains("only that of label 0 occurs (3 pixels), and 1 pixels are ignored");
            assert!(fits && said.contains("--label-map 0=0,255=1"), "{said}");
        }
    }

    #[test]
    fn data_with_borders_and_without_some_class_are_used() {
        let summary = checked(4, &[&[0, 1, 2, 255]], &[&[0, 255], &[1]]).unwrap();
        assert_eq!(summary.warnings, [""; 0]);
        let counts = |set: usize| summary.sets[set].classes.iter().map(|class| class.count);
        assert_eq!(counts(1).collect::<Vec<_>>(), [1, 1, 0, 0]);
        let summary = checked(3, &[&[1, 1]], &[&[2, 2, 1, 255]]).unwrap();
        assert_eq!(
            summary.warnings,
            [
                "train: c1 alone occurs (2 pixels): a prediction of c1 everywhere is perfect",
                "val: 2 pixels of c2, of which train has none: no network can learn it",
            ]
        );
    }
}
