//! The workers of a command: threads, or processes of this program.

use std::time::Duration;

use anyhow::{Context, Result};
use autoloss_search::{Place, ProcessSettings, Processes, SearchSettings, Task, Workers};
use autoloss_vision::device::is_processor;
use autoloss_vision::tasks::TaskSettings;

use crate::exit::usage;

/// The workers that settings ask for.
pub(crate) enum Crew {
    Threads(usize),
    Processes(Processes),
}

impl Crew {
    /// For trainings of a task with these settings; the first process is started.
    ///
    /// # Errors
    /// If the program does not know its own file, or a process refuses to work.
    pub(crate) fn new(
        search: &SearchSettings,
        settings: &TaskSettings,
        task: &dyn Task,
    ) -> Result<Self> {
        let count = search.training_count();
        let device = |n: usize| match search.devices.as_slice() {
            [] => settings.device(),
            devices => &devices[n % devices.len()],
        };
        let on = |device: &str| settings.clone().on(device);
        Ok(match search.executor {
            Place::Threads => Self::Threads(count),
            Place::Processes => Self::Processes(
                Processes::start(ProcessSettings {
                    program: std::env::current_exe().context("the program's own file")?,
                    arguments: vec!["worker".into()],
                    settings: (0..count).map(|n| on(device(n)).to_toml()).collect(),
                    fingerprint: task.fingerprint(),
                    limit: search.trial_time.map(Duration::from_secs_f64),
                    shares_cores: (0..count).all(|n| is_processor(device(n))),
                })
                .map_err(usage)?,
            ),
        })
    }

    pub(crate) const fn workers(&self) -> Workers<'_> {
        match self {
            Self::Threads(count) => Workers::Threads(*count),
            Self::Processes(processes) => Workers::Processes(processes),
        }
    }
}
