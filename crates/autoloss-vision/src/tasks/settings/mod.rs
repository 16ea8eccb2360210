//! Settings of any task, from presets and a user's changes.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use autoloss_search::{Schedule, read_table};
use burn::tensor::Device;

use super::detection::{Detection, DetectionSettings};
use super::errors::{SetupError, TaskSettingsError};
use super::name::{Family, TaskName};
use super::pose::{Pose, PoseSettings};
use super::presets::merge;
use super::schedules::{Schedules, VisionTask};
use super::segmentation::{Segmentation, SegmentationSettings};
use crate::train::TrainingSettings;

/// Settings of one training of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum FamilySettings {
    /// Of semantic segmentation.
    Segmentation(Box<SegmentationSettings>),
    /// Of object detection or instance segmentation.
    Detection(Box<DetectionSettings>),
    /// Of keypoints.
    Pose(Box<PoseSettings>),
}

/// An expression on the settings of whichever family there are.
macro_rules! each {
    ($settings:expr, $it:ident => $what:expr) => {
        match $settings {
            FamilySettings::Segmentation($it) => $what,
            FamilySettings::Detection($it) => $what,
            FamilySettings::Pose($it) => $what,
        }
    };
}

impl FamilySettings {
    /// The settings that a table holds without any defaults; errors name keys after `place`.
    fn from_whole(
        task: TaskName,
        table: toml::Table,
        place: &str,
    ) -> Result<Self, TaskSettingsError> {
        let settings = match task.family() {
            Family::Segmentation => read_table(table, place).map(Self::Segmentation),
            Family::Detection | Family::Instances => read_table(table, place).map(Self::Detection),
            Family::Pose => read_table(table, place).map(Self::Pose),
        };
        settings.map_err(TaskSettingsError)
    }

    fn check(&self) -> Result<(), TaskSettingsError> {
        each!(self, it => it.check())
    }

    fn training(&self) -> &TrainingSettings {
        each!(self, it => &it.training)
    }

    /// All paths, to change.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let paths = match self {
            Self::Segmentation(it) => [
                it.data.as_mut(),
                it.network.weights.path_mut(),
                it.colors.as_mut(),
            ],
            Self::Detection(it) => [it.data.as_mut(), it.network.weights.path_mut(), None],
            Self::Pose(it) => [it.data.as_mut(), it.network.weights.path_mut(), None],
        };
        paths.into_iter().flatten()
    }
}

/// Settings of a task: those of its proxy, and those of full training, which change some of them.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSettings {
    proxy: FamilySettings,
    full: FamilySettings,
    /// The table `full`, of which the keys count: values that are changed later, such as paths, are in `full`.
    changes: toml::Table,
}

/// Name of the table of settings that full training changes.
const FULL: &str = "full";

/// Settings that belong to the task as a whole: full training is of the same metric and the same data.
const COMMON: [&str; 10] = [
    "name",
    "metric",
    "device",
    "data",
    "classes",
    "label_map",
    "colors",
    "search_share",
    "search_images",
    "split_seed",
];

impl TaskSettings {
    /// The preset of `changes.name` (default: digits) with the keys of `changes` in place of its
    /// own.
    ///
    /// # Errors
    /// An unknown task or key, or a value of the wrong type, named with what was expected.
    pub fn from_table(changes: &toml::Table) -> Result<Self, TaskSettingsError> {
        let task = match changes.get("name") {
            Some(toml::Value::String(name)) => name.parse()?,
            Some(other) => {
                return Err(TaskSettingsError(format!(
                    "task.name: expected a string, found {other}"
                )));
            }
            None => TaskName::Digits,
        };
        let mut table = task.preset();
        change(&mut table, changes);
        let settings = Self::from_whole(task, table)?;
        settings.check()?;
        Ok(settings)
    }

    /// The settings that a table holds without any defaults.
    fn from_whole(task: TaskName, mut table: toml::Table) -> Result<Self, TaskSettingsError> {
        let changes = match table.remove(FULL) {
            Some(toml::Value::Table(changes)) => changes,
            None => toml::Table::new(),
            Some(other) => {
                return Err(TaskSettingsError(format!(
                    "task.{FULL}: expected a table of the settings that full training changes, found {other}"
                )));
            }
        };
        if let Some(key) = COMMON.iter().find(|key| changes.contains_key(**key)) {
            return Err(TaskSettingsError(format!(
                "task.{FULL}.{key}: full training shares this setting with the proxy; set task.{key}"
            )));
        }
        let mut full = table.clone();
        change(&mut full, &changes);
        Ok(Self {
            proxy: FamilySettings::from_whole(task, table, "task.")?,
            full: FamilySettings::from_whole(task, full, "task.full.")?,
            changes,
        })
    }

    /// The error naming the first value outside its range.
    fn check(&self) -> Result<(), TaskSettingsError> {
        self.proxy.check()?;
        let in_full =
            |error: TaskSettingsError| TaskSettingsError(format!("in full training: {error}"));
        self.full.check().map_err(in_full)?;
        let examples = |training: &TrainingSettings| training.steps * training.batch;
        let (proxy, full) = (self.proxy.training(), self.full.training());
        if examples(full) < examples(proxy) {
            return Err(TaskSettingsError(format!(
                "task.full.training: full training makes {} updates of {} examples, fewer than the {} updates of \
                 {} examples of the proxy; set task.full.training.steps to at least {}",
                full.steps,
                full.batch,
                proxy.steps,
                proxy.batch,
                examples(proxy).div_ceil(full.batch)
            )));
        }
        Ok(())
    }

    /// The settings as TOML, those that full training changes in the table `full`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let plain = "settings are plain TOML";
        let mut text = each!(&self.proxy, it => toml::to_string(it)).expect(plain);
        if !self.changes.is_empty() {
            let full = each!(&self.full, it => toml::Table::try_from(it)).expect(plain);
            let full = picked(&full, &self.changes);
            let full = toml::Table::from_iter([(FULL.to_owned(), full.into())]);
            text.push('\n');
            text.push_str(&toml::to_string(&full).expect(plain));
        }
        text
    }

    /// The settings of one of the task's trainings.
    #[must_use]
    pub const fn of(&self, schedule: Schedule) -> &FamilySettings {
        match schedule {
            Schedule::Proxy => &self.proxy,
            Schedule::Full => &self.full,
        }
    }

    /// The task.
    #[must_use]
    pub fn name(&self) -> TaskName {
        each!(&self.proxy, it => it.name)
    }

    /// Name of the metric that is searched for.
    #[must_use]
    pub fn metric(&self) -> &str {
        each!(&self.proxy, it => &it.metric)
    }

    /// Name of the device that networks run on.
    #[must_use]
    pub fn device(&self) -> &str {
        each!(&self.proxy, it => &it.device)
    }

    /// These settings with another device.
    #[must_use]
    pub fn on(mut self, device: &str) -> Self {
        for settings in [&mut self.proxy, &mut self.full] {
            each!(settings, it => device.clone_into(&mut it.device));
        }
        self
    }

    /// The schedule of a training.
    #[must_use]
    pub fn training(&self, schedule: Schedule) -> &TrainingSettings {
        self.of(schedule).training()
    }

    /// Name of the network of a training.
    #[must_use]
    pub fn network(&self, schedule: Schedule) -> String {
        each!(self.of(schedule), it => it.network.name.to_string())
    }

    /// All paths, to change.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.proxy.paths().chain(self.full.paths())
    }

    /// Opens and checks the task's data and builds its networks once, to see that they can be built.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub fn open(self, device: &Device) -> Result<Box<dyn VisionTask>, SetupError> {
        use FamilySettings::{Detection as Boxes, Pose as Keypoints, Segmentation as Pixels};
        Ok(match (self.proxy, self.full) {
            (Pixels(proxy), Pixels(full)) => {
                Box::new(Schedules::<Segmentation>::open(*proxy, *full, device)?)
            }
            (Boxes(proxy), Boxes(full)) => {
                Box::new(Schedules::<Detection>::open(*proxy, *full, device)?)
            }
            (Keypoints(proxy), Keypoints(full)) => {
                Box::new(Schedules::<Pose>::open(*proxy, *full, device)?)
            }
            _ => unreachable!("both trainings are of one task"),
        })
    }
}

/// The settings of the proxy of a task's preset.
#[cfg(test)]
pub(super) fn preset<T: serde::de::DeserializeOwned>(task: TaskName) -> T {
    let mut table = task.preset();
    table.remove(FULL);
    read_table(table, "task.").expect("presets are settings, as tested")
}

/// Puts the values of `changes` into the settings of a task. Weights fit one backbone alone: where the changes name
/// a network with another and no weights, it starts from random ones, so that the name of a network suffices.
fn change(settings: &mut toml::Table, changes: &toml::Table) {
    fn backbone(settings: &toml::Table) -> Option<&str> {
        let name = settings.get("network")?.get("name")?.as_str()?;
        Some(name.rsplit_once('-')?.1)
    }
    let fits = backbone(changes).is_none_or(|other| backbone(settings) == Some(other));
    if let (false, Some(toml::Value::Table(network))) = (fits, settings.get_mut("network")) {
        network.remove("weights");
    }
    merge(settings, changes);
}

/// The values of a table at the keys of another one, table by table.
fn picked(values: &toml::Table, keys: &toml::Table) -> toml::Table {
    let value = |(key, own): (&String, &toml::Value)| {
        let value = match (values.get(key), own) {
            (Some(toml::Value::Table(values)), toml::Value::Table(keys)) => {
                picked(values, keys).into()
            }
            (value, own) => value.unwrap_or(own).clone(),
        };
        (key.clone(), value)
    };
    keys.iter().map(value).collect()
}
