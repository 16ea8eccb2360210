//! Summary of a data set: the images of each set, and how often each class occurs in them.

use rayon::prelude::*;
use serde::Serialize;

use crate::error::DataError;
use crate::example::SegmentationData;
use crate::objects::{ObjectData, outlines};
use crate::split::Split;

/// Largest number of classes named in a line, the most frequent ones.
const NAMED: usize = 12;

/// Largest number of absent classes named.
const ABSENT_NAMED: usize = 5;

/// Summary of a data set as a run reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The sets in the order of [`Split::ALL`].
    pub sets: Vec<SetSummary>,
    /// Sentences on findings in the files that may make scores meaningless.
    pub warnings: Vec<String>,
}

/// Summary of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetSummary {
    /// Name of the set.
    pub set: String,
    /// Number of images.
    pub images: usize,
    /// Unit of the counts.
    pub unit: Unit,
    /// Count of each class, in the order of the labels.
    pub classes: Vec<ClassCount>,
    /// Pixels or objects that take part neither in training nor in scoring: pixels with the ignore
    /// label, crowds.
    pub ignored: u64,
    /// Remarks, such as the number of objects that were dropped and why.
    pub notes: Vec<String>,
}

/// Unit of the counts of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Pixels of label maps.
    Pixels,
    /// Objects in images.
    Objects,
}

/// Count of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Pixels or objects of the class.
    pub count: u64,
}

impl Summary {
    /// A summary of sets without warnings.
    pub(crate) fn of_sets(sets: Vec<SetSummary>) -> Self {
        Self {
            sets,
            warnings: Vec::new(),
        }
    }
}

impl SetSummary {
    /// Pixels of label maps; `counts` holds one number a class and, last, that of ignored pixels.
    pub(crate) fn of_pixels(split: Split, images: usize, names: &[String], counts: &[u64]) -> Self {
        let classes = names.iter().zip(counts);
        Self {
            set: split.to_string(),
            images,
            unit: Unit::Pixels,
            classes: classes.map(ClassCount::of).collect(),
            ignored: counts.get(names.len()).copied().unwrap_or(0),
            notes: Vec::new(),
        }
    }

    /// Objects in images; `counts` as in [`Self::of_pixels`], crowds being ignored.
    pub(crate) fn of_objects(
        split: Split,
        images: usize,
        names: &[String],
        counts: &[u64],
    ) -> Self {
        Self {
            unit: Unit::Objects,
            ..Self::of_pixels(split, images, names, counts)
        }
    }

    /// The summary in a line for people: images, share or number of each class, ignored pixels, remarks.
    #[must_use]
    pub fn line(&self) -> String {
        let mut shown: Vec<&ClassCount> = self.classes.iter().filter(|c| c.count > 0).collect();
        let present = shown.len();
        if present > NAMED {
            shown.sort_by_key(|class| std::cmp::Reverse(class.count));
            shown.truncate(NAMED);
        }
        let mut parts: Vec<String> = shown
            .iter()
            .map(|class| format!("{} {}", class.name, self.amount(class.count)))
            .collect();
        if present > NAMED {
            parts.push(format!("{} more classes", present - NAMED));
        }
        if self.ignored > 0 {
            parts.push(format!("ignored {}", self.amount(self.ignored)));
        }
        let unit = self.unit.name();
        let mut line = format!("{}: {} images; {unit}: ", self.set, self.images);
        line.push_str(&match parts.is_empty() {
            true => "none".to_owned(),
            false => parts.join(", "),
        });
        let absent: Vec<&str> = self.absent().collect();
        if !absent.is_empty() && present > 0 {
            let named = absent[..absent.len().min(ABSENT_NAMED)].join(", ");
            let more = match absent.len() > ABSENT_NAMED {
                true => format!(" and {} more", absent.len() - ABSENT_NAMED),
                false => String::new(),
            };
            line.push_str(&format!("; none of {named}{more}"));
        }
        for note in &self.notes {
            line.push_str(&format!("; {note}"));
        }
        line
    }

    /// Names of the classes that do not occur.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        let absent = self.classes.iter().filter(|class| class.count == 0);
        absent.map(|class| class.name.as_str())
    }

    /// Pixels or objects of all classes, ignored ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ignored + self.classes.iter().map(|class| class.count).sum::<u64>()
    }

    /// Text of a count: a number of objects, or a share of the pixels.
    #[must_use]
    pub fn amount(&self, count: u64) -> String {
        match self.unit {
            Unit::Objects => count.to_string(),
            Unit::Pixels => match 100.0 * count as f64 / self.total().max(1) as f64 {
                small if count > 0 && small < 0.05 => "<0.1 %".to_owned(),
                percent => format!("{percent:.1} %"),
            },
        }
    }
}

impl Unit {
    /// The unit's name in the plural.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Objects => "objects",
        }
    }
}

impl ClassCount {
    fn of((name, count): (&String, &u64)) -> Self {
        Self {
            name: name.clone(),
            count: *count,
        }
    }
}

/// Pixels of each class and, last, ignored ones.
pub(crate) fn count_labels(labels: &[u8], classes: usize) -> Vec<u64> {
    let mut each = [0_u64; 256];
    for &label in labels {
        each[usize::from(label)] += 1;
    }
    let mut counts = each[..classes].to_vec();
    counts.push(each[classes..].iter().sum());
    counts
}

/// The sum of counts, place by place.
pub(crate) fn add_counts(mut sum: Vec<u64>, more: &[u64]) -> Vec<u64> {
    sum.resize(sum.len().max(more.len()), 0);
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
    sum
}

/// Pixels of each class and, last, ignored ones, in each example of a split.
///
/// # Errors
/// An example that cannot be read.
pub fn count_labels_of(
    data: &dyn SegmentationData,
    split: Split,
) -> Result<Vec<Vec<u64>>, DataError> {
    let classes = data.class_names().len();
    let each: Vec<_> = (0..data.len(split))
        .into_par_iter()
        .map(|index| {
            let example = data.example(split, index)?;
            Ok(count_labels(&example.labels, classes))
        })
        .collect();
    // All are made before any error is returned, so that it is the first one in order.
    each.into_iter().collect()
}

/// Summary of label maps; at most the first `most` of each set are counted.
///
/// # Errors
/// An example that cannot be read.
pub fn of_label_maps(data: &dyn SegmentationData, most: usize) -> Result<Summary, DataError> {
    let names = data.class_names();
    let set = |split: Split| {
        let images = data.len(split);
        let counts = (0..images.min(most)).into_par_iter().map(|index| {
            let example = data.example(split, index)?;
            Ok(count_labels(&example.labels, names.len()))
        });
        let counts = counts.try_reduce(Vec::new, |a, b| Ok(add_counts(a, &b)))?;
        let counts = add_counts(counts, &vec![0; names.len() + 1]);
        let summary = SetSummary::of_pixels(split, images, names, &counts);
        Ok(counted_in(summary, most))
    };
    let sets: Result<Vec<SetSummary>, DataError> = Split::READ.into_iter().map(set).collect();
    sets.map(Summary::of_sets)
}

/// Summary of the objects in images; at most the first `most` images of each set are counted.
///
/// # Errors
/// An image whose objects cannot be read.
pub fn of_scenes(data: &dyn ObjectData, most: usize) -> Result<Summary, DataError> {
    let names = data.class_names();
    let set = |split: Split| {
        let images = data.len(split);
        let mut counts = vec![0; names.len() + 1];
        for scene in outlines(data, split, images.min(most))? {
            for object in &scene.objects {
                counts[if object.crowd {
                    names.len()
                } else {
                    object.class
                }] += 1;
            }
        }
        let mut summary = SetSummary::of_objects(split, images, names, &counts);
        let dropped = data.dropped(split).iter();
        summary
            .notes
            .extend(dropped.map(|reason| format!("not used: {reason}")));
        Ok(counted_in(summary, most))
    };
    let sets: Result<Vec<SetSummary>, DataError> = Split::ALL.into_iter().map(set).collect();
    Ok(Summary {
        sets: sets?,
        warnings: data.warnings().to_vec(),
    })
}

fn counted_in(mut summary: SetSummary, most: usize) -> SetSummary {
    if summary.images > most {
        summary
            .notes
            .push(format!("counted in the first {most} images"));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn a_line_names_every_class_there_is_and_those_that_are_missing() {
        let set = SetSummary::of_pixels(Split::Train, 3, &names(4), &[700, 0, 1, 199, 100]);
        assert_eq!(
            set.line(),
            "train: 3 images; pixels: c0 70.0 %, c2 0.1 %, c3 19.9 %, ignored 10.0 %; none of c1"
        );
        let mut set = SetSummary::of_objects(Split::Val, 2, &names(3), &[5, 0, 12, 1]);
        set.notes.push("3 objects dropped".to_owned());
        assert_eq!(
            set.line(),
            "val: 2 images; objects: c0 5, c2 12, ignored 1; none of c1; 3 objects dropped"
        );
        let none = SetSummary::of_objects(Split::Val, 2, &names(3), &[0, 0, 0, 0]);
        assert_eq!(none.line(), "val: 2 images; objects: none");
    }

    #[test]
    fn a_line_of_many_classes_names_the_most_frequent_ones() {
        let mut counts: Vec<u64> = (1..=20).collect();
        counts.extend([0; 8]);
        let line = SetSummary::of_objects(Split::Val, 1, &names(27), &counts).line();
        assert!(
            line.starts_with("val: 1 images; objects: c19 20, c18 19, "),
            "{line}"
        );
        let end = "c8 9, 8 more classes; none of c20, c21, c22, c23, c24 and 2 more";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn label_maps_are_counted_class_by_class() {
        let data = Memory::new(3);
        let summary = of_label_maps(&data, 2).unwrap();
        let train = &summary.sets[0];
        let mut want = vec![0_u64; 4];
        for example in &data.examples[..2] {
            for &label in &example.labels {
                want[usize::from(label)] += 1;
            }
        }
        let counts: Vec<u64> = train.classes.iter().map(|class| class.count).collect();
        assert_eq!((counts, train.ignored, train.images), (want, 0, 3));
        assert_eq!(train.notes, ["counted in the first 2 images"]);
        assert_eq!(summary.sets[1].images, 0);
        assert_eq!(count_labels(&[0, 1, 1, 7, 255], 2), [1, 2, 2]);
    }
}
