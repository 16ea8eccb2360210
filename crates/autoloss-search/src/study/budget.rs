//! Expected cost of a run: proxy trainings, and the full trainings at its end, for which time is kept.

use super::trial::Trained;
use crate::error::SearchError;
use crate::event::{End, Fate};
use crate::settings::SearchSettings;
use crate::task::{Schedule, Task, TaskError};

/// Expected cost of a run, before it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Seconds of one proxy training, where the task can tell.
    pub proxy: Option<f64>,
    /// Seconds of one full training, where the task can tell.
    pub full: Option<f64>,
    /// Full trainings by which one of the finalists is chosen.
    pub finalists: usize,
    /// Full trainings of the final comparison.
    pub comparison: usize,
    /// Trainings that run side by side.
    pub workers: usize,
}

/// Expected seconds of one training by a schedule, where the task can tell.
///
/// # Errors
/// If the task cannot make a training.
pub fn expected_seconds(task: &dyn Task, schedule: Schedule) -> Result<Option<f64>, SearchError> {
    let seconds = task.expected_seconds(schedule);
    seconds.map_err(|error| match error {
        TaskError::Interrupted => SearchError::Interrupted,
        TaskError::Failed(reason) => SearchError::Training {
            task: task.name().to_owned(),
            schedule,
            reason,
        },
    })
}

/// Duration of trainings that were made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Their seconds, summed.
    pub seconds: f64,
    /// Their number.
    pub count: u64,
}

impl Measured {
    /// Trainings that an expected duration counts as: the first real ones, which share the machine with whatever
    /// else begins, do not decide alone how much time is kept.
    const PRIOR: f64 = 10.0;

    /// Adds a training.
    pub fn add(&mut self, seconds: f64) {
        self.seconds += seconds;
        self.count += 1;
    }

    /// Mean seconds; `None` before the first training.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }

    /// Ratio of the measured to the expected duration of a training.
    fn slowdown(&self, expected: f64) -> f64 {
        (Self::PRIOR + self.seconds / expected) / (Self::PRIOR + self.count as f64)
    }
}

impl Plan {
    /// Expected seconds of the next proxy training.
    #[must_use]
    pub fn proxy_seconds(&self, made: &Measured) -> f64 {
        made.mean().or(self.proxy).unwrap_or(0.0)
    }

    /// The expected cost of a run with these settings, `workers` trainings side by side.
    ///
    /// # Errors
    /// If the task cannot make a training.
    pub fn new(
        task: &dyn Task,
        settings: &SearchSettings,
        workers: usize,
    ) -> Result<Self, SearchError> {
        let (finalists, baselines) = (settings.final_losses, task.baselines().len());
        Ok(Self {
            proxy: expected_seconds(task, Schedule::Proxy)?,
            full: expected_seconds(task, Schedule::Full)?,
            finalists: match finalists {
                0 | 1 => 0,
                several => several * settings.finalist_seeds,
            },
            comparison: match finalists {
                0 => 0,
                _ => (1 + baselines) * settings.final_seeds,
            },
            workers,
        })
    }

    /// Full trainings in all.
    #[must_use]
    pub const fn full_trainings(&self) -> usize {
        self.finalists + self.comparison
    }

    /// Expected seconds of all full trainings. Proxy trainings that were made correct the expectation by their ratio
    /// to it.
    #[must_use]
    pub fn final_seconds(&self, made: &Measured) -> f64 {
        let full = match (self.full, self.proxy, made.mean()) {
            (Some(full), Some(proxy), _) if proxy > 0.0 => full * made.slowdown(proxy),
            (Some(full), ..) => full,
            (None, _, measured) => measured.unwrap_or(0.0),
        };
        let rounds = self.finalists.div_ceil(self.workers) + self.comparison.div_ceil(self.workers);
        rounds as f64 * full
    }

    /// Seconds that a run needs at the least: one proxy training and all full trainings.
    #[must_use]
    pub fn least_seconds(&self) -> f64 {
        self.proxy.unwrap_or(0.0) + self.final_seconds(&Measured::default())
    }

    /// Refuses a limit of time that holds neither one proxy training nor the full trainings at the end.
    ///
    /// # Errors
    /// The time that is needed.
    pub fn check(&self, limit: Option<f64>) -> Result<(), SearchError> {
        match limit {
            Some(limit) if self.least_seconds() > limit => Err(SearchError::Budget {
                limit,
                needed: self.least_seconds(),
                trainings: self.full_trainings(),
                each: self.full.unwrap_or(0.0),
                workers: self.workers,
            }),
            _ => Ok(()),
        }
    }
}

/// Limits of a search, and its use of them.
pub(super) struct Budget {
    evaluations: Option<u64>,
    /// Seconds of the whole run.
    time: Option<f64>,
    plan: Plan,
    /// Trainings that were begun and not withdrawn.
    begun: u64,
    finished: Measured,
}

impl Budget {
    pub(super) const fn new(search: &SearchSettings, plan: Plan) -> Self {
        Self {
            evaluations: search.evaluations,
            time: search.time,
            plan,
            begun: 0,
            finished: Measured {
                seconds: 0.0,
                count: 0,
            },
        }
    }

    /// Takes up the trainings of an earlier part of the run.
    pub(super) const fn take_up(&mut self, begun: u64, finished: Measured) {
        self.begun = begun;
        self.finished = finished;
    }

    /// A training begins.
    pub(super) const fn begin(&mut self) {
        self.begun += 1;
    }

    /// A training that was begun is not made.
    pub(super) const fn withdraw(&mut self) {
        self.begun = self.begun.saturating_sub(1);
    }

    /// A training has a score.
    pub(super) fn trained(&mut self, trained: &Trained) {
        if trained.fate == Fate::Scored {
            self.finished.add(trained.seconds);
        }
    }

    /// Reason for which no further training may begin, if there is one.
    pub(super) fn used_up(&self, elapsed: f64) -> Option<End> {
        if self.evaluations.is_some_and(|n| self.begun >= n) {
            return Some(End::Evaluations);
        }
        self.is_late(elapsed).then_some(End::Time)
    }

    /// Share of the search that is over, by its number of trainings or its time, whichever is more; 0 without a
    /// limit.
    pub(super) fn used_share(&self, elapsed: f64) -> f64 {
        let by_number = self.evaluations.map(|n| self.begun as f64 / n as f64);
        let by_time = self.time.map(|limit| {
            let last = self.plan.final_seconds(&self.finished);
            elapsed / (limit - last).max(f64::MIN_POSITIVE)
        });
        let used = by_number.into_iter().chain(by_time);
        used.fold(0.0, f64::max)
    }

    /// Whether the rest of the time does not hold another training and the full trainings at the end.
    pub(super) fn is_late(&self, elapsed: f64) -> bool {
        let needed =
            self.plan.proxy_seconds(&self.finished) + self.plan.final_seconds(&self.finished);
        self.time.is_some_and(|limit| elapsed + needed > limit)
    }

    /// Whether no training may begin beyond a number of further ones.
    pub(super) fn is_last(&self, more: usize) -> bool {
        self.evaluations
            .is_some_and(|n| self.begun + more as u64 >= n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            proxy: Some(4.0),
            full: Some(40.0),
            finalists: 6,
            comparison: 15,
            workers: 2,
        }
    }

    #[test]
    fn the_end_is_kept_in_whole_rounds_of_the_workers() {
        // 3 rounds of finalists, 8 of the comparison.
        let made = |seconds, count| Measured { seconds, count };
        assert_eq!(plan().final_seconds(&made(0.0, 0)), 11.0 * 40.0);
        // Twice as slow as expected, with as many trainings as the expectation counts for.
        assert_eq!(plan().final_seconds(&made(80.0, 10)), 11.0 * 60.0);
        // A slow first training changes little, many slow ones decide.
        assert!(plan().final_seconds(&made(8.0, 1)) < 11.0 * 44.0);
        assert!(plan().final_seconds(&made(8000.0, 1000)) > 11.0 * 79.0);
        let unknown = Plan {
            full: None,
            ..plan()
        };
        assert_eq!(unknown.final_seconds(&made(0.0, 0)), 0.0);
        assert_eq!(unknown.final_seconds(&made(10.0, 2)), 11.0 * 5.0);
    }

    #[test]
    fn the_used_share_is_that_of_the_scarcer_limit() {
        let share = |evaluations, time, elapsed| {
            let search = SearchSettings {
                evaluations,
                time,
                ..SearchSettings::default()
            };
            let mut budget = Budget::new(&search, plan());
            (0..5).for_each(|_| budget.begin());
            budget.used_share(elapsed)
        };
        assert_eq!(share(Some(20), None, 7.0), 0.25);
        // The end takes 440 of 540 s.
        assert_eq!(share(None, Some(540.0), 50.0), 0.5);
        assert_eq!(share(Some(20), Some(540.0), 50.0), 0.5);
        assert_eq!(share(None, None, 50.0), 0.0);
    }

    #[test]
    fn a_limit_that_holds_no_evaluation_is_refused_with_what_is_needed() {
        assert!(plan().check(None).is_ok());
        assert!(plan().check(Some(444.0)).is_ok());
        let error = plan().check(Some(443.9)).unwrap_err().to_string();
        assert!(
            error.contains("444 s") && error.contains("21 full trainings"),
            "{error}"
        );
    }
}
