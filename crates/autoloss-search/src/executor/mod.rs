//! Executors of trainings: threads of this process, or workers that speak lines of JSON.

mod batch;
mod inbox;
pub(crate) mod protocol;
mod threads;
mod workers;

use std::thread::Scope;

pub use batch::{News, train_all};
pub(crate) use inbox::{Executor, Inbox, Message, TICK};
pub use protocol::{VERSION as WORKER_VERSION, hello};
use threads::Threads;
pub(crate) use threads::pool;
pub use threads::train;
pub use workers::{
    Ear, LastLines, PipedProcess, ProcessSettings, Processes, Worker, WorkerSettings, Workplace,
};

use crate::task::Task;

/// Workers of trainings.
#[derive(Clone, Copy)]
pub enum Workers<'a> {
    /// A number of threads of this process.
    Threads(usize),
    /// Processes.
    Processes(&'a Processes),
}

impl<'a> Workers<'a> {
    /// Trainings that run side by side.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Threads(count) => *count,
            Self::Processes(processes) => processes.count(),
        }
    }

    /// The executor of at most `most` trials side by side.
    pub(crate) fn executor<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        task: &'scope dyn Task,
        most: usize,
        inbox: &Inbox,
    ) -> Box<dyn Executor + 'scope>
    where
        'a: 'scope,
    {
        let most = most.max(1);
        match self {
            Self::Threads(count) => Box::new(Threads::new(scope, task, (*count).min(most), inbox)),
            Self::Processes(processes) => Box::new(processes.stage(task, most, inbox)),
        }
    }
}
