//! `autoloss score detection`, `mask` and `keypoints`: COCO's average precision and recall.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use autoloss_metrics::coco::{
    AnnotationFile, CocoError, Kind, Results, Row, Summary, evaluate_most,
};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::exit::usage;
use crate::output::{print, print_json};
use crate::table::Table;

#[derive(Args)]
pub(super) struct Arguments {
    /// Annotations in COCO's format: images, categories, annotations.
    #[arg(long, value_name = "FILE.json")]
    target: PathBuf,
    /// Results in COCO's format: a list of objects with image_id, category_id, score and bbox,
    /// segmentation or keypoints.
    #[arg(long, value_name = "FILE.json")]
    pred: PathBuf,
    /// The surest predictions of an image and category that count; default: 100, of keypoints 20.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_dets: Option<usize>,
    /// Print JSON; where there is nothing to find, -1.
    #[arg(long)]
    json: bool,
}

/// Reads a number of things of which there is at least one.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("expected a whole number from 1, found `{text}`")),
    }
}

pub(super) fn coco(arguments: &Arguments, sigmas: Option<&[f64]>, kind: Kind) -> Result<()> {
    let (target, pred) = (&arguments.target, &arguments.pred);
    let of = |path: &Path| path.display().to_string();
    let file = AnnotationFile::read(&read(target)?, kind).with_context(|| of(target))?;
    let annotations = file.annotations(sigmas).map_err(|error| match error {
        CocoError::Sigmas(reason) => usage(anyhow::anyhow!("--sigmas: {reason}")),
        other => anyhow::Error::new(other).context(of(target)),
    })?;
    let results = Results::from_json(&read(pred)?, &annotations).with_context(|| of(pred))?;
    let most = arguments.max_dets.unwrap_or(kind.most_predictions());
    let summary = evaluate_most(&annotations, &results, most).with_context(|| of(pred))?;
    let said = |path: &Path, notes: &[String]| -> Vec<String> {
        let notes = notes.iter().map(|note| format!("{}: {note}", of(path)));
        notes.collect()
    };
    let mut warnings = said(target, &annotations.notes);
    warnings.extend(said(pred, &results.notes));
    warnings.extend(too_many(&summary).map(|note| format!("{}: {note}", of(pred))));
    match arguments.json {
        true => print_json(&as_json(&summary, &warnings)),
        false => print(&as_text(&summary, kind, &warnings)).context("the result cannot be printed"),
    }
}

/// A sentence where predictions are beyond the most that count.
fn too_many(summary: &Summary) -> Option<String> {
    let (beyond, limit) = (summary.beyond_limit, summary.limit);
    (beyond > 0).then(|| {
        format!(
            "{beyond} of {} predictions do not count: of an image and category the {limit} surest do (--max-dets)",
            summary.predictions
        )
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

fn as_json(summary: &Summary, warnings: &[String]) -> Value {
    let metrics: Map<String, Value> = summary
        .rows()
        .map(|(row, value)| (row.name().to_owned(), json!(value)))
        .collect();
    let categories: Vec<Value> = summary
        .categories
        .iter()
        .map(|category| json!({"id": category.id, "name": category.name, "AP": category.ap}))
        .collect();
    json!({
        "images": summary.images,
        "targets": summary.targets,
        "predictions": summary.predictions,
        "predictions_of_no_category": summary.of_no_category,
        "predictions_beyond_limit": summary.beyond_limit,
        "warnings": warnings,
        "metrics": metrics,
        "categories": categories,
    })
}

fn as_text(summary: &Summary, kind: Kind, warnings: &[String]) -> String {
    let counts = format!(
        "{} images, {} targets, {} predictions",
        summary.images, summary.targets, summary.predictions
    );
    let mut text = format!("{counts}\n\n{}", metrics(summary, kind));
    if summary.categories.len() > 1 {
        text.push_str(&format!("\n{}", categories(summary)));
    }
    let values = summary.rows().map(|(_, value)| value);
    if values
        .chain(summary.categories.iter().map(|category| category.ap))
        .any(is_nothing)
    {
        text.push_str("\nn/a: the annotations hold nothing like this to find (-1 with --json, as in pycocotools)\n");
    }
    if !warnings.is_empty() {
        text.push('\n');
    }
    for warning in warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

fn metrics(summary: &Summary, kind: Kind) -> Table {
    let overlap = match kind {
        Kind::Box | Kind::Mask => ">IoU",
        Kind::Keypoints => ">OKS",
    };
    let mut table = Table::new(&[
        "metric",
        ">score",
        overlap,
        "area",
        ">maxDets",
        "what it is",
    ]);
    for (row, value) in summary.rows() {
        table.row([
            row.name().to_owned(),
            number(value),
            thresholds(row),
            row.area().to_owned(),
            row.limit().to_string(),
            row.description().to_owned(),
        ]);
    }
    table
}

fn thresholds(row: &Row) -> String {
    match row.threshold() {
        Some(threshold) => format!("{threshold:.2}"),
        None => "0.50:0.95".to_owned(),
    }
}

fn categories(summary: &Summary) -> Table {
    let mut table = Table::new(&["category", ">id", ">AP"]);
    for category in &summary.categories {
        let name = category.name.clone();
        table.row([name, category.id.to_string(), number(category.ap)]);
    }
    table
}

fn number(value: f64) -> String {
    match is_nothing(value) {
        true => "n/a".to_owned(),
        false => format!("{value:.6}"),
    }
}

/// Whether there was nothing to find; all other numbers are 0 to 1.
fn is_nothing(value: f64) -> bool {
    value < 0.0
}
