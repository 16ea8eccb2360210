//! Computation of the metrics, without Python.

use autoloss_metrics::{
    Confusion, Metric, MetricError, SegmentationScore, SegmentationSettings, SegmentationTarget,
};
use autoloss_search::Scorer;

use super::labels::{Batch, argmax};

/// Allowed distance between edges where none is given.
const DISTANCE: u32 = 5;

/// A metric.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of the table of segmentation metrics.
    Segmentation(Metric),
    /// Mean F1 of the classes.
    MacroF1,
}

impl Kind {
    const MACRO_F1: &'static str = "macro_f1";

    /// The metric of that name.
    ///
    /// # Errors
    /// No such metric.
    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        match name {
            Self::MACRO_F1 => Ok(Self::MacroF1),
            _ => Metric::from_name(name)
                .map(Self::Segmentation)
                .map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Segmentation(metric) => metric.name(),
            Self::MacroF1 => Self::MACRO_F1,
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Segmentation(metric) => metric.description(),
            Self::MacroF1 => "mean over the classes of 2 TP / (2 TP + FP + FN)",
        }
    }

    fn needs_edges(self) -> bool {
        match self {
            Self::Segmentation(metric) => metric.needs_edges(),
            Self::MacroF1 => false,
        }
    }
}

/// A metric and its settings; what is not given has a default.
#[derive(Clone, PartialEq)]
pub(crate) struct Scoring {
    pub(crate) kind: Kind,
    pub(crate) classes: Option<usize>,
    pub(crate) background: Option<u8>,
    pub(crate) distance: Option<u32>,
}

impl Scoring {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            classes: None,
            background: None,
            distance: None,
        }
    }

    /// The same with other settings, where they are given.
    pub(crate) fn with(
        &self,
        classes: Option<usize>,
        background: Option<u8>,
        distance: Option<u32>,
    ) -> Self {
        Self {
            kind: self.kind,
            classes: classes.or(self.classes),
            background: background.or(self.background),
            distance: distance.or(self.distance),
        }
    }

    fn counter(&self, classes: usize) -> Result<Counter, MetricError> {
        let settings = |metric| SegmentationSettings {
            classes,
            background: self.background.filter(|_| self.kind.needs_edges()),
            distance: self.distance.unwrap_or(DISTANCE),
            metrics: vec![metric],
        };
        Ok(match self.kind {
            Kind::MacroF1 => Counter::Confusion(Confusion::new(classes)?),
            Kind::Segmentation(metric) => {
                let settings = settings(metric);
                let score = SegmentationScore::new(settings.clone())?;
                Counter::Segmentation(Box::new((settings, score, metric)))
            }
        })
    }

    /// The scorer of a stored batch: class scores of shape (N, C, H, W) against labels.
    ///
    /// # Errors
    /// Classes, background or sizes that do not fit.
    pub(crate) fn scorer(
        &self,
        (n, channels, height, width): (usize, usize, usize, usize),
        target: &[u8],
    ) -> Result<Scorer, MetricError> {
        let pixels = height * width;
        let classes = self.classes.unwrap_or(channels);
        let counter = self.counter(classes)?;
        // Predictions of ignored positions are uniform: their largest class would make edges.
        let ignored: Vec<bool> = target
            .iter()
            .map(|label| usize::from(*label) >= classes)
            .collect();
        let prepare = |labels: &[u8]| counter.prepare(labels.to_vec(), width, height);
        let targets: Vec<Target> = target
            .chunks(pixels)
            .map(prepare)
            .collect::<Result<_, _>>()?;
        Ok(Box::new(move |predictions| {
            let mut counter = counter.clone();
            let labels = argmax(predictions[0], n, channels, pixels);
            let added = labels.and_then(|mut labels| {
                let each = labels.iter_mut().zip(&ignored);
                each.filter(|(_, ignored)| **ignored)
                    .for_each(|(label, _)| *label = u8::MAX);
                let mut images = targets.iter().zip(labels.chunks(pixels));
                images.try_for_each(|(target, labels)| counter.add(target, labels))
            });
            added.map_or(f64::NAN, |()| counter.value())
        }))
    }
}

/// Sums of a metric over images.
#[derive(Clone)]
enum Counter {
    Confusion(Confusion),
    Segmentation(Box<(SegmentationSettings, SegmentationScore, Metric)>),
}

/// The target of an image, prepared for a counter.
enum Target {
    Labels(Vec<u8>),
    Segmentation(SegmentationTarget),
}

impl Counter {
    fn prepare(&self, labels: Vec<u8>, width: usize, height: usize) -> Result<Target, MetricError> {
        match self {
            Self::Confusion(_) => Ok(Target::Labels(labels)),
            Self::Segmentation(counter) => {
                let settings = &counter.0;
                SegmentationTarget::new(labels, width, height, settings).map(Target::Segmentation)
            }
        }
    }

    fn add(&mut self, target: &Target, prediction: &[u8]) -> Result<(), MetricError> {
        match (self, target) {
            (Self::Confusion(confusion), Target::Labels(labels)) => {
                confusion.add(labels, prediction)
            }
            (Self::Segmentation(counter), Target::Segmentation(target)) => {
                counter.1.add(target, prediction)
            }
            _ => unreachable!("a counter prepares its own targets"),
        }
    }

    fn value(&self) -> f64 {
        match self {
            Self::Confusion(confusion) => confusion.macro_f1(),
            Self::Segmentation(counter) => counter.1.get(counter.2),
        }
    }
}

/// Number of classes: what is given, the channels of scores, or the largest label and one.
fn classes(given: Option<usize>, batch: &Batch) -> usize {
    given.or(batch.channels).unwrap_or_else(|| {
        let labels = batch.target.iter().chain(&batch.prediction);
        let largest = labels.copied().filter(|label| *label != u8::MAX).max();
        usize::from(largest.unwrap_or(0)) + 1
    })
}

/// The metric of a batch: one value of all images, or one of each.
///
/// # Errors
/// Settings that do not fit.
pub(super) fn batch(
    scoring: &Scoring,
    batch: &Batch,
    per_image: bool,
) -> Result<Vec<f64>, MetricError> {
    let pixels = batch.pixels();
    let empty = scoring.counter(classes(scoring.classes, batch))?;
    let mut counter = empty.clone();
    let mut values = Vec::with_capacity(batch.images);
    let images = batch
        .target
        .chunks(pixels)
        .zip(batch.prediction.chunks(pixels));
    for (target, prediction) in images {
        let target = counter.prepare(target.to_vec(), batch.width, batch.height)?;
        counter.add(&target, prediction)?;
        if per_image {
            values.push(counter.value());
            counter = empty.clone();
        }
    }
    Ok(match per_image {
        true => values,
        false => vec![counter.value()],
    })
}

/// The number of classes, and the counts of label pairs row by row.
///
/// # Errors
/// A number of classes that does not fit.
pub(super) fn counts(
    batch: &Batch,
    given: Option<usize>,
) -> Result<(usize, Vec<i64>), MetricError> {
    let classes = classes(given, batch);
    let mut confusion = Confusion::new(classes)?;
    confusion.add(&batch.target, &batch.prediction)?;
    let labels = || (0..classes).map(|label| u8::try_from(label).unwrap_or(u8::MAX));
    let pairs = labels().flat_map(|target| labels().map(move |predicted| (target, predicted)));
    let counts = pairs.map(|(target, predicted)| confusion.count(target, predicted).cast_signed());
    Ok((classes, counts.collect()))
}
