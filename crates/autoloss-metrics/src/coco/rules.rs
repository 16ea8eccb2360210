//! Rules of the evaluation, and the tables of its numbers.

use std::borrow::Cow;

use super::region::Kind;

/// Number of thresholds of overlap.
pub(super) const THRESHOLDS: usize = 10;
/// Largest number of ranges of area.
pub(super) const AREAS: usize = 4;
/// Largest number of limits on the predictions.
pub(super) const LIMITS: usize = 3;

/// A range of area in pixels, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) name: &'static str,
    pub(super) from: f64,
    pub(super) to: f64,
}

const RANGES: [Range; AREAS] = [
    Range {
        name: "all",
        from: 0.0,
        to: 1e10,
    },
    Range {
        name: "small",
        from: 0.0,
        to: 1024.0,
    },
    Range {
        name: "medium",
        from: 1024.0,
        to: 9216.0,
    },
    Range {
        name: "large",
        from: 9216.0,
        to: 1e10,
    },
];

/// Thresholds, ranges, limits and numbers of an evaluation.
#[derive(Debug)]
pub(super) struct Rules {
    /// Thresholds of overlap: 0.50, 0.55, … 0.95.
    pub(super) thresholds: [f64; THRESHOLDS],
    pub(super) areas: Vec<Range>,
    /// Limits on the number of predictions an image and category, rising.
    pub(super) limits: Vec<usize>,
    /// The numbers.
    pub(super) rows: Vec<Row>,
}

impl Rules {
    /// The rules of a kind, with at most `most` predictions an image and category.
    pub(super) fn of(kind: Kind, most: usize) -> Self {
        let [all, small, medium, large] = RANGES;
        let (areas, rows): (_, &[Row]) = match kind {
            Kind::Box | Kind::Mask => (vec![all, small, medium, large], &REGIONS),
            Kind::Keypoints => (vec![all, medium, large], &KEYPOINTS),
        };
        let usual = kind.most_predictions();
        let rows: Vec<Row> = rows.iter().map(|row| row.limited(usual, most)).collect();
        let mut limits: Vec<usize> = rows.iter().map(|row| row.limit).collect();
        limits.sort_unstable();
        limits.dedup();
        Self {
            thresholds: std::array::from_fn(threshold),
            areas,
            limits,
            rows,
        }
    }

    /// Largest number of predictions of an image and category that count.
    pub(super) fn most_predictions(&self) -> usize {
        self.limits.iter().copied().max().unwrap_or(0)
    }
}

impl Kind {
    /// Default limit on the predictions that count for an image and category, as in pycocotools.
    #[must_use]
    pub fn most_predictions(self) -> usize {
        match self {
            Self::Box | Self::Mask => 100,
            Self::Keypoints => 20,
        }
    }
}

/// A threshold of overlap, to the last bit that of numpy's linspace.
fn threshold(index: usize) -> f64 {
    let step = (0.95 - 0.5) / 9.0;
    match index {
        9 => 0.95,
        index => index as f64 * step + 0.5,
    }
}

/// One of the numbers of an evaluation.
#[derive(Debug, Clone)]
pub struct Row {
    name: Cow<'static, str>,
    description: Cow<'static, str>,
    pub(super) value: Value,
    /// The threshold of overlap, counted from 0; the mean over all if none.
    pub(super) threshold: Option<usize>,
    area: &'static str,
    /// Limit on the predictions of an image and category.
    pub(super) limit: usize,
}

/// Measure that a number is a mean of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Precision,
    Recall,
}

const fn row(
    name: &'static str,
    description: &'static str,
    value: Value,
    threshold: Option<usize>,
    area: &'static str,
    limit: usize,
) -> Row {
    Row {
        name: Cow::Borrowed(name),
        description: Cow::Borrowed(description),
        value,
        threshold,
        area,
        limit,
    }
}

use Value::{Precision, Recall};

/// The numbers of boxes and masks.
#[rustfmt::skip]
static REGIONS: [Row; 12] = [
    row("AP", "mean precision, IoU 0.50 to 0.95", Precision, None, "all", 100),
    row("AP50", "mean precision, IoU 0.50", Precision, Some(0), "all", 100),
    row("AP75", "mean precision, IoU 0.75", Precision, Some(5), "all", 100),
    row("APs", "AP of small objects, up to 32² pixels", Precision, None, "small", 100),
    row("APm", "AP of medium objects, 32² to 96² pixels", Precision, None, "medium", 100),
    row("APl", "AP of large objects, from 96² pixels", Precision, None, "large", 100),
    row("AR1", "mean recall, IoU 0.50 to 0.95, 1 prediction an image and category", Recall, None, "all", 1),
    row("AR10", "mean recall with 10 predictions", Recall, None, "all", 10),
    row("AR100", "mean recall with 100 predictions", Recall, None, "all", 100),
    row("ARs", "AR100 of small objects", Recall, None, "small", 100),
    row("ARm", "AR100 of medium objects", Recall, None, "medium", 100),
    row("ARl", "AR100 of large objects", Recall, None, "large", 100),
];

/// The numbers of keypoints.
#[rustfmt::skip]
static KEYPOINTS: [Row; 10] = [
    row("AP", "mean precision, OKS 0.50 to 0.95, 20 predictions an image and category", Precision, None, "all", 20),
    row("AP50", "mean precision, OKS 0.50", Precision, Some(0), "all", 20),
    row("AP75", "mean precision, OKS 0.75", Precision, Some(5), "all", 20),
    row("APm", "AP of medium objects, 32² to 96² pixels", Precision, None, "medium", 20),
    row("APl", "AP of large objects, from 96² pixels", Precision, None, "large", 20),
    row("AR", "mean recall, OKS 0.50 to 0.95", Recall, None, "all", 20),
    row("AR50", "mean recall, OKS 0.50", Recall, Some(0), "all", 20),
    row("AR75", "mean recall, OKS 0.75", Recall, Some(5), "all", 20),
    row("ARm", "AR of medium objects", Recall, None, "medium", 20),
    row("ARl", "AR of large objects", Recall, None, "large", 20),
];

impl Row {
    /// Name, such as `AP50`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The threshold of overlap, or none for the mean over 0.50, 0.55, … 0.95.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.threshold.map(threshold)
    }

    /// The range of area: `all`, `small`, `medium` or `large`.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.area
    }

    /// Largest number of predictions of an image and category that count.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Description in one line.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The number with at most `most` predictions instead of the `usual` limit.
    fn limited(&self, usual: usize, most: usize) -> Self {
        let renamed = |text: &str| text.replace(&usual.to_string(), &most.to_string()).into();
        match self.limit == usual && most != usual {
            true => Self {
                name: renamed(&self.name),
                description: renamed(&self.description),
                limit: most,
                ..self.clone()
            },
            false => Self {
                limit: self.limit.min(most),
                ..self.clone()
            },
        }
    }
}
