//! A task with both of its trainings: the proxy and full training.

use autoloss_data::{DataError, SetSummary, Summary};
use autoloss_expr::{Loss, NativeLoss, ZooLoss};
use autoloss_search::{
    BranchSpec, Evaluation, Interrupt, Job, Reporter, Sample, Schedule, Task, TaskError,
};
use burn::tensor::Device;

use super::errors::SetupError;
use super::keys::FamilyKeys;
use crate::learner::{self, Learner};

/// A vision task. Where a job keeps files, they are `checkpoint-N.*`, `checkpoint.json`, `best.safetensors` and
/// `network.safetensors`.
pub trait VisionTask: Task {
    /// Remark for the user before a run, such as a setting that was adapted to the data.
    fn note(&self) -> Option<String>;

    /// Summary of the data: images, and how often each class occurs, set by set.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn summary(&self) -> Result<Summary, DataError>;
}

/// A task with the settings of one training.
pub(super) trait OneTraining: Learner + Sized {
    /// Its settings.
    type Settings: FamilyKeys;
    /// Its data, which are shared by clones.
    type Data: Clone;

    /// Opens and checks the data.
    fn open(settings: &Self::Settings) -> Result<Self::Data, SetupError>;

    /// The task on open data; builds the network once to see that it can be built.
    fn over(
        settings: Self::Settings,
        data: Self::Data,
        device: &Device,
    ) -> Result<Self, SetupError>;

    /// Its settings.
    fn settings(&self) -> &Self::Settings;

    /// The branches that a loss needs a tree for.
    fn branches(&self) -> &[BranchSpec];

    /// Screening samples, see [`Task::samples`].
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError>;

    /// Surrogate loss of the metric, see [`Task::surrogate`].
    fn surrogate(&self) -> Option<NativeLoss> {
        None
    }

    /// Hand-written losses, see [`Task::baselines`].
    fn baselines(&self) -> Vec<(String, Loss)>;

    /// The task alone with its data.
    #[cfg(test)]
    fn new(settings: Self::Settings, device: &Device) -> Result<Self, SetupError> {
        settings.check()?;
        let data = Self::open(&settings)?;
        Self::over(settings, data, device)
    }
}

/// Hand-written losses of a task with one branch.
pub(super) fn zoo_baselines<const N: usize>(
    branch: &BranchSpec,
    names: [&str; N],
) -> Vec<(String, Loss)> {
    let zoo = names.into_iter().filter_map(ZooLoss::from_name);
    zoo.map(|zoo| (zoo.name.to_owned(), Loss::single(&branch.name, zoo.tree())))
        .collect()
}

/// A task with its proxy and its full training.
pub(super) struct Schedules<T> {
    proxy: T,
    full: T,
}

impl<T: OneTraining> Schedules<T> {
    /// Opens the task; both trainings share the data where their settings allow it.
    ///
    /// # Errors
    /// A fault of data, network or metric, named.
    pub(super) fn open(
        proxy: T::Settings,
        full: T::Settings,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let is_shared = proxy.has_data_of(&full);
        proxy.check()?;
        let data = T::open(&proxy)?;
        let proxy = T::over(proxy, data.clone(), device)?;
        if !is_shared {
            full.check()?;
        }
        let data = match is_shared {
            true => data,
            false => T::open(&full)?,
        };
        let full = T::over(full, data, device)?;
        Ok(Self { proxy, full })
    }

    /// Both trainings changed by a function.
    #[cfg(test)]
    pub(super) fn map(self, f: impl Fn(T) -> T) -> Self {
        Self {
            proxy: f(self.proxy),
            full: f(self.full),
        }
    }

    fn of(&self, schedule: Schedule) -> &T {
        match schedule {
            Schedule::Proxy => &self.proxy,
            Schedule::Full => &self.full,
        }
    }
}

impl<T: OneTraining> Task for Schedules<T> {
    fn name(&self) -> &str {
        self.proxy.settings().common().name.name()
    }

    fn metric(&self) -> &str {
        self.proxy.searched_metric()
    }

    fn branches(&self) -> &[BranchSpec] {
        self.proxy.branches()
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.proxy.samples(count, seed)
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        interrupt: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let task = self.of(job.schedule);
        learner::evaluate(task, loss, job, interrupt, report)
    }

    fn expected_seconds(&self, schedule: Schedule) -> Result<Option<f64>, TaskError> {
        let usual = self.proxy.baselines().into_iter().next();
        let seconds = usual.map(|(_, loss)| learner::expected_seconds(self.of(schedule), &loss));
        seconds.transpose()
    }

    fn surrogate(&self) -> Option<NativeLoss> {
        self.proxy.surrogate()
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.proxy.baselines()
    }

    /// The task, the version of the program and the summary of the data, in words: a difference can be read.
    fn fingerprint(&self) -> String {
        let data = match self.proxy.summary() {
            Ok(summary) => {
                let lines: Vec<String> = summary.sets.iter().map(SetSummary::line).collect();
                lines.join("; ")
            }
            Err(error) => error.to_string(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let (name, metric) = (self.name(), self.metric());
        format!("{name} for {metric}, autoloss {version}: {data}")
    }
}

impl<T: OneTraining> VisionTask for Schedules<T> {
    fn note(&self) -> Option<String> {
        let (proxy, full) = (self.proxy.note(), self.full.note());
        match full.filter(|full| Some(full) != proxy.as_ref()) {
            Some(full) => {
                let proxy = proxy.map_or_else(String::new, |proxy| format!("{proxy}; "));
                Some(format!("{proxy}in full training {full}"))
            }
            None => proxy,
        }
    }

    fn summary(&self) -> Result<Summary, DataError> {
        self.proxy.summary()
    }
}
