//! Settings of a segmentation task, and the presets they start from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::{Augmentation, DigitsSettings};
use crate::nets::NetworkSettings;
use crate::train::TrainingSettings;

/// The tasks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// Semantic segmentation of embedded scenes of handwritten digits.
    Digits,
    /// Semantic segmentation, PASCAL VOC folder layout.
    Voc,
    /// Semantic segmentation, Cityscapes folder layout.
    Cityscapes,
}

impl TaskName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Digits, Self::Voc, Self::Cityscapes];

    /// The name users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Voc => "voc",
            Self::Cityscapes => "cityscapes",
        }
    }

    /// Its settings with their comments: the preset that a user's settings change.
    #[must_use]
    pub const fn preset(self) -> &'static str {
        match self {
            Self::Digits => include_str!("digits.toml"),
            Self::Voc => include_str!("voc.toml"),
            Self::Cityscapes => include_str!("cityscapes.toml"),
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TaskName {
    type Err = SettingsError;

    fn from_str(name: &str) -> Result<Self, SettingsError> {
        let found = Self::ALL.into_iter().find(|task| task.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|task| task.name()).collect();
            let hint = autoloss_expr::nearest(name, names.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            SettingsError(format!(
                "unknown task `{name}`; {hint}known: {}",
                names.join(", ")
            ))
        })
    }
}

/// Settings that cannot be used: which one, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// Settings of a segmentation task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationSettings {
    /// The task.
    pub name: TaskName,
    /// Name of the metric that is searched for.
    pub metric: String,
    /// Name of the device that networks run on.
    pub device: String,
    /// Folder of the data set; `digits` needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Names of the classes in the order of their labels, where the folder does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Images are reduced so that the longer side has at most this many pixels; 0: as they are.
    #[serde(default)]
    pub longest_side: usize,
    /// Chebyshev distance of the boundary metrics in pixels, at full size.
    pub boundary_distance: u32,
    /// Validation examples that are scored; 0: all.
    pub val_images: usize,
    /// Megabytes of decoded examples kept in memory.
    pub cache_mb: usize,
    /// Scenes of the task `digits`.
    #[serde(default)]
    pub digits: DigitsSettings,
    /// The network.
    pub network: NetworkSettings,
    /// The training.
    pub training: TrainingSettings,
    /// How training examples are varied.
    pub augmentation: Augmentation,
}

impl SegmentationSettings {
    /// The preset of a task.
    #[must_use]
    pub fn preset(task: TaskName) -> Self {
        toml::from_str(task.preset()).expect("presets are settings, as tested")
    }

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
        let settings: Self = toml::Value::Table(table)
            .try_into()
            .map_err(|error| SettingsError(format!("in the settings of the task: {error}")))?;
        settings.check()?;
        Ok(settings)
    }

    /// The settings as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain TOML")
    }

    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), SettingsError> {
        let training = &self.training;
        let positive = [
            ("training.steps", training.steps),
            ("training.batch", training.batch),
            ("training.crop", training.crop),
            ("training.threads", training.threads),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(SettingsError(format!(
                    "task.{name} is 0, expected at least 1"
                )));
            }
        }
        if training.batch == 1 {
            return Err(SettingsError(
                "task.training.batch is 1, expected at least 2: batch normalisation needs several"
                    .to_owned(),
            ));
        }
        let threads = [
            ("threads", training.threads),
            ("loader_threads", training.loader_threads),
        ];
        for (name, value) in threads {
            if value > 256 {
                return Err(SettingsError(format!(
                    "task.training.{name} is {value}, expected at most 256"
                )));
            }
        }
        let numbers = [
            (
                "learning_rate",
                training.learning_rate,
                f64::MIN_POSITIVE,
                1e3,
            ),
            ("momentum", training.momentum, 0.0, 1.0),
            ("weight_decay", training.weight_decay, 0.0, 1.0),
            ("power", training.power, 0.0, 10.0),
        ];
        for (name, value, low, high) in numbers {
            if !(low..=high).contains(&value) {
                return Err(SettingsError(format!(
                    "task.training.{name} is {value}, expected {low:e} to {high}"
                )));
            }
        }
        if self.name == TaskName::Digits && (self.data.is_some() || self.classes.is_some()) {
            return Err(SettingsError(
                "the task `digits` brings its own data: for yours add --task voc or --task cityscapes"
                    .to_owned(),
            ));
        }
        if self.name == TaskName::Cityscapes && self.classes.is_some() {
            return Err(SettingsError(
                "the task `cityscapes` has its own 19 classes: leave `classes` out".to_owned(),
            ));
        }
        if self.name != TaskName::Digits && self.data.is_none() {
            return Err(SettingsError(format!(
                "the task `{}` needs a data set: give its folder with --data DIR",
                self.name
            )));
        }
        self.augmentation
            .check()
            .map_err(|error| SettingsError(format!("task.{error}")))
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

    #[test]
    fn presets_are_settings_and_every_key_has_a_comment() {
        for task in TaskName::ALL {
            assert_eq!(SegmentationSettings::preset(task).name, task);
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
        let changes = toml::from_str("metric = \"bf1\"\n[training]\nsteps = 7").unwrap();
        let mut want = SegmentationSettings::preset(TaskName::Digits);
        want.metric = "bf1".to_owned();
        want.training.steps = 7;
        let got = SegmentationSettings::from_table(&changes).unwrap();
        assert_eq!(got, want);
        let again = toml::from_str(&got.to_toml()).unwrap();
        assert_eq!(SegmentationSettings::from_table(&again).unwrap(), want);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| {
            SegmentationSettings::from_table(&toml::from_str(text).unwrap())
                .unwrap_err()
                .to_string()
        };
        assert!(error("name = \"digit\"").contains("did you mean `digits`?"));
        assert!(error("name = \"voc\"").contains("--data DIR"));
        assert!(error("metrik = \"miou\"").contains("metrik"));
        assert!(error("[training]\nsteps = 0").contains("task.training.steps is 0"));
        assert!(error("[training]\nlearning_rate = -1.0").contains("learning_rate is -1"));
        assert!(error("[training]\nsteps = \"x\"").contains("steps"));
    }
}
