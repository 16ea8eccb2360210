//! Slow metrics, pixel by pixel, and random label maps to compare metrics on.

use proptest::prelude::*;

/// A target and a prediction of one image.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) classes: usize,
    pub(crate) distance: u32,
    pub(crate) background: Option<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) prediction: Vec<u8>,
}

/// Scenes from 1×1 pixels on, made of blocks of random size; some labels are
/// outside the classes, some distances larger than the image, and some classes
/// absent.
pub(crate) fn scenes() -> impl Strategy<Value = Scene> {
    let width = prop_oneof![1..12_usize, 60..68_usize, 125..140_usize];
    let distance = prop_oneof![0..6_u32, 50..300_u32, Just(u32::MAX)];
    let classes = prop_oneof![6 => 1..7_usize, 1 => 250..=255_usize];
    (width, 1..16_usize, classes).prop_flat_map(move |(width, height, classes)| {
        let background = prop::option::of(0..classes as u8);
        let map = || {
            let label = prop_oneof![
                12 => 0..classes as u8,
                1 => classes as u8..=255,
                2 => Just(0),
            ];
            let blocks = prop::collection::vec(label, width * height);
            (blocks, 1..9_usize).prop_map(move |(blocks, size)| {
                (0..width * height)
                    .map(|pixel| blocks[pixel / width / size * width + pixel % width / size])
                    .collect::<Vec<u8>>()
            })
        };
        // Mostly right predictions, else hardly an edge would lie on another.
        let wrong = prop::collection::vec(prop::bool::weighted(0.2), width * height);
        (distance.clone(), background, map(), map(), wrong).prop_map(
            move |(distance, background, target, other, wrong)| {
                let prediction = (0..target.len())
                    .map(|pixel| {
                        if wrong[pixel] {
                            other[pixel]
                        } else {
                            target[pixel]
                        }
                    })
                    .collect();
                Scene {
                    width,
                    height,
                    classes,
                    distance,
                    background,
                    target,
                    prediction,
                }
            },
        )
    })
}

impl Scene {
    /// Target and prediction of each pixel.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let wide = |&label: &u8| usize::from(label);
        self.target
            .iter()
            .map(wide)
            .zip(self.prediction.iter().map(wide))
    }

    /// Target and prediction of each pixel within the distance of a target edge.
    pub(crate) fn pairs_near_edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let edges: Vec<_> = (0..self.classes)
            .filter(|&class| self.background.map(usize::from) != Some(class))
            .flat_map(|class| self.edges(&self.target, class))
            .collect();
        self.pairs()
            .enumerate()
            .filter(move |&(pixel, _)| self.is_near(pixel, &edges))
            .map(|(_, pair)| pair)
    }

    /// F1 of the edges of a class.
    pub(crate) fn f1(&self, class: usize) -> Option<f64> {
        if self.background.map(usize::from) == Some(class) {
            return None;
        }
        let target = self.edges(&self.target, class);
        let predicted = self.edges(&self.prediction, class);
        if target.is_empty() {
            return None;
        }
        if predicted.is_empty() {
            return Some(0.0);
        }
        let share = |of: &[usize], near: &[usize]| {
            let hits = of.iter().filter(|&&pixel| self.is_near(pixel, near));
            hits.count() as f64 / of.len() as f64
        };
        let precision = share(&predicted, &target);
        let recall = share(&target, &predicted);
        if precision + recall == 0.0 {
            return Some(0.0);
        }
        Some(2.0 * precision * recall / (precision + recall))
    }

    fn edges(&self, labels: &[u8], class: usize) -> Vec<usize> {
        let at = |x: usize, y: usize| usize::from(labels[y * self.width + x]);
        let mut edges = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let mut other = false;
                for v in y.saturating_sub(1)..(y + 2).min(self.height) {
                    for u in x.saturating_sub(1)..(x + 2).min(self.width) {
                        other |= at(u, v) != class;
                    }
                }
                if at(x, y) == class && other {
                    edges.push(y * self.width + x);
                }
            }
        }
        edges
    }

    fn is_near(&self, pixel: usize, edges: &[usize]) -> bool {
        let (x, y) = (pixel % self.width, pixel / self.width);
        edges.iter().any(|edge| {
            let (u, v) = (edge % self.width, edge / self.width);
            x.abs_diff(u).max(y.abs_diff(v)) <= self.distance as usize
        })
    }
}

/// The pixels that count: target and prediction.
pub(crate) struct Pixels {
    pairs: Vec<(usize, usize)>,
    classes: usize,
}

impl Pixels {
    pub(crate) fn of(pairs: impl Iterator<Item = (usize, usize)>, classes: usize) -> Self {
        let pairs = pairs.filter(|&(target, _)| target < classes).collect();
        Self { pairs, classes }
    }

    fn count(&self, counts: impl Fn(usize, usize) -> bool) -> f64 {
        let hits = self.pairs.iter().filter(|&&(t, p)| counts(t, p));
        hits.count() as f64
    }

    pub(crate) fn iou(&self, class: usize) -> Option<f64> {
        let both = self.count(|t, p| t == class && p == class);
        let either = self.count(|t, p| t == class || p == class);
        (either > 0.0).then(|| both / either)
    }

    fn mean(&self, value: impl Fn(usize) -> Option<f64>) -> f64 {
        let values: Vec<f64> = (0..self.classes).filter_map(value).collect();
        if values.is_empty() {
            return 0.0;
        }
        values.iter().sum::<f64>() / values.len() as f64
    }

    pub(crate) fn miou(&self) -> f64 {
        self.mean(|class| self.iou(class))
    }

    pub(crate) fn fwiou(&self) -> f64 {
        let all = self.pairs.len().max(1) as f64;
        (0..self.classes)
            .map(|class| self.count(|t, _| t == class) / all * self.iou(class).unwrap_or(0.0))
            .sum()
    }

    pub(crate) fn gacc(&self) -> f64 {
        self.count(|t, p| t == p) / self.pairs.len().max(1) as f64
    }

    pub(crate) fn macc(&self) -> f64 {
        self.mean(|class| {
            let target = self.count(|t, _| t == class);
            (target > 0.0).then(|| self.count(|t, p| t == class && p == class) / target)
        })
    }
}

/// Equal up to rounding.
pub(crate) fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12
}

#[test]
fn close_can_fail() {
    assert!(close(0.5, 0.5 + 1e-15));
    assert!(!close(0.5, 0.5 + 1e-9));
    assert!(!close(f64::NAN, f64::NAN));
}
