//! Settings of any task, from presets and a user's changes.

use std::path::{Path, PathBuf};

use super::detection::DetectionSettings;
use super::name::Family;
use super::pose::PoseSettings;
use super::{
    Detection, Pose, Segmentation, SegmentationSettings, SetupError, TaskName, VisionTask,
};
use crate::train::TrainingSettings;
use autoloss_search::read_table;
use burn::tensor::Device;

/// Settings that cannot be used: which one, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// Settings of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskSettings {
    /// Of semantic segmentation.
    Segmentation(Box<SegmentationSettings>),
    /// Of object detection or instance segmentation.
    Detection(Box<DetectionSettings>),
    /// Of keypoints.
    Pose(Box<PoseSettings>),
}

/// The same of whichever settings there are.
macro_rules! each {
    ($settings:expr, $it:ident => $what:expr) => {
        match $settings {
            TaskSettings::Segmentation($it) => $what,
            TaskSettings::Detection($it) => $what,
            TaskSettings::Pose($it) => $what,
        }
    };
}

impl TaskSettings {
    /// The preset of `changes.name` (default: digits) with the keys of `changes` in place of its
    /// own.
    ///
    /// # Errors
    /// An unknown task or key, or a value of the wrong type, named with what was expected.
    pub fn from_table(changes: &toml::Table) -> Result<Self, SettingsError> {
        let task = match changes.get("name") {
            Some(toml::Value::String(name)) => name.parse()?,
            Some(other) => {
                return Err(SettingsError(format!(
                    "task.name: expected a string, found {other}"
                )));
            }
            None => TaskName::Digits,
        };
        let mut table: toml::Table =
            toml::from_str(task.preset()).expect("presets are TOML, as tested");
        merge(&mut table, changes);
        let settings = Self::from_whole(task, table)?;
        each!(&settings, it => it.check())?;
        Ok(settings)
    }

    /// The settings that a table holds without any defaults.
    fn from_whole(task: TaskName, table: toml::Table) -> Result<Self, SettingsError> {
        let settings = match task.family() {
            Family::Segmentation => read_table(table, "task.").map(Self::Segmentation),
            Family::Detection | Family::Instances => {
                read_table(table, "task.").map(Self::Detection)
            }
            Family::Pose => read_table(table, "task.").map(Self::Pose),
        };
        settings.map_err(SettingsError)
    }

    /// The settings as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        each!(self, it => toml::to_string(it)).expect("settings are plain TOML")
    }

    /// The task.
    #[must_use]
    pub fn name(&self) -> TaskName {
        each!(self, it => it.name)
    }

    /// Name of the metric that is searched for.
    #[must_use]
    pub fn metric(&self) -> &str {
        each!(self, it => &it.metric)
    }

    /// Name of the device that networks run on.
    #[must_use]
    pub fn device(&self) -> &str {
        each!(self, it => &it.device)
    }

    /// The training.
    #[must_use]
    pub fn training(&self) -> &TrainingSettings {
        each!(self, it => &it.training)
    }

    /// Name of the network.
    #[must_use]
    pub fn network(&self) -> String {
        each!(self, it => it.network.name.to_string())
    }

    /// All paths, to change.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let paths = match self {
            Self::Segmentation(it) => [
                it.data.as_mut(),
                it.network.weights.as_mut(),
                it.colors.as_mut(),
            ],
            Self::Detection(it) => [it.data.as_mut(), it.network.weights.as_mut(), None],
            Self::Pose(it) => [it.data.as_mut(), it.network.weights.as_mut(), None],
        };
        paths.into_iter().flatten()
    }

    /// Opens and checks the task's data and builds its network once, to see that it can be built.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub fn open(self, device: &Device) -> Result<Box<dyn VisionTask>, SetupError> {
        Ok(match self {
            Self::Segmentation(settings) => Box::new(Segmentation::new(*settings, device)?),
            Self::Detection(settings) => Box::new(Detection::new(*settings, device)?),
            Self::Pose(settings) => Box::new(Pose::new(*settings, device)?),
        })
    }
}

/// A task whose data are embedded takes no folder, another one needs one.
pub(super) fn check_data(task: TaskName, data: Option<&Path>) -> Result<(), SettingsError> {
    match (task.is_embedded(), data) {
        (true, Some(_)) => {
            let same = |other: &&TaskName| !other.is_embedded() && other.family() == task.family();
            let others = TaskName::ALL.iter().filter(same);
            let others: Vec<String> = others.map(|other| format!("--task {other}")).collect();
            Err(SettingsError(format!(
                "the task `{task}` brings its own data: for yours add {}",
                others.join(" or ")
            )))
        }
        (false, None) => Err(SettingsError(format!(
            "the task `{task}` needs a data set: give its folder with --data DIR"
        ))),
        _ => Ok(()),
    }
}

/// Puts the values of `changes` into `table`, table by table.
fn merge(table: &mut toml::Table, changes: &toml::Table) {
    for (key, value) in changes {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(changes)) => merge(inner, changes),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str) -> Result<TaskSettings, SettingsError> {
        TaskSettings::from_table(&toml::from_str(text).unwrap())
    }

    #[test]
    fn presets_are_settings_and_every_key_has_a_comment() {
        for task in TaskName::ALL {
            let table = toml::from_str(task.preset()).unwrap();
            assert_eq!(TaskSettings::from_whole(task, table).unwrap().name(), task);
            let mut commented = false;
            let mut section = true;
            for line in task.preset().lines() {
                let key = line.contains('=') && !line.starts_with('#');
                assert!(
                    !key || commented || section,
                    "{task}: `{line}` has no comment"
                );
                section = line.starts_with('[');
                // A comment serves the keys right below it.
                commented = line.starts_with('#') || (commented && key);
            }
        }
    }

    #[test]
    fn a_users_settings_change_single_keys() {
        for task in TaskName::ALL {
            let data = if task.is_embedded() {
                ""
            } else {
                "data = \"d\"\n"
            };
            let text = format!("name = \"{task}\"\n{data}[training]\nsteps = 7");
            let got = changed(&text).unwrap();
            assert_eq!((got.name(), got.training().steps), (task, 7));
            assert_eq!(changed(&got.to_toml()).unwrap(), got);
        }
        let got = changed("metric = \"bf1\"").unwrap();
        assert_eq!((got.name(), got.metric()), (TaskName::Digits, "bf1"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| changed(text).unwrap_err().to_string();
        assert!(error("name = \"digit\"").contains("did you mean `digits`?"));
        assert!(error("name = \"voc\"").contains("--data DIR"));
        assert!(error("data = \"x\"").contains("add --task voc or --task cityscapes"));
        assert!(error("metrik = \"miou\"").contains("metrik"));
        assert!(error("[training]\nsteps = 0").contains("task.training.steps is 0"));
        assert!(error("[training]\nlearning_rate = -1.0").contains("learning_rate is -1"));
        assert!(error("[training]\nsteps = \"x\"").contains("steps"));
        assert!(error("[training]\ncrop = 0").contains("task.training.crop is 0"));
    }
}
