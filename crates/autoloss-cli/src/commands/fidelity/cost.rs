//! Expected cost of the trainings of a panel, corrected by those that were made.

use std::fmt;

use anyhow::Result;
use autoloss_search::{Measured, Schedule, Task, expected_seconds};

use crate::duration::clock;

/// The trainings by one schedule.
#[derive(Clone, Copy, Default)]
struct ScheduleCost {
    /// Expected seconds of one of them, where the task can tell.
    expected: Option<f64>,
    missing: usize,
    made: Measured,
}

impl ScheduleCost {
    /// Mean duration of the trainings that were made, over the expected one.
    fn slowness(&self) -> Option<f64> {
        let expected = self.expected.filter(|seconds| *seconds > 0.0);
        Some(self.made.mean()? / expected?)
    }
}

/// Missing trainings and their expected duration.
pub(super) struct Cost {
    proxy: ScheduleCost,
    full: ScheduleCost,
    workers: usize,
}

impl Cost {
    /// Missing trainings by the proxy and in full, on a number of workers.
    pub(super) fn new([proxy, full]: [usize; 2], workers: usize) -> Self {
        let part = |missing| ScheduleCost {
            missing,
            ..ScheduleCost::default()
        };
        Self {
            proxy: part(proxy),
            full: part(full),
            workers,
        }
    }

    /// Asks the task for the expected seconds of its trainings.
    ///
    /// # Errors
    /// If the task cannot make a training.
    pub(super) fn expect(&mut self, task: &dyn Task) -> Result<()> {
        for schedule in [Schedule::Proxy, Schedule::Full] {
            self.part(schedule).expected = expected_seconds(task, schedule)?;
        }
        Ok(())
    }

    /// Takes in a training that was made.
    pub(super) fn add(&mut self, schedule: Schedule, seconds: f64) {
        let part = self.part(schedule);
        part.made.add(seconds);
        part.missing = part.missing.saturating_sub(1);
    }

    /// Trainings that are missing.
    pub(super) const fn missing(&self) -> usize {
        self.proxy.missing + self.full.missing
    }

    /// Seconds that the missing trainings take, where anything is known. Full trainings of which none was
    /// made yet are expected to be as much slower than expected as those by the proxy.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        let correction = self.proxy.slowness().unwrap_or(1.0);
        let seconds = |part: &ScheduleCost, correction: f64| match part.missing {
            0 => Some(0.0),
            missing => {
                let each = part.made.mean().or(part.expected.map(|s| s * correction))?;
                // A training is on one worker.
                let rounds = (missing as f64 / self.workers.max(1) as f64).max(1.0);
                Some(rounds * each)
            }
        };
        Some(seconds(&self.proxy, 1.0)? + seconds(&self.full, correction)?)
    }

    fn part(&mut self, schedule: Schedule) -> &mut ScheduleCost {
        match schedule {
            Schedule::Proxy => &mut self.proxy,
            Schedule::Full => &mut self.full,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = |part: &ScheduleCost| match part.expected {
            Some(seconds) if seconds < 10.0 => format!(" of about {seconds:.1} s each"),
            Some(seconds) => format!(" of about {seconds:.0} s each"),
            None => String::new(),
        };
        write!(
            f,
            "{} proxy trainings{} and {} full trainings{} on {} worker(s)",
            self.proxy.missing,
            about(&self.proxy),
            self.full.missing,
            about(&self.full),
            self.workers
        )?;
        match self.seconds_left() {
            Some(seconds) => write!(f, ": about {} (minutes:seconds)", clock(seconds)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_what_trainings_take() {
        let mut cost = Cost::new([28, 56], 2);
        assert_eq!(cost.seconds_left(), None);
        (cost.proxy.expected, cost.full.expected) = (Some(3.0), Some(28.0));
        assert_eq!(cost.seconds_left(), Some(14.0 * 3.0 + 28.0 * 28.0));
        assert_eq!(
            cost.to_string(),
            "28 proxy trainings of about 3.0 s each and 56 full trainings of about 28 s each on 2 worker(s): \
             about 13:46 (minutes:seconds)"
        );
        // Twice as slow as expected: full trainings will be, too.
        cost.add(Schedule::Proxy, 6.0);
        assert_eq!(cost.seconds_left(), Some(13.5 * 6.0 + 28.0 * 56.0));
        for _ in 0..27 {
            cost.add(Schedule::Proxy, 6.0);
        }
        cost.add(Schedule::Full, 30.0);
        assert_eq!(cost.seconds_left(), Some(27.5 * 30.0));
        for _ in 0..54 {
            cost.add(Schedule::Full, 30.0);
        }
        // The last one is on one worker.
        assert_eq!(cost.seconds_left(), Some(30.0));
        cost.add(Schedule::Full, 30.0);
        assert_eq!((cost.seconds_left(), cost.missing()), (Some(0.0), 0));
    }
}
