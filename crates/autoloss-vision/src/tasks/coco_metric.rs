//! Metrics of the COCO evaluation as the metric of a task.

use autoloss_metrics::coco::{Annotations, Kind, Prediction, Results, Summary, evaluate};

use super::errors::TaskSettingsError;

/// One number of a COCO evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CocoMetric {
    /// As users type it, in small letters.
    name: &'static str,
    kind: Kind,
}

/// The numbers of each kind, as users type them.
const fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Box | Kind::Mask => &[
            "ap", "ap50", "ap75", "aps", "apm", "apl", "ar1", "ar10", "ar100", "ars", "arm", "arl",
        ],
        Kind::Keypoints => &[
            "ap", "ap50", "ap75", "apm", "apl", "ar", "ar50", "ar75", "arm", "arl",
        ],
    }
}

impl CocoMetric {
    /// The metric of that name.
    ///
    /// # Errors
    /// If there is none; the known ones are named.
    pub(super) fn from_name(name: &str, kind: Kind) -> Result<Self, TaskSettingsError> {
        let known = names(kind);
        if let Some(name) = known.iter().find(|known| **known == name) {
            return Ok(Self { name, kind });
        }
        let hint = autoloss_expr::nearest(name, known.iter().copied())
            .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        Err(TaskSettingsError(format!(
            "unknown metric `{name}`; {hint}known for this task: {}",
            known.join(", ")
        )))
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        self.name
    }

    /// Its value; 0 where there is nothing to find.
    pub(super) fn of(self, summary: &Summary) -> f64 {
        value(summary, self.name)
    }

    /// By name, `all` numbers of the kind or its own alone.
    pub(super) fn values(self, summary: &Summary, all: bool) -> Vec<(String, f64)> {
        if !all {
            return vec![(self.name.to_owned(), self.of(summary))];
        }
        let named = |name: &&'static str| ((*name).to_owned(), value(summary, name));
        names(self.kind).iter().map(named).collect()
    }
}

fn value(summary: &Summary, name: &str) -> f64 {
    let mut rows = summary.rows();
    let row = rows.find(|(row, _)| row.name().eq_ignore_ascii_case(name));
    row.map_or(0.0, |(_, value)| value.max(0.0))
}

/// Scores predictions of images that the annotations have.
pub(super) fn scored(annotations: &Annotations, predictions: Vec<Prediction>) -> Summary {
    evaluate(annotations, &Results::from(predictions))
        .expect("predictions are of the annotations' images and kind")
}

/// The share of the thresholds 0.50, 0.55 … 0.95 that an overlap reaches.
pub(super) fn thresholds_reached(overlap: f64) -> f64 {
    let reached = (0..10).filter(|step| overlap >= 0.5 + 0.05 * f64::from(*step));
    reached.count() as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_evaluation() {
        for kind in [Kind::Box, Kind::Mask, Kind::Keypoints] {
            let summary = scored(&Annotations::empty(kind), Vec::new());
            let rows: Vec<String> = summary
                .rows()
                .map(|(row, _)| row.name().to_lowercase())
                .collect();
            assert_eq!(rows, names(kind));
            let metric = CocoMetric::from_name("ap", kind).unwrap();
            assert_eq!(metric.of(&summary), 0.0);
        }
        let error = CocoMetric::from_name("ap05", Kind::Box)
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `ap50`?"), "{error}");
    }

    #[test]
    fn shares_of_thresholds() {
        assert_eq!(thresholds_reached(0.49), 0.0);
        assert_eq!(thresholds_reached(0.5), 0.1);
        assert_eq!(thresholds_reached(0.77), 0.6);
        assert_eq!(thresholds_reached(1.0), 1.0);
    }
}
