//! The confusion matrix, and the metrics that are read from it. The module knows nothing of images.

use crate::error::{MetricError, check_classes, check_setting, check_size};

/// Number of tables that are counted in turn: neighbouring pixels mostly fall into
/// the same cell, and adding to one cell twice in a row would wait for the first
/// store.
const TABLES: usize = 4;

/// Pixels whose cells are found together, in vector registers, before they are
/// counted.
const BLOCK: usize = 64;

/// Counts of pixels by target class and predicted class.
///
/// A pixel whose target label is not below the number of classes is ignored.
/// A counted pixel whose predicted label is not below the number of classes is
/// a miss of its target class: a false negative there and a false positive
/// nowhere.
///
/// Metrics over nothing at all (no counted pixel) are 0, never NaN.
#[derive(Debug, Clone)]
pub struct Confusion {
    classes: usize,
    /// `TABLES` tables, each of `classes + 1` rows (target) and columns
    /// (prediction); the last row takes ignored pixels, the last column
    /// predictions outside the classes.
    counts: Vec<u64>,
}

/// The pixels of one class.
struct ClassPixels {
    hits: u64,
    target: u64,
    predicted: u64,
}

impl Confusion {
    /// An empty matrix of 1 to 255 classes.
    ///
    /// # Errors
    /// Any other number of classes.
    pub fn new(classes: usize) -> Result<Self, MetricError> {
        check_classes(classes)?;
        Ok(Self {
            classes,
            counts: vec![0; TABLES * (classes + 1) * (classes + 1)],
        })
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts the pixels of an image, or of any part of one, in any order.
    ///
    /// # Errors
    /// Arrays of different lengths; nothing is counted then.
    pub fn add(&mut self, target: &[u8], prediction: &[u8]) -> Result<(), MetricError> {
        check_size("the prediction", prediction.len(), target.len())?;
        let side = self.classes + 1;
        let (front, back) = self.counts.split_at_mut(2 * side * side);
        let (first, second) = front.split_at_mut(side * side);
        let (third, fourth) = back.split_at_mut(side * side);
        // Both fit: there are at most 255 classes, so at most 65536 cells.
        let (none, side) = (self.classes as u8, side as u16);
        let mut cells = [0_u16; BLOCK];
        for (target, prediction) in target.chunks(BLOCK).zip(prediction.chunks(BLOCK)) {
            for ((cell, &target), &prediction) in cells.iter_mut().zip(target).zip(prediction) {
                *cell = u16::from(target.min(none)) * side + u16::from(prediction.min(none));
            }
            let (fours, rest) = cells[..target.len()].as_chunks::<TABLES>();
            for &[a, b, c, d] in fours {
                first[usize::from(a)] += 1;
                second[usize::from(b)] += 1;
                third[usize::from(c)] += 1;
                fourth[usize::from(d)] += 1;
            }
            for &cell in rest {
                first[usize::from(cell)] += 1;
            }
        }
        Ok(())
    }

    /// Adds the counts of another matrix to this one.
    ///
    /// # Errors
    /// The other has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check_setting("classes", &other.classes, &self.classes)?;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Ok(())
    }

    /// Forgets everything counted so far, keeping the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// Pixels of class `target` that were predicted as `prediction`; 0 where
    /// either is no class.
    #[must_use]
    pub fn count(&self, target: u8, prediction: u8) -> u64 {
        let (target, prediction) = (usize::from(target), usize::from(prediction));
        if target < self.classes && prediction < self.classes {
            self.cell(target, prediction)
        } else {
            0
        }
    }

    /// Pixels of class `target` whose prediction was no class at all.
    #[must_use]
    pub fn missed(&self, target: u8) -> u64 {
        let target = usize::from(target);
        if target < self.classes {
            self.cell(target, self.classes)
        } else {
            0
        }
    }

    /// TP / (TP + FP + FN) of a class, or none where the class is in neither
    /// target nor prediction.
    #[must_use]
    pub fn iou(&self, class: u8) -> Option<f64> {
        self.pixels(class)?.iou()
    }

    /// TP / (TP + FN) of a class, or none where the class is not in the target.
    #[must_use]
    pub fn accuracy(&self, class: u8) -> Option<f64> {
        self.pixels(class)?.accuracy()
    }

    /// 2 TP / (2 TP + FP + FN) of a class, or none where the class is in neither
    /// target nor prediction.
    #[must_use]
    pub fn f1(&self, class: u8) -> Option<f64> {
        self.iou(class).map(|iou| 2.0 * iou / (1.0 + iou))
    }

    /// Macro F1: mean of F1 over the classes that are in target or prediction.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        let classes = (0..self.classes).filter_map(|class| self.f1(class as u8));
        mean(classes)
    }

    /// Mean of the `IoU` over the classes that are in target or prediction.
    #[must_use]
    pub fn miou(&self) -> f64 {
        mean(self.all_pixels().filter_map(|pixels| pixels.iou()))
    }

    /// Mean of the `IoU`, each class weighted by its share of the target.
    #[must_use]
    pub fn fwiou(&self) -> f64 {
        let (sum, weight) = self
            .all_pixels()
            .fold((0.0, 0), |(sum, weight), pixels| match pixels.iou() {
                Some(iou) => (sum + iou * pixels.target as f64, weight + pixels.target),
                None => (sum, weight),
            });
        ratio(sum, weight as f64)
    }

    /// Σ TP / Σ counted pixels.
    #[must_use]
    pub fn gacc(&self) -> f64 {
        let (hits, target) = self.all_pixels().fold((0, 0), |(hits, target), pixels| {
            (hits + pixels.hits, target + pixels.target)
        });
        ratio(hits as f64, target as f64)
    }

    /// Mean of TP / (TP + FN) over the classes that are in the target. (A class
    /// that is only predicted has no accuracy, 0 / 0, and is left out too.)
    #[must_use]
    pub fn macc(&self) -> f64 {
        mean(self.all_pixels().filter_map(|pixels| pixels.accuracy()))
    }

    fn cell(&self, row: usize, column: usize) -> u64 {
        let side = self.classes + 1;
        (0..TABLES)
            .map(|table| self.counts[(table * side + row) * side + column])
            .sum()
    }

    fn pixels(&self, class: u8) -> Option<ClassPixels> {
        let class = usize::from(class);
        (class < self.classes).then(|| ClassPixels {
            hits: self.cell(class, class),
            target: (0..=self.classes)
                .map(|column| self.cell(class, column))
                .sum(),
            predicted: (0..self.classes).map(|row| self.cell(row, class)).sum(),
        })
    }

    fn all_pixels(&self) -> impl Iterator<Item = ClassPixels> {
        (0..self.classes).filter_map(|class| self.pixels(class as u8))
    }
}

impl ClassPixels {
    fn iou(&self) -> Option<f64> {
        let union = self.target + self.predicted - self.hits;
        (union > 0).then(|| self.hits as f64 / union as f64)
    }

    fn accuracy(&self) -> Option<f64> {
        (self.target > 0).then(|| self.hits as f64 / self.target as f64)
    }
}

/// Mean of the values, 0 if there are none.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    ratio(sum, count as f64)
}

/// `part / whole`, 0 of nothing.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, close, scenes};
    use proptest::prelude::*;

    /// Worked by hand. Targets 0 0 0 1 1 2 and one ignored pixel; predictions
    /// 0 0 1 1 9 1 and one that does not matter:
    /// class 0: TP 2, FN 1, FP 0; class 1: TP 1, FN 1 (the 9), FP 2;
    /// class 2: TP 0, FN 1, FP 0; class 3: nowhere.
    #[test]
    fn four_metrics_by_hand() {
        let mut confusion = Confusion::new(4).unwrap();
        confusion
            .add(&[0, 0, 0, 1, 1, 2, 255], &[0, 0, 1, 1, 9, 1, 3])
            .unwrap();
        assert_eq!(confusion.count(0, 1), 1);
        assert_eq!(confusion.missed(1), 1);
        assert_eq!(confusion.count(255, 3) + confusion.count(3, 3), 0);
        assert!(close(confusion.iou(0).unwrap(), 2.0 / 3.0));
        assert!(close(confusion.iou(1).unwrap(), 1.0 / 4.0));
        assert!(close(confusion.iou(2).unwrap(), 0.0));
        assert_eq!(confusion.iou(3), None);
        assert_eq!(confusion.iou(4), None);
        assert!(close(confusion.miou(), (2.0 / 3.0 + 1.0 / 4.0) / 3.0));
        assert!(close(
            confusion.fwiou(),
            (3.0 * 2.0 / 3.0 + 2.0 / 4.0) / 6.0
        ));
        assert!(close(confusion.gacc(), 3.0 / 6.0));
        assert!(close(confusion.macc(), (2.0 / 3.0 + 1.0 / 2.0) / 3.0));
        // F1 of class 0: 4 / (4 + 1), of class 1: 2 / (2 + 3).
        assert!(close(confusion.f1(0).unwrap(), 4.0 / 5.0));
        assert!(close(confusion.f1(1).unwrap(), 2.0 / 5.0));
        assert_eq!(confusion.f1(3), None);
        assert!(close(confusion.macro_f1(), (4.0 / 5.0 + 2.0 / 5.0) / 3.0));
    }

    /// Class 1 is only predicted: it counts in mIoU, as 0, and not in mAcc.
    #[test]
    fn class_that_is_only_predicted() {
        let mut confusion = Confusion::new(2).unwrap();
        confusion.add(&[0, 0], &[0, 1]).unwrap();
        assert!(close(confusion.miou(), 0.25));
        assert!(close(confusion.fwiou(), 0.5));
        assert!(close(confusion.macc(), 0.5));
    }

    #[test]
    fn nothing_counted_gives_zero() {
        let mut confusion = Confusion::new(3).unwrap();
        confusion.add(&[], &[]).unwrap();
        confusion.add(&[255, 3], &[0, 1]).unwrap();
        for value in [
            confusion.miou(),
            confusion.fwiou(),
            confusion.gacc(),
            confusion.macc(),
        ] {
            assert_eq!(value.to_bits(), 0.0_f64.to_bits());
        }
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(Confusion::new(0).unwrap_err(), MetricError::Classes(0));
        assert_eq!(Confusion::new(256).unwrap_err(), MetricError::Classes(256));
        let mut confusion = Confusion::new(3).unwrap();
        let error = confusion.add(&[0, 1], &[0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the prediction has 1 elements, expected 2: give arrays of one and the same image"
        );
        let error = confusion.merge(&Confusion::new(2).unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("classes is 2 here, expected 3")
        );
    }

    /// The largest number of classes: the last cell of the tables is in use.
    #[test]
    fn all_labels_of_a_byte() {
        let labels: Vec<u8> = (0..=255).collect();
        let mut confusion = Confusion::new(255).unwrap();
        confusion.add(&labels, &labels).unwrap();
        assert!(close(confusion.miou(), 1.0));
        assert_eq!((0..255).map(|c| confusion.count(c, c)).sum::<u64>(), 255);
        confusion.add(&[254], &[255]).unwrap();
        assert_eq!(confusion.missed(254), 1);
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(scene in scenes()) {
            let mut confusion = Confusion::new(scene.classes).unwrap();
            confusion.add(&scene.target, &scene.prediction).unwrap();
            let slow = reference::Pixels::of(scene.pairs(), scene.classes);
            for class in 0..scene.classes {
                prop_assert_eq!(confusion.iou(class as u8), slow.iou(class));
            }
            prop_assert!(close(confusion.miou(), slow.miou()));
            prop_assert!(close(confusion.fwiou(), slow.fwiou()));
            prop_assert!(close(confusion.gacc(), slow.gacc()));
            prop_assert!(close(confusion.macc(), slow.macc()));
        }

        #[test]
        fn merging_parts_is_counting_the_whole(scene in scenes(), cut in 0.0..1.0_f64) {
            let cut = (cut * scene.target.len() as f64) as usize;
            let mut whole = Confusion::new(scene.classes).unwrap();
            whole.add(&scene.target, &scene.prediction).unwrap();
            let mut left = Confusion::new(scene.classes).unwrap();
            let mut right = left.clone();
            left.add(&scene.target[..cut], &scene.prediction[..cut]).unwrap();
            right.add(&scene.target[cut..], &scene.prediction[cut..]).unwrap();
            left.merge(&right).unwrap();
            for target in 0..scene.classes as u8 {
                prop_assert_eq!(left.missed(target), whole.missed(target));
                for prediction in 0..scene.classes as u8 {
                    prop_assert_eq!(left.count(target, prediction), whole.count(target, prediction));
                }
            }
            left.clear();
            prop_assert_eq!((0..scene.classes as u8).map(|c| left.count(c, c)).sum::<u64>(), 0);
        }
    }
}
