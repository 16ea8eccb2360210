//! The workers of a command: threads, or processes of this program.

use anyhow::Result;
use autoloss_search::{Place, Processes, SearchSettings, Task, Workers};

use crate::choice::TaskChoice;
use crate::exit::usage;

/// The workers that settings ask for.
pub(crate) enum Crew {
    Threads(usize),
    Processes(Box<Processes>),
}

impl Crew {
    /// For trainings of a task with these settings; the first process is started.
    ///
    /// # Errors
    /// If the program does not know its own file, or a process refuses to work.
    pub(crate) fn new(
        search: &SearchSettings,
        settings: &TaskChoice,
        task: &dyn Task,
    ) -> Result<Self> {
        Ok(match search.executor {
            Place::Threads => Self::Threads(search.training_count()),
            Place::Processes => {
                let processes = Processes::start(settings.processes(search, task)?);
                Self::Processes(Box::new(processes.map_err(usage)?))
            }
        })
    }

    pub(crate) const fn workers(&self) -> Workers<'_> {
        match self {
            Self::Threads(count) => Workers::Threads(*count),
            Self::Processes(processes) => Workers::Processes(processes),
        }
    }
}
