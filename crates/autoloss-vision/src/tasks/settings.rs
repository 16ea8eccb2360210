//! Settings of any task, from presets and a user's changes.

use std::path::{Path, PathBuf};

use super::detection::DetectionSettings;
use super::name::Family;
use super::pose::PoseSettings;
use super::schedules::Schedules;
use super::{
    Detection, Pose, Segmentation, SegmentationSettings, SetupError, TaskName, VisionTask,
};
use crate::train::TrainingSettings;
use autoloss_search::{Schedule, read_table};
use burn::tensor::Device;

/// Settings that cannot be used: which one, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

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

/// The same of whichever settings there are.
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
    fn from_whole(task: TaskName, table: toml::Table, place: &str) -> Result<Self, SettingsError> {
        let settings = match task.family() {
            Family::Segmentation => read_table(table, place).map(Self::Segmentation),
            Family::Detection | Family::Instances => read_table(table, place).map(Self::Detection),
            Family::Pose => read_table(table, place).map(Self::Pose),
        };
        settings.map_err(SettingsError)
    }

    fn check(&self) -> Result<(), SettingsError> {
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
        change(&mut table, changes);
        let settings = Self::from_whole(task, table)?;
        settings.check()?;
        Ok(settings)
    }

    /// The settings that a table holds without any defaults.
    fn from_whole(task: TaskName, mut table: toml::Table) -> Result<Self, SettingsError> {
        let changes = match table.remove(FULL) {
            Some(toml::Value::Table(changes)) => changes,
            None => toml::Table::new(),
            Some(other) => {
                return Err(SettingsError(format!(
                    "task.{FULL}: expected a table of the settings that full training changes, found {other}"
                )));
            }
        };
        if let Some(key) = COMMON.iter().find(|key| changes.contains_key(**key)) {
            return Err(SettingsError(format!(
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
    fn check(&self) -> Result<(), SettingsError> {
        self.proxy.check()?;
        let in_full = |error: SettingsError| SettingsError(format!("in full training: {error}"));
        self.full.check().map_err(in_full)?;
        let examples = |training: &TrainingSettings| training.steps * training.batch;
        let (proxy, full) = (self.proxy.training(), self.full.training());
        if examples(full) < examples(proxy) {
            return Err(SettingsError(format!(
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

    /// The same on another device.
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
pub(super) fn preset<T: serde::de::DeserializeOwned>(task: TaskName) -> T {
    let mut table: toml::Table =
        toml::from_str(task.preset()).expect("presets are TOML, as tested");
    table.remove(FULL);
    read_table(table, "task.").expect("presets are settings, as tested")
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
    use autoloss_nets::Weights;

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
            assert_eq!((got.name(), got.training(Schedule::Proxy).steps), (task, 7));
            assert_eq!(changed(&got.to_toml()).unwrap(), got);
        }
        let got = changed("metric = \"bf1\"").unwrap();
        assert_eq!((got.name(), got.metric()), (TaskName::Digits, "bf1"));
    }

    #[test]
    fn full_training_changes_some_settings_and_shares_the_others() {
        let steps = |settings: &TaskSettings| {
            [Schedule::Proxy, Schedule::Full].map(|schedule| settings.training(schedule).steps)
        };
        let preset = changed("").unwrap();
        let [proxy, full] = steps(&preset);
        assert!(full >= 10 * proxy, "{proxy} and {full} updates");
        let got = changed("metric = \"bf1\"\n[training]\nsteps = 3\nbatch = 5").unwrap();
        assert_eq!(steps(&got), [3, full]);
        assert_eq!(got.training(Schedule::Full).batch, 5);
        let text = "[training]\nsteps = 3\n[full]\nval_images = 7\n[full.training]\nsteps = 30";
        let got = changed(text).unwrap();
        assert_eq!(steps(&got), [3, 30]);
        let images = |schedule| match got.of(schedule) {
            FamilySettings::Segmentation(settings) => settings.val_images,
            _ => unreachable!(),
        };
        assert_eq!((images(Schedule::Proxy), images(Schedule::Full)), (0, 7));
        assert_eq!(changed(&got.to_toml()).unwrap(), got);
        // A value like the proxy's own stays a setting of full training.
        let same = changed("[full.training]\nsteps = 240").unwrap();
        assert_eq!(changed(&same.to_toml()).unwrap(), same);
        assert_eq!(steps(&changed(&same.to_toml()).unwrap()), [240, 240]);
        // Paths that are made absolute are written as they are then.
        let text = "[full.network]\nname = \"pspnet-resnet18\"\nweights = \"w.pth\"";
        let mut moved = changed(text).unwrap();
        for path in moved.paths() {
            *path = std::path::Path::new("/home/me").join(&path);
        }
        assert!(
            moved.to_toml().contains("weights = \"/home/me/w.pth\""),
            "{}",
            moved.to_toml()
        );
    }

    #[test]
    fn full_training_that_cannot_be_is_named() {
        let error = |text: &str| changed(text).unwrap_err().to_string();
        let short = error("[training]\nsteps = 100\n[full.training]\nsteps = 99");
        assert!(
            short.contains("fewer than the 100 updates") && short.contains("to at least 100"),
            "{short}"
        );
        // As many examples in larger batches are no shorter.
        assert!(
            changed("[training]\nsteps = 100\n[full.training]\nsteps = 50\nbatch = 16").is_ok()
        );
        assert!(
            error("[full]\nmetric = \"bf1\"").contains("task.full.metric: full training shares")
        );
        assert!(error("full = 3").contains("task.full: expected a table"));
        assert!(error("[full.training]\nstep = 3").contains("step"));
        assert!(
            error("[full.training]\nbatch = 1").contains("in full training: task.training.batch")
        );
    }

    #[test]
    fn weights_of_a_preset_go_with_its_backbone() {
        let weights = |text: &str, schedule| {
            let mut settings = changed(text).unwrap();
            let again = changed(&settings.to_toml()).unwrap();
            assert_eq!(again, settings, "{text}");
            // Words are no paths, which a run makes absolute.
            let paths = settings.paths().count();
            let FamilySettings::Segmentation(settings) = settings.of(schedule) else {
                panic!("digits are segmented")
            };
            (settings.network.weights.clone(), paths)
        };
        let file = Weights::File("a/b.pth".into());
        for (text, expected) in [
            ("", Weights::Digits),
            ("name = \"deeplabv3plus-slim\"", Weights::Digits),
            ("name = \"pspnet-resnet18\"", Weights::Random),
            ("weights = \"random\"", Weights::Random),
            ("weights = \"a/b.pth\"", file.clone()),
            ("name = \"pspnet-resnet18\"\nweights = \"a/b.pth\"", file),
        ] {
            let is_file = usize::from(matches!(expected, Weights::File(_)));
            let of_both = weights(&format!("[network]\n{text}"), Schedule::Proxy);
            assert_eq!(of_both, (expected.clone(), 2 * is_file), "{text}");
            let of_full = weights(&format!("[full.network]\n{text}"), Schedule::Full);
            assert_eq!(of_full, (expected, is_file), "{text}");
        }
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
        let weights = error("[network]\nweights = \"digit\"");
        assert!(
            weights.contains("weights \"digit\": expected \"random\", \"digits\" or a file"),
            "{weights}"
        );
    }
}
