//! Comparison with recorded numbers of pycocotools.

use serde_json::Value;

use super::coco::{Annotations, CocoError, Kind, Results, Summary, evaluate};

/// The largest difference that counts as none.
pub(super) const TOLERANCE: f64 = 1e-9;

/// Result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Cases that were read.
    pub(super) cases: usize,
    /// Evaluations with numbers in both.
    pub(super) compared: usize,
    /// Evaluations that failed in both.
    pub(super) failed: usize,
    /// Evaluations that failed here alone: over an entry that was spoiled and does
    /// not count.
    pub(super) stricter: usize,
    /// Evaluations that failed there alone: over a field that was removed and is assumed here.
    pub(super) lenient: usize,
    /// The largest difference of two numbers.
    pub(super) largest: f64,
    /// Descriptions of the differences.
    pub(super) differences: Vec<String>,
}

/// Compares all cases, each a line of JSON as `coco_reference.py` writes them.
pub(super) fn compare(lines: &str) -> Report {
    let mut report = Report::default();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is a line of JSON");
        report.cases += 1;
        for (kind, expected) in case["expected"].as_object().expect("expected numbers") {
            compare_one(&mut report, &case, kind, expected);
        }
    }
    report
}

fn compare_one(report: &mut Report, case: &Value, kind: &str, expected: &Value) {
    let name = format!("{} ({kind})", text(&case["name"]));
    let raised = text(&case["raised"][kind]);
    match (score(case, kind), expected.is_null()) {
        (Err(_), true) => report.failed += 1,
        (Err(_), false) if case["spoiled"] == true => report.stricter += 1,
        (Err(error), false) => {
            let said = format!("{name}: pycocotools has numbers, we fail: {error}");
            report.differences.push(said);
        }
        (Ok(_), true) if case["spoiled"] == true => report.lenient += 1,
        (Ok(_), true) => {
            let said = format!("{name}: we have numbers, pycocotools fails: {raised}");
            report.differences.push(said);
        }
        (Ok(summary), false) => {
            report.compared += 1;
            let stats = summary
                .rows()
                .map(|(row, value)| (row.name().to_owned(), value));
            let categories = summary.categories.iter();
            let categories = categories.map(|c| (format!("AP of category {}", c.id), c.ap));
            numbers(
                report,
                &name,
                &stats.collect::<Vec<_>>(),
                &expected["stats"],
            );
            numbers(
                report,
                &name,
                &categories.collect::<Vec<_>>(),
                &expected["categories"],
            );
        }
    }
}

fn score(case: &Value, kind: &str) -> Result<Summary, CocoError> {
    let kind = match kind {
        "box" => Kind::Box,
        "mask" => Kind::Mask,
        _ => Kind::Keypoints,
    };
    let annotations = Annotations::from_json(text(&case["target"]).as_bytes(), kind)?;
    let results = Results::from_json(text(&case["results"]).as_bytes(), &annotations)?;
    evaluate(&annotations, &results)
}

fn numbers(report: &mut Report, name: &str, ours: &[(String, f64)], expected: &Value) {
    let expected: Vec<f64> = expected
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    if ours.len() != expected.len() {
        let said = format!(
            "{name}: {} numbers, expected {}",
            ours.len(),
            expected.len()
        );
        report.differences.push(said);
    }
    for ((what, ours), expected) in ours.iter().zip(expected) {
        let difference = (ours - expected).abs();
        report.largest = report.largest.max(difference);
        // Also where it is NaN.
        if difference > TOLERANCE || difference.is_nan() {
            let said = format!("{name}: {what} is {ours}, expected {expected}");
            report.differences.push(said);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
