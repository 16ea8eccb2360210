//! The table of segmentation metrics.

use crate::boundary::BoundaryF1;
use crate::confusion::Confusion;
use crate::error::MetricError;

/// A segmentation metric: between 0 and 1, higher is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Mean intersection over union.
    MIoU,
    /// Frequency-weighted intersection over union.
    FWIoU,
    /// Global accuracy.
    GAcc,
    /// Mean accuracy.
    MAcc,
    /// Mean intersection over union near the target's edges.
    BIoU,
    /// Boundary F1.
    BF1,
}

/// Row of a metric in the table.
pub(crate) struct MetricRow {
    pub(crate) name: &'static str,
    description: &'static str,
    pub(crate) value: Value,
}

/// Counts that a metric is read from, and the function that reads it.
pub(crate) enum Value {
    /// The confusion matrix of all pixels.
    Pixels(fn(&Confusion) -> f64),
    /// The confusion matrix of the pixels near target edges.
    NearEdges(fn(&Confusion) -> f64),
    /// The matches of edges.
    Edges(fn(&BoundaryF1) -> f64),
}

impl Metric {
    /// All metrics, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::MIoU,
        Self::FWIoU,
        Self::GAcc,
        Self::MAcc,
        Self::BIoU,
        Self::BF1,
    ];

    /// The metric's row: all rows together are the table.
    pub(crate) fn row(self) -> MetricRow {
        match self {
            Self::MIoU => MetricRow {
                name: "miou",
                description: "mean over the classes of TP / (TP + FP + FN)",
                value: Value::Pixels(Confusion::miou),
            },
            Self::FWIoU => MetricRow {
                name: "fwiou",
                description: "mean of TP / (TP + FP + FN), classes weighted by their share of the target",
                value: Value::Pixels(Confusion::fwiou),
            },
            Self::GAcc => MetricRow {
                name: "gacc",
                description: "share of all pixels that are right",
                value: Value::Pixels(Confusion::gacc),
            },
            Self::MAcc => MetricRow {
                name: "macc",
                description: "mean over the classes of TP / (TP + FN)",
                value: Value::Pixels(Confusion::macc),
            },
            Self::BIoU => MetricRow {
                name: "biou",
                description: "miou of the pixels near the edges of the target",
                value: Value::NearEdges(Confusion::miou),
            },
            Self::BF1 => MetricRow {
                name: "bf1",
                description: "mean over the classes of F1 between predicted and target edges",
                value: Value::Edges(BoundaryF1::mean),
            },
        }
    }

    /// The name used in settings and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Definition in one line.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// Whether the metric depends on the distance to edges, and so on the scale
    /// of the images.
    #[must_use]
    pub fn needs_edges(self) -> bool {
        !matches!(self.row().value, Value::Pixels(_))
    }

    /// The metric of this name, upper and lower case being the same.
    ///
    /// # Errors
    /// An unknown name. The error tells the most similar known name.
    pub fn from_name(name: &str) -> Result<Self, MetricError> {
        let lower = name.to_lowercase();
        if let Some(metric) = Self::ALL.into_iter().find(|metric| metric.name() == lower) {
            return Ok(metric);
        }
        let names = Self::ALL.map(Self::name);
        let nearest = names
            .into_iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, &lower));
        Err(MetricError::UnknownMetric {
            name: name.to_owned(),
            nearest: nearest.unwrap_or_default(),
            known: names.join(", "),
        })
    }
}
