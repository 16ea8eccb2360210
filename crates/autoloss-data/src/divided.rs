//! Division of the training data into examples to train on and a search set.
//!
//! A data set as it is read has a training and a validation part. [`Divided`] makes the three parts of [`Split`] from
//! them. Losses and checkpoints are chosen on the search set, never on the validation part.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::error::{DataError, in_split};
use crate::example::{Example, SegmentationData};
use crate::objects::{ObjectData, Scene, Skeleton};
use crate::split::Split;
use crate::streams::{Purpose, stream};
use crate::summary::{SetSummary, Summary};
use crate::summary::{add_counts, count_labels_of};

/// Size and choice of the search set that is held out of the training data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HoldOut {
    /// Share of the training examples, above 0 and below 1.
    pub share: f64,
    /// Largest number of examples; 0: no limit.
    pub most: usize,
    /// Seed of the choice of examples.
    pub seed: u64,
}

impl HoldOut {
    /// Checks the share.
    ///
    /// # Errors
    /// A share outside its range, by the name that users set.
    pub fn check(self) -> Result<(), String> {
        if self.share > 0.0 && self.share < 1.0 {
            return Ok(());
        }
        Err(format!(
            "task.search_share is {}, expected a share above 0 and below 1",
            self.share
        ))
    }

    /// Number of examples to hold out of `of`, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a usize"
    )]
    fn number(self, of: usize) -> usize {
        let share = (self.share * of as f64).round() as usize;
        let most = match self.most {
            0 => usize::MAX,
            most => most,
        };
        share.min(most).clamp(1, of - 1)
    }
}

/// Indices of the examples to train on and of those held out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// Indices in the training data, ascending.
    train: Vec<usize>,
    /// Indices in the training data, ascending; none of `train`.
    search: Vec<usize>,
}

impl Division {
    /// Divides examples with these classes in them, rare classes first.
    ///
    /// A class that occurs at least twice occurs in both parts, with two exceptions: each further example with it
    /// is the last one with another class, or the search set has its largest number. A search set grows
    /// beyond its share where its classes need that. A class is held out completely only if the search set
    /// would else be empty.
    pub(super) fn new(classes: &[Vec<usize>], hold_out: HoldOut) -> Result<Self, DataError> {
        let len = classes.len();
        if len < 2 {
            return Err(DataError::Setting {
                name: "data",
                reason: format!(
                    "{len} training examples found, expected at least 2: one to train on, and one \
                     for the search set"
                ),
            });
        }
        let mut order: Vec<usize> = (0..len).collect();
        order.shuffle(&mut stream(hold_out.seed, Purpose::Division, 0));
        let mut held = Held::new(classes, hold_out);
        let wanted = hold_out.number(len);
        let mut rare_first: Vec<usize> = (0..held.total.len()).collect();
        rare_first.sort_by_key(|class| held.total[*class]);
        // One example of each class first, then its whole share.
        for most in [1, len] {
            for class in &rare_first {
                let share = held.total[*class] * wanted / len;
                let with = order.iter().filter(|i| classes[**i].contains(class));
                held.hold(with, |held| held.of_class[*class] >= share.clamp(1, most));
            }
        }
        held.hold(order.iter(), |held| held.count >= wanted);
        if held.count == 0 {
            held.take(order[0]);
        }
        let (search, train) = (0..len).partition(|i| held.is[*i]);
        Ok(Self { train, search })
    }

    fn len(&self, split: Split, val: usize) -> usize {
        match split {
            Split::Train => self.train.len(),
            Split::Search => self.search.len(),
            Split::Val => val,
        }
    }

    /// Index of an example in the data as they are read.
    fn source(&self, split: Split, index: usize) -> Result<usize, DataError> {
        let part = match split {
            Split::Train => &self.train,
            Split::Search => &self.search,
            Split::Val => return Ok(index),
        };
        in_split(split, index, part.len())?;
        Ok(part[index])
    }

    /// Sentences on classes of the training data that one of the parts lacks.
    fn warnings(&self, classes: &[Vec<usize>], names: &[String]) -> Vec<String> {
        let occur = |part: &[usize]| {
            let mut occur = vec![false; names.len()];
            for class in part.iter().flat_map(|i| &classes[*i]) {
                occur[*class] = true;
            }
            occur
        };
        let (train, search) = (occur(&self.train), occur(&self.search));
        let lacking = |has: &[bool], other: &[bool]| {
            let names = names.iter().zip(has.iter().zip(other));
            let lacking = names.filter(|(_, (has, other))| **other && !**has);
            lacking.map(|(name, _)| format!("`{name}`")).collect()
        };
        let parts: [(&str, &[usize], Vec<String>); 2] = [
            ("search", &self.search, lacking(&search, &train)),
            ("training", &self.train, lacking(&train, &search)),
        ];
        let lacking = parts.into_iter().filter(|(_, _, names)| !names.is_empty());
        lacking
            .map(|(set, part, names)| {
                format!(
                    "the {set} set ({} of {} training examples) has no example of {}: \
                     another task.split_seed or task.search_share may have",
                    part.len(),
                    classes.len(),
                    names.join(", ")
                )
            })
            .collect()
    }
}

/// The search set while it grows.
struct Held<'a> {
    classes: &'a [Vec<usize>],
    /// Examples with each class.
    total: Vec<usize>,
    /// Held-out examples with each class.
    of_class: Vec<usize>,
    /// For each example: is it held out?
    is: Vec<bool>,
    count: usize,
    most: usize,
}

impl<'a> Held<'a> {
    fn new(classes: &'a [Vec<usize>], hold_out: HoldOut) -> Self {
        let last = classes.iter().flatten().max().map_or(0, |last| last + 1);
        let mut total = vec![0; last];
        classes.iter().flatten().for_each(|c| total[*c] += 1);
        Self {
            classes,
            of_class: vec![0; total.len()],
            total,
            is: vec![false; classes.len()],
            count: 0,
            most: match hold_out.most {
                0 => classes.len() - 1,
                most => most.min(classes.len() - 1),
            },
        }
    }

    /// Holds out candidates, except the last training example of a class, until there are enough.
    fn hold<'i>(
        &mut self,
        candidates: impl Iterator<Item = &'i usize>,
        enough: impl Fn(&Self) -> bool,
    ) {
        for index in candidates {
            if enough(self) || self.count >= self.most {
                return;
            }
            let is_last = |class: &usize| self.of_class[*class] + 1 >= self.total[*class];
            if !self.is[*index] && !self.classes[*index].iter().any(is_last) {
                self.take(*index);
            }
        }
    }

    fn take(&mut self, index: usize) {
        self.is[index] = true;
        self.count += 1;
        for class in &self.classes[index] {
            self.of_class[*class] += 1;
        }
    }
}

/// A data set with a search set held out of its training examples.
///
/// A data set with a second form of each training example, made of other sources, gives it as the search example
/// of the same index: held-out examples are read in that form.
pub struct Divided<D: ?Sized> {
    inner: Arc<D>,
    division: Division,
    /// The split of `inner` that held-out examples are read from.
    held_out: Split,
    warnings: Vec<String>,
}

impl<D: ?Sized> Divided<D> {
    /// `known` are the warnings of the data as they are read.
    fn of(
        inner: Arc<D>,
        known: &[String],
        names: &[String],
        classes: &[Vec<usize>],
        second_forms: usize,
        hold_out: HoldOut,
    ) -> Result<Self, DataError> {
        let division = Division::new(classes, hold_out)?;
        Ok(Self {
            warnings: [known, &division.warnings(classes, names)].concat(),
            inner,
            division,
            held_out: match second_forms {
                0 => Split::Train,
                _ => Split::Search,
            },
        })
    }

    /// Split and index of an example in the data as they are read.
    fn source(&self, split: Split, index: usize) -> Result<(Split, usize), DataError> {
        let read = match split {
            Split::Search => self.held_out,
            Split::Train | Split::Val => split,
        };
        Ok((read, self.division.source(split, index)?))
    }
}

impl Divided<dyn SegmentationData> {
    /// Divides a data set by the classes of the pixels of each training example.
    ///
    /// # Errors
    /// Fewer than two training examples.
    pub fn segmentation(
        inner: Arc<dyn SegmentationData>,
        counts: &[Vec<u64>],
        hold_out: HoldOut,
    ) -> Result<Self, DataError> {
        let names = inner.class_names().to_vec();
        let of_example = |counts: &Vec<u64>| (0..names.len()).filter(|c| counts[*c] > 0).collect();
        let classes: Vec<Vec<usize>> = counts.iter().map(of_example).collect();
        let known = inner.warnings();
        let second_forms = inner.len(Split::Search);
        Self::of(inner, &known, &names, &classes, second_forms, hold_out)
    }

    /// The summary `read` with the training examples divided into two sets, and with warnings of classes that one of
    /// the two lacks.
    ///
    /// # Errors
    /// A search example that cannot be read.
    pub fn summary(&self, counts: &[Vec<u64>], read: Summary) -> Result<Summary, DataError> {
        let names = self.inner.class_names();
        let none = || vec![0; names.len() + 1];
        let train = self.division.train.iter();
        let train = train.fold(none(), |sum, i| add_counts(sum, &counts[*i]));
        let search = count_labels_of(self, Split::Search)?;
        let search = search.iter().fold(none(), |sum, c| add_counts(sum, c));
        let set = |split, counts: &[u64]| {
            SetSummary::of_pixels(split, SegmentationData::len(self, split), names, counts)
        };
        let mut sets = vec![set(Split::Train, &train), set(Split::Search, &search)];
        sets.extend(read.sets.into_iter().skip(1));
        let mut warnings = self.warnings.clone();
        warnings.extend(
            read.warnings
                .into_iter()
                .filter(|w| !self.warnings.contains(w)),
        );
        Ok(Summary { sets, warnings })
    }
}

impl Divided<dyn ObjectData> {
    /// Divides a data set by the classes of the objects in each training image, crowds left out.
    ///
    /// # Errors
    /// Fewer than two training images, or one whose objects cannot be read.
    pub fn objects(inner: Arc<dyn ObjectData>, hold_out: HoldOut) -> Result<Self, DataError> {
        let names = inner.class_names().to_vec();
        let classes = of_each(inner.len(Split::Train), |index| {
            let objects = inner.outline(Split::Train, index)?.objects;
            let learnt = objects.iter().filter(|object| !object.crowd);
            let mut classes: Vec<usize> = learnt.map(|object| object.class).collect();
            classes.sort_unstable();
            classes.dedup();
            Ok(classes)
        })?;
        let known = inner.warnings().to_vec();
        let second_forms = inner.len(Split::Search);
        Self::of(inner, &known, &names, &classes, second_forms, hold_out)
    }
}

/// The classes of each example, on rayon's threads; the first error in order.
fn of_each(
    len: usize,
    classes: impl Fn(usize) -> Result<Vec<usize>, DataError> + Send + Sync,
) -> Result<Vec<Vec<usize>>, DataError> {
    let each: Vec<_> = (0..len).into_par_iter().map(classes).collect();
    each.into_iter().collect()
}

impl SegmentationData for Divided<dyn SegmentationData> {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn ignore(&self) -> u8 {
        self.inner.ignore()
    }

    fn background(&self) -> Option<u8> {
        self.inner.background()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn len(&self, split: Split) -> usize {
        self.division.len(split, self.inner.len(Split::Val))
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let (part, index) = self.source(split, index)?;
        self.inner.example(part, index)
    }
}

impl ObjectData for Divided<dyn ObjectData> {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        self.inner.skeleton()
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Objects are dropped before the division, so that the training set tells those of search examples as well.
    fn dropped(&self, split: Split) -> &[String] {
        match split {
            Split::Search => &[],
            Split::Train | Split::Val => self.inner.dropped(split),
        }
    }

    fn len(&self, split: Split) -> usize {
        self.division.len(split, self.inner.len(Split::Val))
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let (part, index) = self.source(split, index)?;
        self.inner.scene(part, index)
    }

    fn outline(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let (part, index) = self.source(split, index)?;
        self.inner.outline(part, index)
    }
}

#[cfg(test)]
mod tests;
