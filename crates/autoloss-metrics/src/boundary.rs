//! Metrics of the edges between classes: `BIoU` and BF1.

use crate::bits::{EdgeMap, Grid, count_common, dilate};
use crate::confusion::{mean, ratio};
use crate::error::{MetricError, check_background, check_classes, check_setting, check_size};

/// The label that is no class, whatever the number of classes.
const NO_CLASS: u8 = 255;

/// The edges of a target label map, found once so that many predictions can be
/// scored against it.
///
/// An edge pixel of class c is a pixel of class c with a pixel of another label in
/// its 3×3 neighbourhood. Ignored pixels (label outside the classes) are of no
/// class: pixels beside them are edge pixels, the ignored ones are not. The border
/// of the image makes no edge. The background class, if any, has no edges.
///
/// Memory: a copy of the label map and, for each class that has edges, a
/// quarter of a byte a pixel.
#[derive(Debug, Clone)]
pub struct TargetEdges {
    grid: Grid,
    classes: usize,
    background: Option<u8>,
    distance: u32,
    /// The label map with everything away from the edges ignored.
    near_labels: Vec<u8>,
    /// Edges of each class; none for a class without edges.
    edges: Vec<Option<ClassEdges>>,
}

#[derive(Debug, Clone)]
struct ClassEdges {
    count: u64,
    pixels: Vec<u64>,
    /// All pixels within the distance of an edge pixel.
    near: Vec<u64>,
}

impl TargetEdges {
    /// Finds the edges of `labels`, the rows of an image of `width` × `height`
    /// pixels one after another, for metrics that allow `distance` pixels
    /// (Chebyshev) between edges.
    ///
    /// # Errors
    /// An image without pixels, `labels` of another size, a number of classes
    /// that is not 1 to 255, a background that is no class.
    pub fn new(
        labels: &[u8],
        width: usize,
        height: usize,
        classes: usize,
        distance: u32,
        background: Option<u8>,
    ) -> Result<Self, MetricError> {
        check_classes(classes)?;
        check_background(background, classes)?;
        if width == 0 || height == 0 {
            return Err(MetricError::Empty { width, height });
        }
        check_size("the target", labels.len(), width.saturating_mul(height))?;
        let grid = Grid::new(width, height);
        let reach = distance as usize;
        let mut map = EdgeMap::default();
        map.read(labels, grid, classes);
        let mut near = vec![0; grid.words()];
        let mut pixels = Vec::new();
        let mut edges = Vec::new();
        for class in 0..classes as u8 {
            if background == Some(class) {
                edges.push(None);
                continue;
            }
            map.edges_of(class, &mut pixels);
            let found = ClassEdges::new(&pixels, grid, reach);
            if let Some(found) = &found {
                for (near, more) in near.iter_mut().zip(&found.near) {
                    *near |= more;
                }
            }
            edges.push(found);
        }
        let mut near_labels = labels.to_vec();
        for (y, row) in near_labels.chunks_exact_mut(width).enumerate() {
            for (x, label) in row.iter_mut().enumerate() {
                if !grid.contains(&near, x, y) {
                    *label = NO_CLASS;
                }
            }
        }
        Ok(Self {
            grid,
            classes,
            background,
            distance,
            near_labels,
            edges,
        })
    }

    /// The target labels of the pixels within the distance of an edge of any
    /// class but the background, 255 everywhere else. `BIoU` is
    /// [`Confusion::miou`](crate::Confusion::miou) after
    /// [`Confusion::add`](crate::Confusion::add) of these labels instead of the
    /// whole target; background pixels near another class's edge do count.
    #[must_use]
    pub fn near_labels(&self) -> &[u8] {
        &self.near_labels
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The class whose edges do not count, if there is one.
    #[must_use]
    pub fn background(&self) -> Option<u8> {
        self.background
    }

    /// The allowed distance between edges, in pixels.
    #[must_use]
    pub fn distance(&self) -> u32 {
        self.distance
    }
}

impl ClassEdges {
    fn new(pixels: &[u64], grid: Grid, reach: usize) -> Option<Self> {
        let count = count_common(pixels, pixels);
        (count > 0).then(|| {
            let mut near = pixels.to_vec();
            dilate(&mut near, grid, reach);
            Self {
                count,
                pixels: pixels.to_vec(),
                near,
            }
        })
    }
}

/// Edge pixels of one class over all images so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct EdgeCounts {
    predicted: u64,
    predicted_near_target: u64,
    target: u64,
    target_near_predicted: u64,
}

/// BF1 over a data set: agreement of the edges of predictions with those of targets.
///
/// For each class but the background, precision is the share of predicted edge
/// pixels within the distance of a target edge pixel of that class, recall the
/// share of target edge pixels within the distance of a predicted one, counted
/// over all images first; F1 is their harmonic mean and BF1 its mean over the
/// classes that have target edges. A class with target edges and no predicted
/// ones counts 0. Without any target edge BF1 is 0.
///
/// Predicted edges are found in the whole prediction: ignored pixels of the target neither hide nor make any, as in Auto Seg-Loss's
/// published evaluation. Predicted labels outside the classes are of no class.
#[derive(Debug, Clone)]
pub struct BoundaryF1 {
    classes: usize,
    background: Option<u8>,
    counts: Vec<EdgeCounts>,
    // Memory used anew for each prediction.
    map: EdgeMap,
    pixels: Vec<u64>,
}

impl BoundaryF1 {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// A number of classes that is not 1 to 255, a background that is no class.
    pub fn new(classes: usize, background: Option<u8>) -> Result<Self, MetricError> {
        check_classes(classes)?;
        check_background(background, classes)?;
        Ok(Self {
            classes,
            background,
            counts: vec![EdgeCounts::default(); classes],
            map: EdgeMap::default(),
            pixels: Vec::new(),
        })
    }

    /// Counts the edges of one prediction, of the size of the target.
    ///
    /// # Errors
    /// A prediction of another size, a target with other classes or another
    /// background; nothing is counted then.
    pub fn add(&mut self, target: &TargetEdges, prediction: &[u8]) -> Result<(), MetricError> {
        check_setting("classes", &target.classes, &self.classes)?;
        check_setting("background", &target.background, &self.background)?;
        let grid = target.grid;
        check_size("the prediction", prediction.len(), grid.width * grid.height)?;
        self.map.read(prediction, grid, self.classes);
        for (class, (counts, edges)) in self.counts.iter_mut().zip(&target.edges).enumerate() {
            let class = class as u8;
            if self.background == Some(class) {
                continue;
            }
            self.map.edges_of(class, &mut self.pixels);
            let predicted = count_common(&self.pixels, &self.pixels);
            counts.predicted += predicted;
            let Some(edges) = edges else {
                continue;
            };
            counts.target += edges.count;
            if predicted > 0 {
                counts.predicted_near_target += count_common(&self.pixels, &edges.near);
                dilate(&mut self.pixels, grid, target.distance as usize);
                counts.target_near_predicted += count_common(&self.pixels, &edges.pixels);
            }
        }
        Ok(())
    }

    /// Adds the counts of another data set to this one.
    ///
    /// # Errors
    /// The other has other classes or another background.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check_setting("classes", &other.classes, &self.classes)?;
        check_setting("background", &other.background, &self.background)?;
        for (counts, more) in self.counts.iter_mut().zip(&other.counts) {
            counts.predicted += more.predicted;
            counts.predicted_near_target += more.predicted_near_target;
            counts.target += more.target;
            counts.target_near_predicted += more.target_near_predicted;
        }
        Ok(())
    }

    /// Forgets everything counted so far, keeping the memory.
    pub fn clear(&mut self) {
        self.counts.fill(EdgeCounts::default());
    }

    /// F1 of a class, or none where the class has no target edges or is the
    /// background.
    #[must_use]
    pub fn f1(&self, class: u8) -> Option<f64> {
        self.counts.get(usize::from(class))?.f1()
    }

    /// BF1: the mean of F1 over the classes that have one.
    #[must_use]
    pub fn mean(&self) -> f64 {
        mean(self.counts.iter().filter_map(EdgeCounts::f1))
    }
}

impl EdgeCounts {
    fn f1(&self) -> Option<f64> {
        let precision = ratio(self.predicted_near_target as f64, self.predicted as f64);
        let recall = ratio(self.target_near_predicted as f64, self.target as f64);
        (self.target > 0).then(|| ratio(2.0 * precision * recall, precision + recall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Confusion;
    use crate::reference::{self, close, scenes};
    use proptest::prelude::*;

    fn bf1(target: &TargetEdges, prediction: &[u8]) -> BoundaryF1 {
        let mut score = BoundaryF1::new(target.classes, target.background).unwrap();
        score.add(target, prediction).unwrap();
        score
    }

    /// Worked by hand, in one row of ten: target 0 0 0 0 0 1 1 1 1 1 has its
    /// edges at x = 4 (class 0) and x = 5 (class 1).
    #[test]
    fn near_labels_by_hand() {
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 255];
        let edges = TargetEdges::new(&labels, 10, 1, 2, 1, None).unwrap();
        // Class 1 also ends at the ignored pixel, which stays ignored.
        let expected = [255, 255, 255, 0, 0, 1, 1, 1, 1, 255];
        assert_eq!(edges.near_labels(), expected);
        // Without the background's own edges, x = 3 is 2 away from the others.
        let edges = TargetEdges::new(&labels, 10, 1, 2, 1, Some(0)).unwrap();
        let expected = [255, 255, 255, 255, 0, 1, 1, 1, 1, 255];
        assert_eq!(edges.near_labels(), expected);
    }

    /// The prediction 0 0 0 1 1 1 1 1 1 0 against the same target: near the
    /// edges 0 0 1 1 1 1 (x = 3 to 8) it says 1 1 1 1 1 1.
    #[test]
    fn biou_by_hand() {
        let target = [0, 0, 0, 0, 0, 1, 1, 1, 1, 255];
        let edges = TargetEdges::new(&target, 10, 1, 2, 1, None).unwrap();
        let mut confusion = Confusion::new(2).unwrap();
        confusion
            .add(edges.near_labels(), &[0, 0, 0, 1, 1, 1, 1, 1, 1, 0])
            .unwrap();
        assert!(close(confusion.miou(), (0.0 / 2.0 + 4.0 / 6.0) / 2.0));
    }

    /// Target edges: class 0 at 4, class 1 at 5 and 6, class 2 at 7. Predicted
    /// edges: class 0 at 2, class 1 at 3 and 6, class 2 at 7.
    #[test]
    fn bf1_by_hand() {
        let target = [0, 0, 0, 0, 0, 1, 1, 2, 2, 2];
        let prediction = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2];
        let edges = TargetEdges::new(&target, 10, 1, 4, 1, None).unwrap();
        let score = bf1(&edges, &prediction);
        assert!(close(score.f1(0).unwrap(), 0.0));
        // Precision 1/2 (the 6), recall 2/2: both 5 and 6 are near 6.
        assert!(close(score.f1(1).unwrap(), 2.0 / 3.0));
        assert!(close(score.f1(2).unwrap(), 1.0));
        assert_eq!(score.f1(3), None);
        assert!(close(score.mean(), (0.0 + 2.0 / 3.0 + 1.0) / 3.0));
        let edges = TargetEdges::new(&target, 10, 1, 4, 2, None).unwrap();
        assert!(close(bf1(&edges, &prediction).mean(), 1.0));
        let edges = TargetEdges::new(&target, 10, 1, 4, 1, Some(0)).unwrap();
        assert!(close(
            bf1(&edges, &prediction).mean(),
            (2.0 / 3.0 + 1.0) / 2.0
        ));
    }

    /// A predicted class without target edges is left out in one image, and its
    /// edges are wrong ones as soon as another image has target edges of it.
    #[test]
    fn counts_are_summed_before_the_mean() {
        let whole = TargetEdges::new(&[0; 4], 4, 1, 2, 0, Some(0)).unwrap();
        let halves = TargetEdges::new(&[0, 0, 1, 1], 4, 1, 2, 0, Some(0)).unwrap();
        let mut score = bf1(&whole, &[0, 1, 1, 1]);
        assert_eq!(score.f1(1), None);
        assert!(close(score.mean(), 0.0));
        score.merge(&bf1(&halves, &[0, 0, 1, 1])).unwrap();
        // Precision 1/2, recall 1/1.
        assert!(close(score.mean(), 2.0 / 3.0));
        score.add(&halves, &[0; 4]).unwrap();
        // Recall is 1/2 now.
        assert!(close(score.mean(), 0.5));
        score.clear();
        assert!(close(score.mean(), 0.0));
    }

    /// Target edges: class 0 at 1, class 1 at 2 and, beside ignored pixels, at 3 and 6.
    #[test]
    fn ignored_pixels_neither_hide_nor_make_predicted_edges() {
        let target = [0, 0, 1, 1, 255, 255, 1, 1];
        let edges = TargetEdges::new(&target, 8, 1, 2, 0, None).unwrap();
        let f1 = |prediction: &[u8]| {
            let score = bf1(&edges, prediction);
            (score.f1(0).unwrap(), score.f1(1).unwrap())
        };
        // Predicted edges of class 1: 2 alone, so recall is 1/3.
        assert_eq!(f1(&[0, 0, 1, 1, 1, 1, 1, 1]), (1.0, 0.5));
        // Predicted edges: class 0 at 1 and 4, class 1 at 2, 3 and 5.
        let (zero, one) = f1(&[0, 0, 1, 1, 0, 1, 1, 1]);
        assert!(close(zero, 2.0 / 3.0) && close(one, 2.0 / 3.0));
        // A prediction of no class there has the target's edges.
        assert_eq!(f1(&target), (1.0, 1.0));
    }

    #[test]
    fn bad_input_is_named() {
        let new = TargetEdges::new;
        assert_eq!(
            new(&[], 0, 3, 2, 5, None).unwrap_err().to_string(),
            "label map of 0x3 pixels: expected at least 1x1"
        );
        assert!(matches!(
            new(&[0; 5], 2, 3, 2, 5, None),
            Err(MetricError::Size {
                found: 5,
                expected: 6,
                ..
            })
        ));
        assert!(matches!(
            new(&[0], 1, 1, 300, 5, None),
            Err(MetricError::Classes(300))
        ));
        assert_eq!(
            new(&[0], 1, 1, 2, 5, Some(2)).unwrap_err().to_string(),
            "background 2: expected a label below the number of classes, 2"
        );
        assert!(BoundaryF1::new(0, None).is_err());
        let edges = new(&[0], 1, 1, 2, 5, Some(1)).unwrap();
        let mut score = BoundaryF1::new(2, Some(1)).unwrap();
        assert!(score.add(&edges, &[0, 0]).is_err());
        assert!(
            BoundaryF1::new(3, Some(1))
                .unwrap()
                .add(&edges, &[0])
                .is_err()
        );
        assert_eq!(
            BoundaryF1::new(2, None)
                .unwrap()
                .add(&edges, &[0])
                .unwrap_err()
                .to_string(),
            "background is Some(1) here, expected None: make targets and scores with the same settings"
        );
        assert!(score.merge(&BoundaryF1::new(2, None).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(scene in scenes()) {
            let edges = TargetEdges::new(
                &scene.target,
                scene.width,
                scene.height,
                scene.classes,
                scene.distance,
                scene.background,
            ).unwrap();
            let mut near = Confusion::new(scene.classes).unwrap();
            near.add(edges.near_labels(), &scene.prediction).unwrap();
            let slow = reference::Pixels::of(scene.pairs_near_edges(), scene.classes);
            for class in 0..scene.classes {
                prop_assert_eq!(near.iou(class as u8), slow.iou(class));
            }
            prop_assert!(close(near.miou(), slow.miou()));

            let score = bf1(&edges, &scene.prediction);
            for class in 0..scene.classes {
                let expected = scene.f1(class);
                prop_assert_eq!(score.f1(class as u8).is_some(), expected.is_some());
                if let (Some(a), Some(b)) = (score.f1(class as u8), expected) {
                    prop_assert!(close(a, b), "class {}: {} instead of {}", class, a, b);
                }
            }
        }

        #[test]
        fn the_target_itself_is_perfect(scene in scenes()) {
            let edges = TargetEdges::new(
                &scene.target,
                scene.width,
                scene.height,
                scene.classes,
                0,
                scene.background,
            ).unwrap();
            let score = bf1(&edges, &scene.target);
            for class in 0..scene.classes as u8 {
                prop_assert!(score.f1(class).is_none_or(|f1| close(f1, 1.0)));
            }
        }
    }
}
