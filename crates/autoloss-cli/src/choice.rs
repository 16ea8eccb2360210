//! The task of a command: one of ours, or any program.

use std::path::Path;

use anyhow::Result;
use autoloss_program::{ProgramError, ProgramSettings, ProgramTask};
use autoloss_search::{
    Place, ProcessSettings, SearchSettings, Settings, Task, add_defaults, resolve,
};
use autoloss_vision::device::is_processor;
use autoloss_vision::tasks::{Configuration, TaskSettings};
use toml::{Table, Value};

use crate::exit::usage;

/// Settings of a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TaskChoice {
    Vision(TaskSettings),
    Program(ProgramSettings),
}

impl TaskChoice {
    /// Settings of the task and of the search from one table; `preset` as for [`Configuration::from_table`], and `own`
    /// the settings that a program gives for its task, which come below the others.
    pub(crate) fn configured(
        mut table: Table,
        preset: Option<&str>,
        own: &Table,
    ) -> Result<(Self, Settings)> {
        let task = match table.get("task") {
            Some(Value::Table(task)) if is_program(task) => task.clone(),
            _ => {
                let all = Configuration::from_table(table, preset).map_err(usage)?;
                return Ok((Self::Vision(all.task), all.search));
            }
        };
        table.remove("task");
        let mut defaults: Table = toml::from_str(preset.unwrap_or_default())?;
        let search = defaults
            .entry("search")
            .or_insert_with(|| Table::new().into());
        if let Value::Table(search) = search {
            // The trainings of a program are made by processes of its own.
            search.insert("executor".to_owned(), Value::try_from(Place::Processes)?);
        }
        add_defaults(&mut table, defaults);
        add_defaults(&mut table, own.clone());
        if preset.is_none() {
            // Its metric may begin anywhere.
            let normalise = Table::from_iter([("normalise".to_owned(), true.into())]);
            let screening = Table::from_iter([("screening".to_owned(), normalise.into())]);
            add_defaults(&mut table, screening);
        }
        let mut search = Settings::from_table(table).map_err(usage)?;
        resolve::resolve_fixed(&mut search.search).map_err(usage)?;
        let mut task = program(task)?;
        // A run can be gone on with from another folder.
        let folder = task.folder.unwrap_or_default();
        task.folder = Some(std::path::absolute(Path::new(".").join(folder))?);
        Ok((Self::Program(task), search))
    }

    /// The settings that a run was made with.
    pub(crate) fn from_table(table: &Table) -> Result<Self> {
        Ok(match is_program(table) {
            true => Self::Program(program(table.clone())?),
            false => Self::Vision(TaskSettings::from_table(table)?),
        })
    }

    /// The settings as a table `task`.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Vision(settings) => settings.to_toml(),
            Self::Program(settings) => settings.to_toml(),
        }
    }

    /// The settings of one of our tasks.
    pub(crate) const fn vision(&self) -> Option<&TaskSettings> {
        match self {
            Self::Vision(settings) => Some(settings),
            Self::Program(_) => None,
        }
    }

    /// The settings of one of our tasks, for a command that trains no others.
    pub(crate) fn need_vision(&self, command: &str) -> Result<&TaskSettings> {
        self.vision().ok_or_else(|| {
            usage(format!(
                "{command} is for the tasks of `--task`; the data and networks of a program are its own"
            ))
        })
    }

    /// The worker processes of a search.
    pub(crate) fn processes(
        &self,
        search: &SearchSettings,
        task: &dyn Task,
    ) -> Result<ProcessSettings> {
        let count = search.training_count();
        let device = |n: usize, own: &str| match search.devices.as_slice() {
            [] => own.to_owned(),
            devices => devices[n % devices.len()].clone(),
        };
        let (program, arguments, folder, settings, shares_cores) = match self {
            Self::Vision(settings) => {
                let devices: Vec<String> =
                    (0..count).map(|n| device(n, settings.device())).collect();
                let on = |device: &String| settings.clone().on(device).to_toml();
                (
                    std::env::current_exe()?,
                    vec!["worker".into()],
                    None,
                    devices.iter().map(on).collect(),
                    devices.iter().all(|device| is_processor(device)),
                )
            }
            Self::Program(settings) => {
                let command = settings.command().map_err(usage)?;
                let (program, arguments) = command.split_first().expect("it is not empty");
                (
                    program.into(),
                    arguments.iter().map(Into::into).collect(),
                    settings.folder.clone(),
                    (0..count).map(|n| device(n, "")).collect(),
                    true,
                )
            }
        };
        Ok(ProcessSettings {
            program,
            arguments,
            folder,
            settings,
            fingerprint: task.fingerprint(),
            limit: search.trial_time.map(std::time::Duration::from_secs_f64),
            shares_cores,
        })
    }
}

fn is_program(task: &Table) -> bool {
    task.get("name").and_then(Value::as_str) == Some(ProgramSettings::NAME)
}

fn program(table: Table) -> Result<ProgramSettings> {
    ProgramSettings::from_table(table).map_err(usage)
}

/// Starts a program as a task.
pub(crate) fn open_program(settings: &ProgramSettings) -> Result<ProgramTask> {
    ProgramTask::open(settings).map_err(|error| match error {
        ProgramError::Settings(_) => usage(error),
        ProgramError::Program { .. } => error.into(),
    })
}
