//! Settings from all their places: defaults, then the file, then `--set`, then the flags.

use std::path::Path;

use anyhow::Result;
use autoloss_data::DataError;
use autoloss_program::ProgramSettings;
use autoloss_search::{RunInfo, Settings, Task, key_value, parse_toml, set_key};
use autoloss_vision::device;
use autoloss_vision::tasks::{SetupError, TaskName, TaskSettings, VisionTask, utf8};
use toml::{Table, Value};

use crate::args::{Preset, ProgramArguments, TaskArguments, WorkerArguments};
use crate::choice::{TaskChoice, open_program};
use crate::crew::Crew;
use crate::exit::usage;
use crate::formula;
use crate::output::say;

/// Everything a run is made of.
pub(crate) struct Config {
    pub(crate) search: Settings,
    pub(crate) task: TaskChoice,
    /// Settings of a search with a program as they were given: what the program and its samples say comes below them.
    given: Option<(Table, Option<Preset>)>,
}

impl Config {
    /// Reads the settings; `flags` are (key, value) pairs that come last.
    pub(crate) fn read(
        arguments: &TaskArguments,
        flags: Vec<(String, Option<Value>)>,
    ) -> Result<Self> {
        Self::read_with(arguments, None, flags)
    }

    /// Reads the settings of a command that trains given losses, of a task or a program.
    pub(crate) fn of_trainings(
        task: &TaskArguments,
        program: &ProgramArguments,
        workers: &WorkerArguments,
    ) -> Result<Self> {
        let mut flags = Self::of_program(program);
        flags.extend(Self::of_workers(workers)?);
        Self::read(task, flags)
    }

    /// Reads the settings with a preset of the search in place of the task's own settings of a search.
    pub(crate) fn read_with(
        arguments: &TaskArguments,
        preset: Option<Preset>,
        flags: Vec<(String, Option<Value>)>,
    ) -> Result<Self> {
        let mut table = match &arguments.config {
            Some(path) => read_file(path)?,
            None => Table::new(),
        };
        for setting in &arguments.set {
            let (key, value) = Self::setting(setting)?;
            set(&mut table, &key, value)?;
        }
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let net = arguments.net.as_deref();
        let net = net.map(|net| with_backbone(net, arguments.task.as_deref(), &table));
        let data = match &arguments.data {
            Some(path) => Some(Value::String(utf8(path).map_err(usage)?.to_owned())),
            None => None,
        };
        let colors = match &arguments.colors {
            Some(path) => Some(Value::String(utf8(path).map_err(usage)?.to_owned())),
            None => None,
        };
        let of_task = [
            ("task.name", text(&arguments.task)),
            ("task.label_map", text(&arguments.label_map)),
            ("task.colors", colors),
            ("task.metric", text(&arguments.metric)),
            ("task.network.name", text(&net)),
            ("task.device", text(&arguments.device.first().cloned())),
            ("task.data", data),
            (
                "task.classes",
                arguments
                    .classes
                    .clone()
                    .map(|names| Value::Array(names.into_iter().map(Value::String).collect())),
            ),
        ];
        let of_task = of_task.map(|(key, value)| (key.to_owned(), value));
        let of_devices = Self::of_devices(&arguments.device)?;
        for (key, value) in of_task.into_iter().chain(of_devices).chain(flags) {
            if let Some(value) = value {
                set(&mut table, &key, value)?;
            }
        }
        Self::from_table(table, preset)
    }

    /// The flag `--device`, given several times, as settings; each must be there before anything begins.
    fn of_devices(names: &[String]) -> Result<Vec<(String, Option<Value>)>> {
        for name in names {
            device::named(name).map_err(usage)?;
        }
        if names.len() < 2 {
            return Ok(Vec::new());
        }
        let devices = names.iter().cloned().map(Value::String).collect();
        Ok(vec![
            ("search.devices".to_owned(), Some(Value::Array(devices))),
            (
                "search.executor".to_owned(),
                Some(Value::String("processes".to_owned())),
            ),
        ])
    }

    /// Key and value of `--set KEY=VALUE`.
    pub(crate) fn setting(text: &str) -> Result<(String, Value)> {
        key_value(text).map_err(|error| usage(format!("--set {error}")))
    }

    /// The settings given by (key, value) pairs on top of the defaults; later ones win.
    pub(crate) fn of(settings: Vec<(String, Value)>) -> Result<Self> {
        let mut table = Table::new();
        for (key, value) in settings {
            set(&mut table, &key, value)?;
        }
        Self::from_table(table, None)
    }

    /// The settings that a run was made with.
    pub(crate) fn of_run(dir: &Path, info: &RunInfo) -> Result<Self> {
        let table = parse_toml(&info.task_settings).map_err(|error| {
            let dir = dir.display();
            anyhow::anyhow!("{dir}: the stored settings of the task: {error}")
        })?;
        Ok(Self {
            search: info.settings.clone(),
            task: TaskChoice::from_table(&table)?,
            given: None,
        })
    }

    fn from_table(table: Table, preset: Option<Preset>) -> Result<Self> {
        let given = table.clone();
        let own = Table::new();
        let (task, search) = TaskChoice::configured(table, preset.map(Preset::toml), &own)?;
        Ok(Self {
            given: task.vision().is_none().then_some((given, preset)),
            search,
            task,
        })
    }

    /// The flags `--fix BRANCH=LOSS` as settings.
    pub(crate) fn fixed(flags: &[String]) -> Result<Vec<(String, Option<Value>)>> {
        let setting = |flag: &String| {
            let (branch, formula) = formula::fixed(flag)?;
            Ok((
                format!("search.fixed.{branch}"),
                Some(Value::String(formula)),
            ))
        };
        let settings = flags.iter().map(setting).collect::<Result<Vec<_>>>()?;
        for (i, (key, _)) in settings.iter().enumerate() {
            if settings[..i].iter().any(|(other, _)| other == key) {
                let branch = key.trim_start_matches("search.fixed.");
                return Err(usage(format!("--fix: {branch} is given twice")));
            }
        }
        Ok(settings)
    }

    /// The flag `--NAME` with a whole number as the setting `search.NAME`.
    pub(crate) fn integer(name: &str, value: Option<u64>) -> Result<(String, Option<Value>)> {
        let value = value.map(i64::try_from).transpose();
        let value = value.map_err(|_| {
            usage(format!(
                "--{name}: too large, expected at most {}",
                i64::MAX
            ))
        })?;
        Ok((format!("search.{name}"), value.map(Value::Integer)))
    }

    /// The flag `--workers` as a setting.
    pub(crate) fn workers(workers: Option<usize>) -> Result<(String, Option<Value>)> {
        let value = workers.map(i64::try_from).transpose();
        let value = value.map_err(|_| usage("--workers: expected at most 1024"))?;
        Ok(("search.workers".to_owned(), value.map(Value::Integer)))
    }

    /// The flag `--evaluator` as settings.
    pub(crate) fn of_program(flags: &ProgramArguments) -> Vec<(String, Option<Value>)> {
        let settings = flags.evaluator.as_ref().map(|command| {
            [
                ("task.name", ProgramSettings::NAME),
                ("task.command", command),
            ]
        });
        let setting = |(key, value): (&str, &str)| {
            let value = Value::String(value.to_owned());
            (key.to_owned(), Some(value))
        };
        settings.into_iter().flatten().map(setting).collect()
    }

    /// The flags about workers as settings.
    pub(crate) fn of_workers(flags: &WorkerArguments) -> Result<Vec<(String, Option<Value>)>> {
        let executor = flags.executor.clone().map(Value::String);
        Ok(vec![
            Self::workers(flags.workers)?,
            ("search.executor".to_owned(), executor),
        ])
    }

    /// The workers for trainings of the opened task.
    pub(crate) fn crew(&self, task: &dyn Task) -> Result<Crew> {
        Crew::new(&self.search.search, &self.task, task)
    }

    /// The task, with its data opened and checked.
    pub(crate) fn open_task(&self) -> Result<Box<dyn Task>> {
        match &self.task {
            TaskChoice::Vision(settings) => Ok(open_vision(settings.clone())?),
            TaskChoice::Program(settings) => Ok(Box::new(open_program(settings)?)),
        }
    }

    /// The task, opened for screening: settings that follow from a program and its samples are fitted to them.
    pub(crate) fn open_to_screen(&mut self) -> Result<Box<dyn Task>> {
        let TaskChoice::Program(settings) = &self.task else {
            return self.open_task();
        };
        let task = open_program(settings)?;
        if let Some((given, preset)) = self.given.take() {
            let own = task.search_settings();
            let is_given = |key: &str| {
                let mut sections = given
                    .values()
                    .chain(own.values())
                    .filter_map(Value::as_table);
                sections.any(|section| section.contains_key(key))
            };
            let preset = preset.map(Preset::toml);
            self.search = TaskChoice::configured(given.clone(), preset, own)?.1;
            self.search.fit(&task, is_given)?;
            self.search.validate().map_err(usage)?;
        }
        Ok(Box::new(task))
    }
}

/// Opens a task and says what was read: a line a set, and warnings. What is wrong with a name or a
/// setting is a usage error.
fn open_vision(settings: TaskSettings) -> Result<Box<dyn VisionTask>> {
    let task = open_silently(settings)?;
    if let Some(note) = task.note() {
        say!("{note}");
    }
    let summary = task.summary()?;
    for set in &summary.sets {
        say!("{}", set.line());
    }
    for warning in &summary.warnings {
        say!("warning: {warning}");
    }
    Ok(task)
}

/// Opens a task without a word.
pub(crate) fn open_silently(settings: TaskSettings) -> Result<Box<dyn VisionTask>> {
    let device = device::named(settings.device()).map_err(usage)?;
    settings.open(&device).map_err(|error| match error {
        SetupError::Data(error @ DataError::Setting { .. }) => usage(error),
        SetupError::Data(error) => anyhow::Error::new(error),
        other => usage(other),
    })
}

/// A network's name; one without a backbone, such as `pspnet`, keeps the backbone of the settings.
fn with_backbone(net: &str, task: Option<&str>, settings: &Table) -> String {
    let network = |task: &Table| -> Option<String> {
        let name = task.get("network")?.get("name")?.as_str()?;
        Some(name.to_owned())
    };
    let given = settings.get("task").and_then(Value::as_table);
    let name = task.or_else(|| given?.get("name")?.as_str());
    let preset = || -> Option<Table> {
        let name: TaskName = name.unwrap_or(TaskName::Digits.name()).parse().ok()?;
        Some(name.preset())
    };
    let known = given.and_then(network).or_else(|| network(&preset()?));
    match known.as_deref().and_then(|known| known.split_once('-')) {
        Some((_, backbone)) if !net.contains('-') => format!("{net}-{backbone}"),
        _ => net.to_owned(),
    }
}

fn read_file(path: &Path) -> Result<Table> {
    let wrong = |what: String| usage(format!("{}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        wrong(format!(
            "line {line}: not a text in UTF-8; save it in that encoding"
        ))
    })?;
    parse_toml(&text).map_err(wrong)
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<()> {
    set_key(table, key, value).map_err(|error| usage(format!("--set {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_search::{Branches, Schedule};

    #[test]
    fn the_default_file_is_the_default() {
        for task in TaskName::ALL {
            let mut table: Table = toml::from_str(&task.commented_preset()).unwrap();
            if !task.is_embedded() {
                set(&mut table, "task.data", Value::String("x".to_owned())).unwrap();
            }
            let config = Config::from_table(table, None).unwrap();
            let want = Settings::from_table(task.search_preset()).unwrap();
            assert_eq!(config.search, want);
            assert_eq!(config.task.vision().unwrap().name(), task);
        }
    }

    #[test]
    fn the_papers_preset_stands_in_place_of_a_tasks_settings_and_below_the_users() {
        for task in TaskName::ALL.into_iter().filter(|task| task.is_embedded()) {
            let table = |text: &str| {
                let text = format!("task.name = \"{task}\"\n{text}");
                toml::from_str(&text).unwrap()
            };
            let paper = Config::from_table(table(""), Some(Preset::Paper)).unwrap();
            let (search, screening) = (&paper.search.search, &paper.search.screening);
            assert_eq!(
                (search.choices, search.initial, search.population),
                (1, 20, 2500)
            );
            assert_eq!((search.tournament, screening.threshold), (0.05, 0.6));
            assert_eq!(screening.branches, Branches::Together);
            let own = table("search.initial = 7");
            let own = Config::from_table(own, Some(Preset::Paper)).unwrap();
            assert_eq!(
                (own.search.search.initial, own.search.search.choices),
                (7, 1)
            );
        }
    }

    #[test]
    fn a_tasks_number_of_choices_is_for_evolution() {
        let choices = |text: &str| {
            let table = toml::from_str(&format!("task.name = \"digits-detection\"\n{text}"));
            Config::from_table(table.unwrap(), None)
                .unwrap()
                .search
                .search
                .choices
        };
        assert_eq!(choices(""), 30);
        assert_eq!(choices("search.strategy = \"evolution\""), 30);
        assert_eq!(choices("search.strategy = \"random\""), 1);
        assert_eq!(
            choices("search.strategy = \"random\"\nsearch.choices = 7"),
            7
        );
    }

    #[test]
    fn a_network_without_backbone_keeps_that_of_the_settings() {
        let settings: Table =
            toml::from_str("[task.network]\nname = \"deeplabv3plus-resnet50\"").unwrap();
        for (net, task, settings, want) in [
            ("pspnet", None, &Table::new(), "pspnet-slim"),
            ("pspnet", None, &settings, "pspnet-resnet50"),
            ("pspnet-resnet18", None, &settings, "pspnet-resnet18"),
            (
                "fasterrcnn",
                Some("coco-detection"),
                &Table::new(),
                "fasterrcnn-slim",
            ),
            ("pspnet", Some("nothing"), &Table::new(), "pspnet"),
        ] {
            assert_eq!(with_backbone(net, task, settings), want);
        }
    }

    #[test]
    fn single_settings_are_set() {
        let mut table = Table::new();
        for (key, text) in [
            ("task.training.steps", "7"),
            ("task.metric", "bf1"),
            ("screening.threshold", "0.5"),
        ] {
            set(&mut table, key, key_value(&format!("={text}")).unwrap().1).unwrap();
        }
        let config = Config::from_table(table.clone(), None).unwrap();
        assert_eq!(
            config
                .task
                .vision()
                .unwrap()
                .training(Schedule::Proxy)
                .steps,
            7
        );
        assert_eq!(config.task.vision().unwrap().metric(), "bf1");
        assert_eq!(config.search.screening.threshold, 0.5);
        assert!(set(&mut table, "task.metric.x", Value::Integer(1)).is_err());
        assert!(Config::from_table(toml::from_str("typo = 1").unwrap(), None).is_err());
    }
}
