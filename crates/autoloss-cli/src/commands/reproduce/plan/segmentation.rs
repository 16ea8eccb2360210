//! Tables 2 and 3: semantic segmentation.

use anyhow::Result;

use super::{
    Data, Group, Plan, Row, Scale, Search, Setup, folder, search, searched_in, seeds, text,
};

/// The metrics of table 2.
const METRICS: [&str; 6] = ["miou", "fwiou", "gacc", "macc", "biou", "bf1"];

/// The metrics of table 3.
const TRANSFER_METRICS: [&str; 2] = ["miou", "bf1"];

/// Hand-written losses: names in the table and in the zoo.
const WRITTEN: [(&str, &str); 12] = [
    ("cross entropy", "cross_entropy"),
    ("weighted cross entropy", "weighted_cross_entropy"),
    ("DPCE", "dpce"),
    ("SSIM", "ssim"),
    ("Dice", "dice"),
    ("Lovász-softmax", "lovasz_softmax"),
    ("ASL surrogate of miou", "asl_miou"),
    ("ASL surrogate of fwiou", "asl_fwiou"),
    ("ASL surrogate of gacc", "asl_gacc"),
    ("ASL surrogate of macc", "asl_macc"),
    ("ASL surrogate of biou", "asl_biou"),
    ("ASL surrogate of bf1", "asl_bf1"),
];

/// Those of table 3.
const TRANSFERRED: [&str; 3] = ["cross_entropy", "dice", "lovasz_softmax"];

/// Published for PASCAL VOC with DeepLabV3+ over ResNet-101, in percent.
const PUBLISHED: [(&str, [f64; 6]); 2] = [
    ("cross entropy", [78.69, 91.31, 95.17, 87.31, 70.61, 65.30]),
    (
        "ASL, each for its metric",
        [80.97, 91.93, 95.22, 92.95, 79.27, 74.83],
    ),
];

/// Setup of the searches of both tables.
fn setup(scale: Scale, data: &Data<'_>) -> Result<Setup> {
    let of_paper = [
        Group::SegmentationProxy,
        Group::SegmentationTraining,
        Group::SegmentationSearched,
    ];
    searched_in(["digits", "voc"], scale, data, &of_paper)
}

/// A search for each metric. The table of fewer metrics shares the searches of the other.
fn searches(metrics: &[&'static str], setup: &Setup, scale: Scale) -> Vec<Search> {
    let share = 1.0 / METRICS.len() as f64;
    let of = |metric: &&'static str| search("segmentation", setup, metric, scale, share);
    metrics.iter().map(of).collect()
}

/// A row for the best loss of each search.
fn found(searches: &[Search], metrics: &[&'static str]) -> Vec<Row> {
    let pairs = searches.iter().zip(metrics);
    pairs
        .map(|(search, metric)| Row::found(search, metric))
        .collect()
}

fn written(wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let rows = WRITTEN.into_iter().filter(|(_, zoo)| wanted(zoo));
    rows.map(|(name, zoo)| Row::Written(name, format!("zoo:{zoo}")))
        .collect()
}

/// Table 2.
pub(super) fn table(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let setup = setup(scale, data)?;
    let mut searches = searches(&METRICS, &setup, scale);
    let mut rows = written(|_| true);
    rows.extend(found(&searches, &METRICS));
    if scale != Scale::Tiny {
        // Its policy needs hundreds of evaluations.
        let surrogates: Vec<Search> = searches.iter().map(surrogate_search).collect();
        let row = |(search, metric): (&Search, &'static str)| Row::Found {
            name: format!("ASL searched for {metric}"),
            search: search.key.clone(),
            metric,
        };
        rows.extend(surrogates.iter().zip(METRICS).map(row));
        searches.extend(surrogates);
    }
    let published = PUBLISHED.map(|(row, values)| (row, values.to_vec()));
    Ok(Plan {
        title: "Semantic segmentation: losses searched for six metrics, and hand-written ones",
        searches,
        rows,
        setups: vec![setup],
        metrics: METRICS.to_vec(),
        seeds: seeds(scale),
        published: published.to_vec(),
    })
}

/// Auto Seg-Loss for the metric of another search, with the same time.
fn surrogate_search(of: &Search) -> Search {
    let mut search = of.clone();
    search.key = format!("asl-{}", search.key);
    search
        .settings
        .push(("search.strategy".to_owned(), text("asl")));
    search
}

/// Table 3.
pub(super) fn transfer(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let setup = setup(scale, data)?;
    let searches = searches(&TRANSFER_METRICS, &setup, scale);
    let mut rows = written(|zoo| TRANSFERRED.contains(&zoo));
    rows.extend(found(&searches, &TRANSFER_METRICS));
    let setups = match scale {
        Scale::Tiny => vec![
            setup
                .renamed("digits-deeplab", "DeepLabV3+")
                .with_value("task.full.network.name", "deeplabv3plus-slim"),
            setup
                .renamed("digits-larger", "other scenes, larger")
                .with_value("task.digits.seed", 1)
                .with_value("task.full.digits.size", 48)
                .with_value("task.full.training.crop", 48),
        ],
        Scale::Small | Scale::Paper => larger_transfers(&setup, scale, data)?,
    };
    Ok(Plan {
        title: "Semantic segmentation: searched losses on another network and other data",
        searches,
        rows,
        setups,
        metrics: TRANSFER_METRICS.to_vec(),
        seeds: seeds(scale),
        published: Vec::new(),
    })
}

/// Another network on the data of the searches, and other data.
fn larger_transfers(setup: &Setup, scale: Scale, data: &Data<'_>) -> Result<Vec<Setup>> {
    let transfer = folder(data.transfer, "--transfer-data", "Cityscapes")?;
    let network = setup.renamed("voc-net", "another network");
    let other = Setup::of_task("cityscapes", "Cityscapes", "cityscapes");
    let other = other.with_value("task.data", transfer);
    Ok(match scale {
        Scale::Paper => vec![
            network.with(Group::SegmentationOtherNetwork.settings()),
            other
                .with(Group::SegmentationTraining.settings())
                .with(Group::SegmentationSearched.settings()),
        ],
        _ => vec![
            network.with_value("task.full.network.name", "deeplabv3plus-slim"),
            other,
        ],
    })
}
