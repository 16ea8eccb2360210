//! Results of an evaluation.

use super::accumulate::{Curve, LEVELS};
use super::rules::{AREAS, Row, Rules, Value};

/// The number where there is nothing to find.
pub(super) const NOTHING: f64 = -1.0;

/// The result of an evaluation.
#[derive(Debug, Clone)]
pub struct Summary {
    pub(super) rows: Vec<(Row, f64)>,
    /// The categories, in the order of their ids.
    pub categories: Vec<CategoryScore>,
    /// Number of images.
    pub images: usize,
    /// Number of targets that count, the ignored ones included.
    pub targets: usize,
    /// Number of predictions, those that do not count included.
    pub predictions: usize,
    /// Number of predictions of categories that the target does not have.
    pub of_no_category: usize,
    /// Number of predictions beyond `limit`.
    pub beyond_limit: usize,
    /// Largest number of predictions of an image and category that count.
    pub limit: usize,
}

/// Score of one category.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryScore {
    /// Id of the category.
    pub id: i64,
    /// Name of the category.
    pub name: String,
    /// AP of the category; −1 where there is nothing to find.
    pub ap: f64,
}

impl Summary {
    /// The twelve numbers of boxes and masks or the ten of keypoints, in the order
    /// of pycocotools; −1 where there is nothing to find.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, f64)> {
        self.rows.iter().map(|(row, value)| (row, *value))
    }

    /// One of the numbers, by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let row = self.rows.iter().find(|(row, _)| row.name() == name);
        row.map(|&(_, value)| value)
    }
}

/// All numbers, from the curves of each category.
pub(super) fn values(rules: &Rules, categories: &[[Option<Curve>; AREAS]]) -> Vec<(Row, f64)> {
    let rows = rules.rows.iter();
    rows.map(|row| (row.clone(), value(row, rules, categories)))
        .collect()
}

/// A number: the mean over the categories that have something to find, or −1.
fn value(row: &Row, rules: &Rules, categories: &[[Option<Curve>; AREAS]]) -> f64 {
    let area = rules
        .areas
        .iter()
        .position(|range| range.name == row.area());
    let limit = rules.limits.iter().position(|&limit| limit == row.limit);
    let (Some(area), Some(limit)) = (area, limit) else {
        return NOTHING;
    };
    let curves = categories.iter().filter_map(|areas| areas[area].as_ref());
    let (mut sum, mut count) = (0.0, 0);
    for curve in curves {
        let (values, weight) = match row.value {
            Value::Precision => (&curve.precision, LEVELS),
            Value::Recall => (&curve.recall[limit], 1),
        };
        let chosen = match row.threshold {
            Some(threshold) => &values[threshold..=threshold],
            None => values,
        };
        sum += chosen.iter().sum::<f64>();
        count += chosen.len() * weight;
    }
    match count {
        0 => NOTHING,
        count => sum / count as f64,
    }
}
