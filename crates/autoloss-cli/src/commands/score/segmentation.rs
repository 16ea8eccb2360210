//! `autoloss score segmentation`: metrics of label maps.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use autoloss_data::{
    ColourMap, DataError, IGNORE, LabelMap, LabelReader, LabelTable, background, meaningless,
    pair_label_maps,
};
use autoloss_metrics::{Metric, SegmentationScore, SegmentationSettings, SegmentationTarget};
use clap::Args;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::exit::usage;
use crate::output::{print, print_json};
use crate::table::Table;

#[derive(Args)]
pub(super) struct Arguments {
    /// Folder of predicted label maps: PNG whose grey values, palette indices or equal red, green and
    /// blue are labels, or coloured masks; folders in it are looked into.
    #[arg(long, value_name = "DIR")]
    pred: PathBuf,
    /// Folder of target label maps: the same file names, or names that mean the same frame of
    /// Cityscapes.
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
    /// Number of classes (labels are 0 to N − 1), or their names; with a colour map, that of its
    /// classes.
    #[arg(long, value_name = "N|A,B,…")]
    classes: Option<String>,
    /// Labels of the numbers in the files, as in 0=0,255=1 for masks of 0 and 255, or
    /// 7=0,8=1,*=ignore; numbers that are not listed are labels.
    #[arg(long, value_name = "N=LABEL,…")]
    label_map: Option<String>,
    /// Classes of the colours in coloured masks: lines NAME R G B, CVAT's labelmap.txt or CamVid's
    /// label_colors.txt, which are also found in the folder of the targets and the one above it.
    #[arg(long, value_name = "FILE")]
    colors: Option<PathBuf>,
    /// Target label of pixels to leave out.
    #[arg(long, value_name = "LABEL", default_value_t = 255)]
    ignore: u8,
    /// Class whose edges the boundary metrics leave out; default: that named background, if classes
    /// have names.
    #[arg(long, value_name = "LABEL")]
    background: Option<u8>,
    /// Chebyshev distance of the boundary metrics in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 5)]
    boundary_distance: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn segmentation(arguments: &Arguments) -> Result<()> {
    let scorer = LabelScorer::new(arguments)?;
    let pairs = pair_label_maps(&arguments.pred, &arguments.target)?;
    let total = pairs
        .par_iter()
        .map(|(pred, target)| scorer.one_image(pred, target))
        .try_reduce(|| scorer.nothing(), |a, b| a.with(&b))?;
    if let Some(reason) = meaningless(&total.targets) {
        return Err(anyhow::Error::new(DataError::Meaningless {
            set: arguments.target.display().to_string(),
            reason,
        }));
    }
    match arguments.json {
        true => print_json(&scorer.as_json(pairs.len(), &total)),
        false => {
            print(&scorer.as_text(pairs.len(), &total)).context("the result cannot be printed")
        }
    }
}

/// Readers of the label maps, and the score of no image.
struct LabelScorer {
    /// The reader of targets; that of predictions ignores nothing.
    targets: LabelReader,
    predictions: LabelReader,
    /// Names of the classes, where they are known.
    names: Option<Vec<String>>,
    /// The score of no image.
    empty: SegmentationScore,
}

/// Counts of some images.
struct Counted {
    score: SegmentationScore,
    /// Predicted pixels of no class whose target has one.
    lost: usize,
    /// Target pixels of each class and, last, ignored ones.
    targets: Vec<u64>,
}

impl Counted {
    fn with(mut self, other: &Self) -> Result<Self> {
        self.score.merge(&other.score)?;
        self.lost += other.lost;
        for (sum, more) in self.targets.iter_mut().zip(&other.targets) {
            *sum += more;
        }
        Ok(self)
    }
}

impl LabelScorer {
    fn new(arguments: &Arguments) -> Result<Self> {
        let table = arguments.label_map.as_deref().map(str::parse).transpose();
        let table: LabelTable = table
            .map_err(|error| usage(flag(&error)))?
            .unwrap_or_default();
        let colours = colours(arguments)?;
        let (classes, names) = classes(arguments, colours.as_ref())?;
        let colours = match (colours, &names) {
            (Some(colours), Some(names)) => Some(colours.for_classes(names)),
            (colours, _) => colours,
        };
        let settings = SegmentationSettings {
            classes,
            background: arguments
                .background
                .or(names.as_deref().and_then(background)),
            distance: arguments.boundary_distance,
            metrics: Metric::ALL.to_vec(),
        };
        Ok(Self {
            targets: LabelReader {
                table: table.clone().ignoring(arguments.ignore),
                colours: colours.clone(),
            },
            predictions: LabelReader { table, colours },
            names,
            empty: SegmentationScore::new(settings).map_err(usage)?,
        })
    }

    fn nothing(&self) -> Counted {
        Counted {
            score: self.empty.clone(),
            lost: 0,
            targets: vec![0; self.classes() + 1],
        }
    }

    fn classes(&self) -> usize {
        self.empty.settings().classes
    }

    fn one_image(&self, pred: &Path, target: &Path) -> Result<Counted> {
        let classes = self.classes();
        let prediction = self.predictions.read_prediction(pred, classes)?;
        let labels = self.targets.read(target, classes)?;
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
        let mut counted = self.nothing();
        for (found, label) in prediction.labels.iter().zip(&labels.labels) {
            counted.lost += usize::from(*found == IGNORE && *label != IGNORE);
            counted.targets[usize::from(*label).min(classes)] += 1;
        }
        let settings = self.empty.settings();
        let target = SegmentationTarget::new(labels.labels, labels.width, labels.height, settings)?;
        counted.score.add(&target, &prediction.labels)?;
        Ok(counted)
    }

    /// The name of a class, or its label where it has none.
    fn name(&self, label: usize) -> String {
        let name = self.names.as_ref().and_then(|names| names.get(label));
        name.cloned().unwrap_or_else(|| label.to_string())
    }

    fn as_json(&self, images: usize, total: &Counted) -> Value {
        let metrics: serde_json::Map<String, Value> = Metric::ALL
            .iter()
            .map(|m| (m.name().to_owned(), json!(total.score.get(*m))))
            .collect();
        let class = |label: usize| {
            let of = total.score.class(label);
            json!({
                "label": label,
                "name": self.name(label),
                "pixels": total.targets[label],
                "iou": of.iou,
                "accuracy": of.accuracy,
                "f1": of.f1,
            })
        };
        json!({
            "images": images,
            "ignored_pixels": total.targets[self.classes()],
            "predictions_of_no_class": total.lost,
            "background": self.empty.settings().background,
            "metrics": metrics,
            "classes": (0..self.classes()).map(class).collect::<Vec<_>>(),
        })
    }

    fn as_text(&self, images: usize, total: &Counted) -> String {
        let mut metrics = Table::new(&["metric", ">score", "what it is"]);
        for metric in Metric::ALL {
            metrics.row([
                metric.name().to_owned(),
                format!("{:.6}", total.score.get(metric)),
                metric.description().to_owned(),
            ]);
        }
        let number = |value: Option<f64>| value.map_or("n/a".to_owned(), |v| format!("{v:.6}"));
        let mut classes = Table::new(&["class", ">pixels", ">IoU", ">accuracy", ">F1 of edges"]);
        for label in 0..self.classes() {
            let of = total.score.class(label);
            let scores = [of.iou, of.accuracy, of.f1].map(number);
            let head = [self.name(label), total.targets[label].to_string()];
            classes.row(head.into_iter().chain(scores));
        }
        let ignored = total.targets[self.classes()];
        let mut text = format!("{images} images, {ignored} pixels ignored\n\n{metrics}\n{classes}");
        if let Some(background) = self.empty.settings().background {
            let name = self.name(usize::from(background));
            text.push_str(&format!("\nbiou and bf1 are without the edges of {name}\n"));
        }
        if total.lost > 0 {
            text.push_str(&format!(
                "\n{} predicted pixels have no label below {}: they count as wrong. Where predictions mean \
                 classes by other numbers, give --label-map\n",
                total.lost,
                self.classes()
            ));
        }
        text
    }
}

/// The colour map that is given or found beside the targets.
fn colours(arguments: &Arguments) -> Result<Option<ColourMap>> {
    if let Some(path) = &arguments.colors {
        return Ok(Some(ColourMap::read(path)?));
    }
    let dir = &arguments.target;
    let above = dir
        .canonicalize()
        .ok()
        .and_then(|dir| Some(dir.parent()?.to_owned()));
    for dir in [Some(dir.clone()), above].into_iter().flatten() {
        if let Some(found) = ColourMap::beside(&dir)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The number of classes and, where they are known, their names.
fn classes(
    arguments: &Arguments,
    colours: Option<&ColourMap>,
) -> Result<(usize, Option<Vec<String>>)> {
    let known = colours.map(|colours| colours.classes().to_vec());
    let Some(given) = &arguments.classes else {
        let known = known.ok_or_else(|| {
            usage("--classes is missing: give the number of classes or their names")
        })?;
        return Ok((known.len(), Some(known)));
    };
    let Ok(count) = given.trim().parse::<usize>() else {
        let names: Vec<String> = given
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect();
        return Ok((names.len(), Some(names)));
    };
    match (known, colours) {
        (Some(known), Some(colours)) if known.len() != count => Err(usage(format!(
            "--classes {count}: the colour map {} has {} classes: {}",
            colours.path().display(),
            known.len(),
            known.join(", ")
        ))),
        (known, _) => Ok((count, known)),
    }
}

/// An error about a setting, named as the flag that it came from.
fn flag(error: &DataError) -> String {
    match error {
        DataError::Setting { reason, .. } => format!("--label-map: {reason}"),
        other => other.to_string(),
    }
}
