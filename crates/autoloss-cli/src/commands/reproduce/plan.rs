//! What each table is made of: searches, losses, and the setups they are trained in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use toml::Value;

use super::parts;
use crate::config::Config;
use crate::exit::usage;

/// How large a reproduction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    /// On embedded data: at most 90 minutes a table on two cores.
    Tiny,
    /// On VOC, Cityscapes and COCO, with the slim networks and proxies of their presets.
    Small,
    /// On the same, with the paper's networks and schedules; needs accelerators and days.
    Paper,
}

impl Scale {
    /// The word that a user types.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Paper => "paper",
        }
    }

    /// Seconds of all searches of a table together.
    const fn search_seconds(self) -> f64 {
        match self {
            Self::Tiny => 3300.0,
            Self::Small => 4.0 * 3600.0,
            Self::Paper => 48.0 * 3600.0,
        }
    }
}

/// One of the paper's tables and figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sheet {
    /// Segmentation: six metrics, searched and hand-written losses.
    Table2,
    /// Segmentation: searched losses on other data and another network.
    Table3,
    /// Detection.
    Table4,
    /// Detection: the searched loss on other data.
    Table5,
    /// Instance segmentation.
    Table6,
    /// Pose.
    Table7,
    /// Losses explored by each variant of the search.
    Table8,
    /// Best score against evaluations for each variant of the search.
    Figure4,
    /// Losses found with and without each part of the search that the paper does not have, in full training.
    Parts,
    /// Losses found in half of the time of the paper's configuration, in full training.
    Half,
}

/// A task with settings, written as `--set` takes them.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Names its folder.
    pub(super) key: &'static str,
    /// Names its columns.
    pub(super) title: &'static str,
    pub(super) settings: Vec<(String, Value)>,
    /// The user's own, which come last.
    pub(super) own: Vec<(String, Value)>,
}

impl Setup {
    fn new(key: &'static str, title: &'static str, settings: &[(&str, Value)]) -> Self {
        let settings = settings.iter();
        Self {
            key,
            title,
            settings: settings
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
            own: Vec::new(),
        }
    }

    /// The settings with others on top, and the user's own on top of those.
    pub(super) fn config(&self, others: &[(String, Value)]) -> Result<Config> {
        let all = self.settings.iter().chain(others).chain(&self.own).cloned();
        Config::of(all.collect())
    }
}

/// A search of a table.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// Names its folder; tables share searches of one name.
    pub(super) key: String,
    pub(super) setup: Setup,
    pub(super) settings: Vec<(String, Value)>,
}

impl Search {
    /// Whether trainings of this search are those that another one would make of the same losses: all but the
    /// metric and the strategy are the same.
    pub(super) fn shares_trainings(&self, other: &Self) -> bool {
        let own = |search: &Self| {
            let mut settings = search.settings.clone();
            settings.retain(|(key, _)| key != "task.metric");
            settings
        };
        self.setup.key == other.setup.key && own(self) == own(other)
    }
}

/// A row: a loss that is trained.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// A hand-written loss: its name in the table, and what `--loss` takes.
    Written(&'static str, String),
    /// The best loss of a search.
    Found {
        name: String,
        search: usize,
        metric: &'static str,
    },
}

impl Row {
    /// Its name in the table.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Written(name, _) => name,
            Self::Found { name, .. } => name,
        }
    }

    /// Whether a person wrote its loss.
    pub(super) const fn is_written(&self) -> bool {
        matches!(self, Self::Written(..))
    }
}

/// A table.
pub(super) struct Plan {
    pub(super) title: &'static str,
    pub(super) searches: Vec<Search>,
    pub(super) rows: Vec<Row>,
    pub(super) setups: Vec<Setup>,
    pub(super) metrics: Vec<&'static str>,
    pub(super) seeds: usize,
    /// Rows of the paper in percent, a number a metric.
    pub(super) published: Vec<(&'static str, Vec<f64>)>,
}

/// Where the data sets are, which the larger scales need.
pub(super) struct Data<'a> {
    pub(super) searched: Option<&'a Path>,
    pub(super) transfer: Option<&'a Path>,
}

const SEGMENTATION: [&str; 6] = ["miou", "fwiou", "gacc", "macc", "biou", "bf1"];

/// Published for PASCAL VOC with DeepLabV3+ over ResNet-101, in percent.
const TABLE_2: [(&str, [f64; 6]); 2] = [
    ("cross entropy", [78.69, 91.31, 95.17, 87.31, 70.61, 65.30]),
    (
        "ASL, each for its metric",
        [80.97, 91.93, 95.22, 92.95, 79.27, 74.83],
    ),
];

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

impl Plan {
    /// The table at a scale, with settings of the user's own.
    ///
    /// # Errors
    /// If the scale needs a data set that is not given.
    pub(super) fn new(
        sheet: Sheet,
        scale: Scale,
        data: &Data<'_>,
        own: &[(String, Value)],
    ) -> Result<Self> {
        let mut plan = match sheet {
            Sheet::Table2 => segmentation(scale, data),
            Sheet::Table3 => segmentation_transfer(scale, data),
            Sheet::Table4 => detection(scale, data),
            Sheet::Table5 => detection_transfer(scale, data),
            Sheet::Table6 => instances(scale, data),
            Sheet::Table7 => pose(scale, data),
            Sheet::Parts | Sheet::Half => return parts::plan(parts::arms(sheet), scale, data, own),
            Sheet::Table8 | Sheet::Figure4 => {
                anyhow::bail!("an ablation trains nothing after its searches")
            }
        }?;
        let searched = plan.searches.iter_mut().map(|search| &mut search.setup);
        for setup in searched.chain(&mut plan.setups) {
            setup.own = own.to_vec();
        }
        Ok(plan)
    }
}

/// The data folder of a scale that needs one.
fn folder(path: Option<&Path>, flag: &str, what: &str) -> Result<Value> {
    let missing = || usage(format!("this scale needs {flag} DIR, the folder of {what}"));
    let path: PathBuf = path.ok_or_else(missing)?.to_owned();
    let path = path
        .to_str()
        .with_context(|| format!("{flag}: expected a path in UTF-8"))?;
    Ok(text(path))
}

/// What a task is searched in: embedded, or the user's data with the preset's proxy.
pub(super) fn searched_in(
    [tiny, large]: [&'static str; 2],
    scale: Scale,
    data: &Data<'_>,
    paper: &[(&str, Value)],
) -> Result<Setup> {
    if scale == Scale::Tiny {
        return Ok(Setup::new(
            tiny,
            "embedded data",
            &[("task.name", text(tiny))],
        ));
    }
    let data = folder(data.searched, "--data", large)?;
    let mut setup = Setup::new(
        large,
        large,
        &[("task.name", text(large)), ("task.data", data)],
    );
    if scale == Scale::Paper {
        setup
            .settings
            .extend(paper.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    }
    Ok(setup)
}

/// The proxy of Auto Seg-Loss: crops of 128 pixels, batches of 32, 1000 updates of SGD.
pub(super) fn paper_proxy() -> Vec<(&'static str, Value)> {
    vec![
        ("task.network.name", text("deeplabv3plus-resnet50")),
        ("task.longest_side", Value::Integer(0)),
        ("task.training.crop", Value::Integer(128)),
        ("task.training.batch", Value::Integer(32)),
        ("task.training.steps", Value::Integer(1000)),
        ("task.training.optimiser", text("sgd")),
        ("task.training.learning_rate", Value::Float(0.02)),
    ]
}

/// Full training of segmentation networks as in the paper.
fn paper_training(network: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("task.full.network.name", text(network)),
        ("task.full.training.crop", Value::Integer(513)),
        ("task.full.training.batch", Value::Integer(16)),
        ("task.full.training.steps", Value::Integer(30_000)),
        ("task.val_images", Value::Integer(0)),
    ]
}

/// Full trainings of each row.
const fn seeds(scale: Scale) -> usize {
    match scale {
        Scale::Tiny => 5,
        Scale::Small | Scale::Paper => 3,
    }
}

/// The searches of a table share its time.
fn search(key: &str, setup: &Setup, metric: &str, scale: Scale, share: f64) -> Search {
    Search {
        key: format!("{key}-{metric}"),
        setup: setup.clone(),
        settings: vec![
            ("task.metric".to_owned(), text(metric)),
            (
                "search.time".to_owned(),
                Value::Float(scale.search_seconds() * share),
            ),
            // The table itself is the final comparison.
            ("search.final_seeds".to_owned(), Value::Integer(0)),
            // The next search begins with the trainings of the one before.
            ("search.all_metrics".to_owned(), Value::Boolean(true)),
        ],
    }
}

fn segmentation_searches(
    metrics: &[&'static str],
    scale: Scale,
    data: &Data<'_>,
) -> Result<Vec<Search>> {
    let mut paper = paper_proxy();
    paper.extend(paper_training("deeplabv3plus-resnet101"));
    let setup = searched_in(["digits", "voc"], scale, data, &paper)?;
    // Tables of fewer metrics share the searches of table 2.
    let share = 1.0 / SEGMENTATION.len() as f64;
    Ok(metrics
        .iter()
        .map(|metric| search("segmentation", &setup, metric, scale, share))
        .collect())
}

fn segmentation(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let mut searches = segmentation_searches(&SEGMENTATION, scale, data)?;
    let written = [
        ("cross entropy", "cross_entropy"),
        ("weighted cross entropy", "weighted_cross_entropy"),
        ("DPCE", "dpce"),
        ("SSIM", "ssim"),
        ("Dice", "dice"),
        ("Lovász-softmax", "lovasz_softmax"),
    ];
    let mut rows: Vec<Row> = written
        .iter()
        .map(|(name, zoo)| Row::Written(name, format!("zoo:{zoo}")))
        .collect();
    let asl = [
        "ASL surrogate of miou",
        "ASL surrogate of fwiou",
        "ASL surrogate of gacc",
        "ASL surrogate of macc",
        "ASL surrogate of biou",
        "ASL surrogate of bf1",
    ];
    let asl = asl.iter().zip(SEGMENTATION);
    rows.extend(asl.map(|(name, metric)| Row::Written(name, format!("zoo:asl_{metric}"))));
    rows.extend(found(&SEGMENTATION));
    if scale != Scale::Tiny {
        // Its policy needs hundreds of evaluations.
        add_surrogate_searches(&mut searches, &mut rows);
    }
    let setup = searches[0].setup.clone();
    let published = TABLE_2.map(|(row, values)| (row, values.to_vec()));
    Ok(Plan {
        title: "Semantic segmentation: losses searched for six metrics, and hand-written ones",
        searches,
        rows,
        setups: vec![setup],
        metrics: SEGMENTATION.to_vec(),
        seeds: seeds(scale),
        published: published.to_vec(),
    })
}

/// Auto Seg-Loss searched for each metric, with the time of the searches that are there.
fn add_surrogate_searches(searches: &mut Vec<Search>, rows: &mut Vec<Row>) {
    let asl = |search: &Search| {
        let mut search = search.clone();
        search.key = format!("asl-{}", search.key);
        search
            .settings
            .push(("search.strategy".to_owned(), text("asl")));
        search
    };
    let more: Vec<Search> = searches.iter().map(asl).collect();
    let first = searches.len();
    let row = |(k, metric): (usize, &'static str)| Row::Found {
        name: format!("ASL searched for {metric}"),
        search: first + k,
        metric,
    };
    rows.extend(SEGMENTATION.into_iter().enumerate().map(row));
    searches.extend(more);
}

fn found(metrics: &[&'static str]) -> Vec<Row> {
    let row = |(search, metric): (usize, &&'static str)| Row::Found {
        name: format!("searched for {metric}"),
        search,
        metric,
    };
    metrics.iter().enumerate().map(row).collect()
}

fn segmentation_transfer(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    const METRICS: [&str; 2] = ["miou", "bf1"];
    let searches = segmentation_searches(&METRICS, scale, data)?;
    let base = &searches[0].setup;
    let with = |key, title, settings: &[(&str, Value)]| {
        let mut setup = base.clone();
        (setup.key, setup.title) = (key, title);
        setup
            .settings
            .extend(settings.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        setup
    };
    let setups = match scale {
        Scale::Tiny => vec![
            with(
                "digits-deeplab",
                "DeepLabV3+",
                &[("task.full.network.name", text("deeplabv3plus-slim"))],
            ),
            with(
                "digits-larger",
                "other scenes, larger",
                &[
                    ("task.digits.seed", Value::Integer(1)),
                    ("task.full.digits.size", Value::Integer(48)),
                    ("task.full.training.crop", Value::Integer(48)),
                ],
            ),
        ],
        Scale::Small | Scale::Paper => {
            let paper = scale == Scale::Paper;
            let transfer = folder(data.transfer, "--transfer-data", "Cityscapes")?;
            let mut other = Setup::new(
                "cityscapes",
                "Cityscapes",
                &[("task.name", text("cityscapes")), ("task.data", transfer)],
            );
            let mut net = with("voc-net", "another network", &[]);
            let of = |name| match paper {
                true => paper_training(name),
                false => vec![("task.full.network.name", text("deeplabv3plus-slim"))],
            };
            let add = |setup: &mut Setup, settings: Vec<(&str, Value)>| {
                setup
                    .settings
                    .extend(settings.into_iter().map(|(k, v)| (k.to_owned(), v)));
            };
            add(&mut net, of("pspnet-resnet101"));
            if paper {
                add(&mut other, of("deeplabv3plus-resnet101"));
            }
            vec![net, other]
        }
    };
    let mut rows = vec![
        Row::Written("cross entropy", "zoo:cross_entropy".to_owned()),
        Row::Written("Dice", "zoo:dice".to_owned()),
        Row::Written("Lovász-softmax", "zoo:lovasz_softmax".to_owned()),
    ];
    rows.extend(found(&METRICS));
    Ok(Plan {
        title: "Semantic segmentation: searched losses on another network and other data",
        searches,
        rows,
        setups,
        metrics: METRICS.to_vec(),
        seeds: seeds(scale),
        published: Vec::new(),
    })
}

/// COCO's numbers for a table; the embedded objects are all small, so that areas tell nothing.
fn coco_metrics(scale: Scale) -> &'static [&'static str] {
    match scale {
        Scale::Tiny => &["ap", "ap50", "ap75"],
        Scale::Small | Scale::Paper => &["ap", "ap50", "ap75", "aps", "apm", "apl"],
    }
}

/// The losses of boxes that detection is compared with; `mask` completes them for instances.
fn detection_rows(mask: &str) -> Vec<Row> {
    let of = |class: &str, boxes: &str| {
        format!(
            "rpn_class = zoo:cross_entropy; rpn_box = zoo:smooth_l1; rcnn_class = zoo:{class}; \
             rcnn_box = zoo:{boxes}{mask}"
        )
    };
    vec![
        Row::Written(
            "cross entropy + smooth L1",
            of("cross_entropy", "smooth_l1"),
        ),
        Row::Written("cross entropy + IoU", of("cross_entropy", "iou")),
        Row::Written("cross entropy + GIoU", of("cross_entropy", "giou")),
        Row::Written("CSE-AutoLoss-A", of("cse_a_class", "cse_a_box")),
        Row::Found {
            name: "searched for ap".to_owned(),
            search: 0,
            metric: "ap",
        },
    ]
}

/// What detectors are searched and trained with at the paper's scale.
fn paper_detection(network: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("task.network.name", text(network)),
        ("task.short_side", Value::Integer(800)),
        ("task.long_side", Value::Integer(1333)),
    ]
}

/// A table of one search and the trainings in its own setup.
fn one_search(
    title: &'static str,
    key: &str,
    setup: Setup,
    scale: Scale,
    rows: Vec<Row>,
    metrics: &[&'static str],
) -> Plan {
    Plan {
        title,
        searches: vec![search(key, &setup, "ap", scale, 1.0)],
        rows,
        setups: vec![setup],
        metrics: metrics.to_vec(),
        seeds: seeds(scale),
        published: Vec::new(),
    }
}

fn detection(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let paper = paper_detection("fasterrcnn-resnet50");
    let setup = searched_in(["digits-detection", "coco-detection"], scale, data, &paper)?;
    let title = "Object detection";
    Ok(one_search(
        title,
        "detection",
        setup,
        scale,
        detection_rows(""),
        coco_metrics(scale),
    ))
}

fn detection_transfer(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let mut plan = detection(scale, data)?;
    plan.title = "Object detection: the searched loss on other data";
    let mut other = plan.setups.swap_remove(0);
    (other.key, other.title) = ("detection-other", "other data");
    match scale {
        Scale::Tiny => other.settings.extend([
            ("task.digits.seed".to_owned(), Value::Integer(1)),
            ("task.digits.size".to_owned(), Value::Integer(80)),
        ]),
        Scale::Small | Scale::Paper => {
            let transfer = folder(
                data.transfer,
                "--transfer-data",
                "another data set in COCO's layout",
            )?;
            other.settings.push(("task.data".to_owned(), transfer));
        }
    }
    plan.setups.push(other);
    Ok(plan)
}

fn instances(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let paper = paper_detection("maskrcnn-resnet50");
    let setup = searched_in(["digits-instances", "coco-instances"], scale, data, &paper)?;
    let rows = detection_rows("; mask = zoo:cross_entropy");
    Ok(one_search(
        "Instance segmentation",
        "instances",
        setup,
        scale,
        rows,
        coco_metrics(scale),
    ))
}

fn pose(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let paper = [("task.network.name", text("simplebaseline-resnet50"))];
    let setup = searched_in(["figures-pose", "coco-pose"], scale, data, &paper)?;
    let rows = vec![
        Row::Written("MSE", "zoo:mse".to_owned()),
        Row::Written("OHKM", "zoo:ohkm".to_owned()),
        Row::Found {
            name: "searched for ap".to_owned(),
            search: 0,
            metric: "ap",
        },
    ];
    let metrics = ["ap", "ap50", "ap75", "apm", "apl", "ar"];
    Ok(one_search(
        "Pose estimation",
        "pose",
        setup,
        scale,
        rows,
        &metrics,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_valid_settings_at_every_scale() {
        let tables: Vec<Sheet> = Sheet::value_variants()
            .iter()
            .copied()
            .filter(|sheet| !matches!(sheet, Sheet::Table8 | Sheet::Figure4))
            .collect();
        let data = Data {
            searched: Some(Path::new("searched")),
            transfer: Some(Path::new("transfer")),
        };
        for (sheet, scale) in tables.iter().flat_map(|sheet| {
            Scale::value_variants()
                .iter()
                .map(move |scale| (*sheet, *scale))
        }) {
            let plan = Plan::new(sheet, scale, &data, &[]).unwrap();
            for search in &plan.searches {
                let config = search.setup.config(&search.settings).unwrap();
                config.search.validate().unwrap();
            }
            for setup in &plan.setups {
                setup.config(&[]).unwrap();
            }
            let names: std::collections::HashSet<&str> = plan.rows.iter().map(Row::name).collect();
            assert_eq!(names.len(), plan.rows.len(), "{sheet:?} at {scale:?}");
            let found = |row: &Row| match row {
                Row::Found { search, .. } => *search < plan.searches.len(),
                Row::Written(..) => true,
            };
            assert!(plan.rows.iter().all(found));
        }
    }

    #[test]
    fn larger_scales_ask_for_their_data() {
        let none = Data {
            searched: None,
            transfer: None,
        };
        let said = |sheet, scale| match Plan::new(sheet, scale, &none, &[]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(said(Sheet::Table2, Scale::Small).contains("--data DIR, the folder of voc"));
        assert!(
            said(Sheet::Table4, Scale::Paper).contains("--data DIR, the folder of coco-detection")
        );
        assert_eq!(said(Sheet::Table5, Scale::Tiny), "");
    }
}
