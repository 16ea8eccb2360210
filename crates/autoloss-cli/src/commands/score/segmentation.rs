//! `autoloss score segmentation`: metrics of label maps.

use std::path::Path;

use anyhow::{Context, Result};
use autoloss_metrics::{Metric, SegmentationScore, SegmentationSettings, SegmentationTarget};
use autoloss_vision::data::{LabelMap, pair_label_maps, read_label_map};
use rayon::prelude::*;
use serde_json::json;

use crate::args::ScoreSegmentation;
use crate::commands::{print, print_json};
use crate::exit::usage;
use crate::table::Table;

pub(super) fn segmentation(arguments: &ScoreSegmentation) -> Result<()> {
    let settings = SegmentationSettings {
        classes: arguments.classes,
        background: arguments.background,
        distance: arguments.boundary_distance,
        metrics: Metric::ALL.to_vec(),
    };
    let empty = SegmentationScore::new(settings).map_err(usage)?;
    let pairs = pair_label_maps(&arguments.pred, &arguments.target)?;
    let total = pairs
        .par_iter()
        .map(|(pred, target)| one_image(arguments, &empty, pred, target))
        .try_reduce(
            || (empty.clone(), 0),
            |(mut a, x), (b, y)| {
                a.merge(&b)?;
                Ok((a, x + y))
            },
        )?;
    report(arguments, pairs.len(), &total)
}

/// The counts of one image, and how many of its predicted pixels are of no class.
fn one_image(
    arguments: &ScoreSegmentation,
    empty: &SegmentationScore,
    pred: &Path,
    target: &Path,
) -> Result<(SegmentationScore, usize)> {
    let (prediction, labels) = (read_label_map(pred)?, read_label_map(target)?);
    let size = |map: &LabelMap| (map.width, map.height);
    anyhow::ensure!(
        size(&prediction) == size(&labels),
        "{}: {} × {} pixels, but the target {} has {} × {}",
        pred.display(),
        prediction.width,
        prediction.height,
        target.display(),
        labels.width,
        labels.height
    );
    let LabelMap {
        labels,
        width,
        height,
    } = checked(arguments, labels, target)?;
    let of_no_class = |label: u8| usize::from(label) >= arguments.classes;
    let counted = prediction.labels.iter().zip(&labels);
    let lost = counted.filter(|(p, t)| of_no_class(**p) && !of_no_class(**t));
    let lost = lost.count();
    let mut score = empty.clone();
    let target = SegmentationTarget::new(labels, width, height, empty.settings())?;
    score.add(&target, &prediction.labels)?;
    Ok((score, lost))
}

/// The target with its ignored pixels outside the classes, where metrics leave them out.
fn checked(arguments: &ScoreSegmentation, mut map: LabelMap, path: &Path) -> Result<LabelMap> {
    for label in &mut map.labels {
        if *label == arguments.ignore {
            *label = u8::MAX;
        } else {
            anyhow::ensure!(
                usize::from(*label) < arguments.classes,
                "{}: label {label}, expected 0 to {} or the ignored label {}",
                path.display(),
                arguments.classes - 1,
                arguments.ignore
            );
        }
    }
    Ok(map)
}

fn report(
    arguments: &ScoreSegmentation,
    images: usize,
    (score, lost): &(SegmentationScore, usize),
) -> Result<()> {
    if arguments.json {
        let metrics: serde_json::Map<String, serde_json::Value> = Metric::ALL
            .iter()
            .map(|m| (m.name().to_owned(), json!(score.get(*m))))
            .collect();
        return print_json(&json!({
            "images": images,
            "predictions_of_no_class": lost,
            "metrics": metrics,
        }));
    }
    let mut table = Table::new(&["metric", ">score", "what it is"]);
    for metric in Metric::ALL {
        table.row([
            metric.name().to_owned(),
            format!("{:.6}", score.get(metric)),
            metric.description().to_owned(),
        ]);
    }
    let mut text = format!("{images} images\n\n{table}");
    if *lost > 0 {
        text.push_str(&format!(
            "\n{lost} predicted pixels have a label of {} or more: they count as wrong.\n",
            arguments.classes
        ));
    }
    print(&text).context("the result cannot be printed")
}
