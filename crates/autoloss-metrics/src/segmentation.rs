//! Scores of predicted label maps: all metrics that are asked for, summed over images.

use crate::boundary::{BoundaryF1, TargetEdges};
use crate::confusion::Confusion;
use crate::error::{MetricError, check_background, check_classes, check_setting, check_size};
use crate::metric::{Metric, Value};

/// Classes, metrics and distance of a segmentation score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentationSettings {
    /// Number of classes, 1 to 255; a larger label is ignored.
    pub classes: usize,
    /// The class whose edges do not count, where the data set has one.
    pub background: Option<u8>,
    /// Allowed Chebyshev distance between edges in pixels; 5 at a data set's
    /// full size, less where images are made smaller.
    pub distance: u32,
    /// The metrics that will be asked for; other metrics are not counted.
    pub metrics: Vec<Metric>,
}

impl SegmentationSettings {
    /// Fails unless classes and background fit each other.
    fn check(&self) -> Result<(), MetricError> {
        check_classes(self.classes)?;
        check_background(self.background, self.classes)
    }

    /// Whether a metric is read from such counts.
    fn needs(&self, reads: fn(&Value) -> bool) -> bool {
        self.metrics.iter().any(|metric| reads(&metric.row().value))
    }
}

/// The target of one image, prepared once to score any number of predictions.
#[derive(Debug, Clone)]
pub struct SegmentationTarget {
    labels: Vec<u8>,
    /// Edges of the target, if a metric of the settings needs them.
    edges: Option<TargetEdges>,
}

impl SegmentationTarget {
    /// Prepares a label map, the rows of an image of `width` × `height` pixels
    /// one after another, for the metrics of the settings.
    ///
    /// # Errors
    /// `labels` of another size, an image without pixels, a number of classes
    /// that is not 1 to 255, a background that is no class.
    pub fn new(
        labels: Vec<u8>,
        width: usize,
        height: usize,
        settings: &SegmentationSettings,
    ) -> Result<Self, MetricError> {
        settings.check()?;
        if width == 0 || height == 0 {
            return Err(MetricError::Empty { width, height });
        }
        check_size("the target", labels.len(), width.saturating_mul(height))?;
        let edges = settings
            .needs(|value| !matches!(value, Value::Pixels(_)))
            .then(|| {
                TargetEdges::new(
                    &labels,
                    width,
                    height,
                    settings.classes,
                    settings.distance,
                    settings.background,
                )
            })
            .transpose()?;
        Ok(Self { labels, edges })
    }

    /// The label map.
    #[must_use]
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

/// Scores of one class; none where the class does not occur, or where no metric of the settings needs the counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// TP / (TP + FP + FN).
    pub iou: Option<f64>,
    /// TP / (TP + FN).
    pub accuracy: Option<f64>,
    /// F1 of the edges; the background has none.
    pub f1: Option<f64>,
}

/// Scores of predictions, summed over images.
#[derive(Debug, Clone)]
pub struct SegmentationScore {
    settings: SegmentationSettings,
    // Counts that no metric of the settings reads are absent.
    pixels: Option<Confusion>,
    near_edges: Option<Confusion>,
    edges: Option<BoundaryF1>,
}

impl SegmentationScore {
    /// The score of no images yet.
    ///
    /// # Errors
    /// A number of classes that is not 1 to 255, a background that is no class.
    pub fn new(settings: SegmentationSettings) -> Result<Self, MetricError> {
        settings.check()?;
        let confusion = |needed: bool| needed.then(|| Confusion::new(settings.classes)).transpose();
        let pixels = confusion(settings.needs(|value| matches!(value, Value::Pixels(_))))?;
        let near_edges = confusion(settings.needs(|value| matches!(value, Value::NearEdges(_))))?;
        let edges = settings
            .needs(|value| matches!(value, Value::Edges(_)))
            .then(|| BoundaryF1::new(settings.classes, settings.background))
            .transpose()?;
        Ok(Self {
            settings,
            pixels,
            near_edges,
            edges,
        })
    }

    /// The settings of the score.
    #[must_use]
    pub fn settings(&self) -> &SegmentationSettings {
        &self.settings
    }

    /// Counts one prediction.
    ///
    /// # Errors
    /// A prediction of another size than the target, a target prepared with
    /// other settings; nothing is counted then.
    pub fn add(
        &mut self,
        target: &SegmentationTarget,
        prediction: &[u8],
    ) -> Result<(), MetricError> {
        check_size("the prediction", prediction.len(), target.labels.len())?;
        let edges = self.edges_of(target)?;
        if let (Some(score), Some(edges)) = (&mut self.edges, edges) {
            score.add(edges, prediction)?;
        }
        if let (Some(confusion), Some(edges)) = (&mut self.near_edges, edges) {
            confusion.add(edges.near_labels(), prediction)?;
        }
        if let Some(confusion) = &mut self.pixels {
            confusion.add(&target.labels, prediction)?;
        }
        Ok(())
    }

    /// Adds the counts of another score.
    ///
    /// # Errors
    /// The other was made with other settings.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        check_setting("metrics", &other.settings.metrics, &self.settings.metrics)?;
        check_setting(
            "distance",
            &other.settings.distance,
            &self.settings.distance,
        )?;
        check_setting("classes", &other.settings.classes, &self.settings.classes)?;
        check_setting(
            "background",
            &other.settings.background,
            &self.settings.background,
        )?;
        for (mine, more) in [
            (&mut self.pixels, &other.pixels),
            (&mut self.near_edges, &other.near_edges),
        ] {
            if let (Some(mine), Some(more)) = (mine, more) {
                mine.merge(more)?;
            }
        }
        if let (Some(mine), Some(more)) = (&mut self.edges, &other.edges) {
            mine.merge(more)?;
        }
        Ok(())
    }

    /// Forgets everything counted so far, keeping the memory.
    pub fn clear(&mut self) {
        for confusion in [&mut self.pixels, &mut self.near_edges]
            .into_iter()
            .flatten()
        {
            confusion.clear();
        }
        if let Some(edges) = &mut self.edges {
            edges.clear();
        }
    }

    /// The value of a metric over everything counted so far.
    ///
    /// # Panics
    /// The settings list neither the metric nor another one of the same counts.
    #[must_use]
    pub fn get(&self, metric: Metric) -> f64 {
        let row = metric.row();
        match row.value {
            Value::Pixels(value) => self.pixels.as_ref().map(value),
            Value::NearEdges(value) => self.near_edges.as_ref().map(value),
            Value::Edges(value) => self.edges.as_ref().map(value),
        }
        .unwrap_or_else(|| panic!("metric `{}` is not in the settings of the score", row.name))
    }

    /// The scores of one class over everything counted so far.
    #[must_use]
    pub fn class(&self, class: usize) -> ClassScore {
        let class = u8::try_from(class).unwrap_or(u8::MAX);
        let pixels = self.pixels.as_ref();
        ClassScore {
            iou: pixels.and_then(|pixels| pixels.iou(class)),
            accuracy: pixels.and_then(|pixels| pixels.accuracy(class)),
            f1: self.edges.as_ref().and_then(|edges| edges.f1(class)),
        }
    }

    /// The value of a metric for one prediction by itself. Earlier counts are
    /// forgotten; nothing is allocated after the first image of a size.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`get`](Self::get).
    pub fn score(
        &mut self,
        target: &SegmentationTarget,
        prediction: &[u8],
        metric: Metric,
    ) -> Result<f64, MetricError> {
        self.clear();
        self.add(target, prediction)?;
        Ok(self.get(metric))
    }

    /// The edges of a target, if a metric needs them, after a check that they were
    /// found with the same settings.
    fn edges_of<'a>(
        &self,
        target: &'a SegmentationTarget,
    ) -> Result<Option<&'a TargetEdges>, MetricError> {
        let Some(metric) = self
            .settings
            .metrics
            .iter()
            .find(|metric| metric.needs_edges())
        else {
            return Ok(None);
        };
        let Some(edges) = &target.edges else {
            return Err(MetricError::Unprepared {
                metric: metric.name(),
            });
        };
        check_setting("distance", &edges.distance(), &self.settings.distance)?;
        check_setting("classes", &edges.classes(), &self.settings.classes)?;
        check_setting("background", &edges.background(), &self.settings.background)?;
        Ok(Some(edges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, Scene, close, scenes};
    use proptest::prelude::*;

    fn settings(scene: &Scene, metrics: &[Metric]) -> SegmentationSettings {
        SegmentationSettings {
            classes: scene.classes,
            background: scene.background,
            distance: scene.distance,
            metrics: metrics.to_vec(),
        }
    }

    fn small(metrics: &[Metric]) -> SegmentationSettings {
        SegmentationSettings {
            classes: 2,
            background: Some(0),
            distance: 1,
            metrics: metrics.to_vec(),
        }
    }

    #[test]
    fn names() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Ok(metric));
            assert!(!metric.description().is_empty());
        }
        assert_eq!(Metric::from_name("mIoU"), Ok(Metric::MIoU));
        assert_eq!(
            Metric::from_name("moiu").unwrap_err().to_string(),
            "unknown metric `moiu`: the nearest known name is `miou`, \
             all names are miou, fwiou, gacc, macc, biou, bf1"
        );
    }

    #[test]
    fn bad_input_is_named() {
        let plain = SegmentationTarget::new(vec![0, 1], 2, 1, &small(&[Metric::MIoU])).unwrap();
        let mut score = SegmentationScore::new(small(&Metric::ALL)).unwrap();
        assert_eq!(
            score.add(&plain, &[0, 1]).unwrap_err().to_string(),
            "the target was prepared without edges, which `biou` needs: \
             prepare it with settings that list `biou`"
        );
        assert!(score.add(&plain, &[0]).is_err());
        let mut other = small(&Metric::ALL);
        other.distance = 2;
        let target = SegmentationTarget::new(vec![0, 1], 2, 1, &other).unwrap();
        assert!(score.add(&target, &[0, 1]).is_err());
        let error = score
            .merge(&SegmentationScore::new(other).unwrap())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("distance is 2 here, expected 1")
        );
        let fewer = SegmentationScore::new(small(&[Metric::BF1])).unwrap();
        assert!(score.merge(&fewer).is_err());
        for metric in Metric::ALL {
            assert!(close(score.get(metric), 0.0));
        }
        let new = |labels, width| SegmentationTarget::new(labels, width, 1, &small(&[]));
        assert!(new(vec![], 0).is_err());
        assert!(new(vec![0], 2).is_err());
        let mut none = small(&[]);
        none.classes = 0;
        assert!(SegmentationScore::new(none).is_err());
    }

    #[test]
    #[should_panic(expected = "metric `bf1` is not in the settings")]
    fn a_metric_that_was_not_asked_for() {
        let score = SegmentationScore::new(small(&[Metric::GAcc, Metric::BIoU])).unwrap();
        assert!(close(score.get(Metric::MIoU), 0.0));
        let _ = score.get(Metric::BF1);
    }

    proptest! {
        #[test]
        fn each_metric_alone_is_the_metric_among_all(scene in scenes()) {
            let all = settings(&scene, &Metric::ALL);
            let prepare = |settings: &SegmentationSettings| {
                SegmentationTarget::new(scene.target.clone(), scene.width, scene.height, settings)
            };
            let target = prepare(&all).unwrap();
            let mut together = SegmentationScore::new(all).unwrap();
            together.add(&target, &scene.prediction).unwrap();
            for metric in Metric::ALL {
                let one = settings(&scene, &[metric]);
                let target = prepare(&one).unwrap();
                prop_assert_eq!(target.labels(), &scene.target);
                let mut alone = SegmentationScore::new(one).unwrap();
                alone.add(&target, &scene.target).unwrap();
                let value = alone.score(&target, &scene.prediction, metric).unwrap();
                prop_assert_eq!(value.to_bits(), together.get(metric).to_bits());
                prop_assert!((0.0..=1.0).contains(&value));
            }
            let slow = reference::Pixels::of(scene.pairs_near_edges(), scene.classes);
            prop_assert!(close(together.get(Metric::BIoU), slow.miou()));
            let f1: Vec<f64> = (0..scene.classes).filter_map(|class| scene.f1(class)).collect();
            let mean = f1.iter().sum::<f64>() / f1.len().max(1) as f64;
            prop_assert!(close(together.get(Metric::BF1), mean));
        }

        #[test]
        fn merging_is_adding(scene in scenes()) {
            let all = settings(&scene, &Metric::ALL);
            let target =
                SegmentationTarget::new(scene.target.clone(), scene.width, scene.height, &all).unwrap();
            let mut whole = SegmentationScore::new(all).unwrap();
            let mut part = whole.clone();
            whole.add(&target, &scene.prediction).unwrap();
            let mut merged = whole.clone();
            whole.add(&target, &scene.target).unwrap();
            part.add(&target, &scene.target).unwrap();
            merged.merge(&part).unwrap();
            for metric in Metric::ALL {
                prop_assert_eq!(merged.get(metric).to_bits(), whole.get(metric).to_bits());
            }
        }
    }
}
