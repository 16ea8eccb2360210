//! A task with both of its trainings: the proxy and full training.

use autoloss_expr::{Loss, NativeLoss};
use autoloss_search::{
    BranchSpec, Evaluation, Interrupt, Job, Reporter, Sample, Schedule, Task, TaskError,
};
use burn::tensor::Device;

use super::{SetupError, VisionTask};
use crate::data::{DataError, SetSummary, Summary};
use crate::learner::Learner;

/// A task of one training, whose data tasks with other settings can share.
pub(super) trait Family: Task + Learner + Sized {
    /// Its settings.
    type Settings;
    /// Its data.
    type Data;

    /// Opens and checks the data, and builds the network once to see that it can be built.
    fn new(settings: Self::Settings, device: &Device) -> Result<Self, SetupError>;

    /// The data, which are not copied.
    fn data(&self) -> Self::Data;

    /// The same with data that are open.
    fn over(
        settings: Self::Settings,
        data: Self::Data,
        device: &Device,
    ) -> Result<Self, SetupError>;

    /// Whether the data of both settings are the same.
    fn same_data(one: &Self::Settings, other: &Self::Settings) -> bool;
}

/// A task with its proxy and its full training.
pub(super) struct Schedules<T> {
    proxy: T,
    full: T,
}

impl<T: Family> Schedules<T> {
    /// Opens the task; both trainings share the data where their settings allow it.
    ///
    /// # Errors
    /// Whatever is wrong with data, network or metric, named.
    pub(super) fn open(
        proxy: T::Settings,
        full: T::Settings,
        device: &Device,
    ) -> Result<Self, SetupError> {
        let shared = T::same_data(&proxy, &full);
        let proxy = T::new(proxy, device)?;
        let full = match shared {
            true => T::over(full, proxy.data(), device),
            false => T::new(full, device),
        };
        Ok(Self { proxy, full: full? })
    }
}

impl<T> Schedules<T> {
    fn of(&self, schedule: Schedule) -> &T {
        match schedule {
            Schedule::Proxy => &self.proxy,
            Schedule::Full => &self.full,
        }
    }
}

impl<T: Family> Task for Schedules<T> {
    fn name(&self) -> &str {
        self.proxy.name()
    }

    fn metric(&self) -> &str {
        self.proxy.metric()
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
        task.evaluate_reporting(loss, job, interrupt, report)
    }

    fn expected_seconds(&self, schedule: Schedule) -> Result<Option<f64>, TaskError> {
        self.of(schedule).expected_seconds(schedule)
    }

    fn surrogate(&self) -> Option<NativeLoss> {
        self.proxy.surrogate()
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.proxy.baselines()
    }

    /// The task, the version of the program and the summary of the data, in words: a difference can be read.
    fn fingerprint(&self) -> String {
        let data = match Learner::summary(&self.proxy) {
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

impl<T: Family> VisionTask for Schedules<T> {
    fn note(&self) -> Option<String> {
        let (proxy, full) = (Learner::note(&self.proxy), Learner::note(&self.full));
        match full.filter(|full| Some(full) != proxy.as_ref()) {
            Some(full) => {
                let proxy = proxy.map_or_else(String::new, |proxy| format!("{proxy}; "));
                Some(format!("{proxy}in full training {full}"))
            }
            None => proxy,
        }
    }

    fn summary(&self) -> Result<Summary, DataError> {
        Learner::summary(&self.proxy)
    }
}
