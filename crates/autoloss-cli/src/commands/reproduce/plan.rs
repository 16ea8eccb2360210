//! The parts of each table: searches, losses, and the setups they are trained in.

mod objects;
mod segmentation;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use toml::{Table, Value};

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

/// Settings in the form of `--set`: keys with their tables, and values.
pub(super) type Changes = Vec<(String, Value)>;

/// A task with settings.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Name of its folder.
    pub(super) key: &'static str,
    /// Name of its columns.
    pub(super) title: &'static str,
    pub(super) settings: Changes,
    /// The user's own, which come last.
    pub(super) own: Changes,
}

impl Setup {
    /// A task of that name.
    fn of_task(key: &'static str, title: &'static str, task: &str) -> Self {
        Self {
            key,
            title,
            settings: vec![("task.name".to_owned(), text(task))],
            own: Vec::new(),
        }
    }

    /// This setup under another name.
    fn renamed(&self, key: &'static str, title: &'static str) -> Self {
        Self {
            key,
            title,
            ..self.clone()
        }
    }

    /// This setup with further settings, which win.
    fn with(mut self, settings: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.settings.extend(settings);
        self
    }

    /// This setup with one further setting, which wins.
    fn with_value(self, key: &str, value: impl Into<Value>) -> Self {
        self.with([(key.to_owned(), value.into())])
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
    /// Name of its folder; tables share searches of one name.
    pub(super) key: String,
    pub(super) setup: Setup,
    pub(super) settings: Changes,
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
    /// A hand-written loss: its name in the table, and the loss as `--loss` takes it.
    Written(&'static str, String),
    /// The best loss of a search.
    Found {
        name: String,
        /// Key of the search.
        search: String,
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

    /// The best loss of a search for a metric.
    fn found(search: &Search, metric: &'static str) -> Self {
        Self::Found {
            name: format!("searched for {metric}"),
            search: search.key.clone(),
            metric,
        }
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
            Sheet::Table2 => segmentation::table(scale, data),
            Sheet::Table3 => segmentation::transfer(scale, data),
            Sheet::Table4 => objects::detection(scale, data),
            Sheet::Table5 => objects::detection_transfer(scale, data),
            Sheet::Table6 => objects::instances(scale, data),
            Sheet::Table7 => objects::pose(scale, data),
            Sheet::Parts | Sheet::Half | Sheet::Table8 | Sheet::Figure4 => {
                anyhow::bail!("no table of losses that the paper has")
            }
        }?;
        let searched = plan.searches.iter_mut().map(|search| &mut search.setup);
        for setup in searched.chain(&mut plan.setups) {
            setup.own = own.to_vec();
        }
        Ok(plan)
    }

    /// The search of a key.
    ///
    /// # Errors
    /// A key that no search has.
    pub(super) fn search(&self, key: &str) -> Result<&Search> {
        let search = self.searches.iter().find(|search| search.key == key);
        search.with_context(|| format!("no search `{key}` in the table"))
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

/// Setup of searches: an embedded task, or the user's data with the preset's proxy; at the scale `paper` with the
/// settings of that scale.
pub(super) fn searched_in(
    [tiny, large]: [&'static str; 2],
    scale: Scale,
    data: &Data<'_>,
    of_paper: &[Group],
) -> Result<Setup> {
    if scale == Scale::Tiny {
        return Ok(Setup::of_task(tiny, "embedded data", tiny));
    }
    let data = folder(data.searched, "--data", large)?;
    let setup = Setup::of_task(large, large, large).with_value("task.data", data);
    Ok(match scale {
        Scale::Paper => setup.with(of_paper.iter().flat_map(|group| group.settings())),
        _ => setup,
    })
}

/// Settings of the scale `paper` that belong together: a table of `paper.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    SegmentationProxy,
    SegmentationTraining,
    SegmentationSearched,
    SegmentationOtherNetwork,
    Detection,
    Boxes,
    Instances,
    Pose,
}

impl Group {
    const fn name(self) -> &'static str {
        match self {
            Self::SegmentationProxy => "segmentation_proxy",
            Self::SegmentationTraining => "segmentation_training",
            Self::SegmentationSearched => "segmentation_searched",
            Self::SegmentationOtherNetwork => "segmentation_other_network",
            Self::Detection => "detection",
            Self::Boxes => "boxes",
            Self::Instances => "instances",
            Self::Pose => "pose",
        }
    }

    /// Keys and values.
    fn settings(self) -> Changes {
        let mut all: Table = toml::from_str(include_str!("plan/paper.toml"))
            .expect("the settings of the paper are TOML, as tested");
        let own = all
            .remove(self.name())
            .unwrap_or_else(|| Table::new().into());
        let mut settings = Vec::new();
        flatten(String::new(), own, &mut settings);
        settings
    }
}

/// Adds the values of tables under their whole keys, such as `task.training.steps`.
pub(super) fn flatten(key: String, value: Value, settings: &mut Changes) {
    match value {
        Value::Table(table) => {
            for (inner, value) in table {
                let key = match key.is_empty() {
                    true => inner,
                    false => format!("{key}.{inner}"),
                };
                flatten(key, value, settings);
            }
        }
        value => settings.push((key, value)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_of_the_papers_settings_is_in_the_file() {
        let groups = [
            Group::SegmentationProxy,
            Group::SegmentationTraining,
            Group::SegmentationSearched,
            Group::SegmentationOtherNetwork,
            Group::Detection,
            Group::Boxes,
            Group::Instances,
            Group::Pose,
        ];
        for group in groups {
            assert!(!group.settings().is_empty(), "{group:?}");
        }
        let named: Table = toml::from_str(include_str!("plan/paper.toml")).unwrap();
        assert_eq!(named.len(), groups.len());
        let steps = (
            "task.full.training.steps".to_owned(),
            Value::Integer(30_000),
        );
        assert!(Group::SegmentationTraining.settings().contains(&steps));
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
