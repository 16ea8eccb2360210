//! Screening of random candidates without a search: what becomes of them, and how fast.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::error::SearchError;
use crate::random::Space;
use crate::screening::{Judgement, Scratch, Screener, Stages};
use crate::seed::{Stream, generator};
use crate::settings::Settings;
use crate::task::{Interrupt, Task};

/// A random candidate that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// Its number; number and seed determine it.
    pub number: u64,
    /// Its formula.
    pub formula: String,
    /// Its g; `None` without rejection.
    pub g: Option<f64>,
}

/// What became of some random candidates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScreenReport {
    /// Candidates drawn; fewer than asked for after an interrupt.
    pub drawn: u64,
    /// Hopeless by their inputs alone.
    pub structural: u64,
    /// Value or gradient not finite, or gradient zero.
    pub invalid: u64,
    /// g below the threshold.
    pub rejected: u64,
    /// Passed.
    pub passed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Counts and seconds of the stages, summed over the workers.
    pub stages: Stages,
    /// Those that passed, the highest g first, of equal ones the first drawn.
    pub best: Vec<Passed>,
}

impl ScreenReport {
    /// Candidates a minute.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.drawn as f64 * 60.0 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn add(&mut self, other: Self) {
        self.drawn += other.drawn;
        self.structural += other.structural;
        self.invalid += other.invalid;
        self.rejected += other.rejected;
        self.passed += other.passed;
        self.stages.add(&other.stages);
        self.best.extend(other.best);
    }
}

/// Screens `count` random candidates on `workers` threads.
///
/// Candidate n is a function of seed and n alone and a verdict one of the candidate, so the counts
/// do not depend on the number of workers. `on_progress` is told the number drawn so far.
///
/// # Errors
/// If the settings are out of range or the task has no samples.
pub fn screen_random(
    task: &dyn Task,
    settings: &Settings,
    count: u64,
    workers: usize,
    seed: u64,
    interrupt: &Interrupt,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<ScreenReport, SearchError> {
    settings.validate()?;
    let space = Space::new(&settings.search, task.branches())?;
    let screener = Screener::new(task, settings)?;
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let work = || {
        let mut report = ScreenReport::default();
        let mut scratch = Scratch::default();
        while !interrupt.is_set() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let drawing = Instant::now();
            let loss = space.random_loss(&mut generator(seed, Stream::Screening, number));
            scratch.stages.structural.seconds += drawing.elapsed().as_secs_f64();
            let verdict = screener.screen(&loss, &mut scratch);
            report.drawn += 1;
            match verdict.judgement {
                Judgement::Structural => report.structural += 1,
                Judgement::Invalid => report.invalid += 1,
                Judgement::Rejected => report.rejected += 1,
                Judgement::Passed => {
                    report.passed += 1;
                    report.best.push(Passed {
                        number,
                        formula: loss.to_string(),
                        g: verdict.g,
                    });
                }
            }
            on_progress(number + 1);
        }
        report.stages = scratch.stages;
        report
    };
    let mut total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(work)).collect();
        let mut total = ScreenReport::default();
        for thread in threads {
            match thread.join() {
                Ok(report) => total.add(report),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
        total
    });
    total.seconds = start.elapsed().as_secs_f64();
    let g = |passed: &Passed| passed.g.unwrap_or(f64::NEG_INFINITY);
    total
        .best
        .sort_by(|a, b| g(b).total_cmp(&g(a)).then(a.number.cmp(&b.number)));
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    #[test]
    fn the_counts_do_not_depend_on_the_number_of_workers() {
        let mut settings = Settings::default();
        settings.screening.steps = 40;
        settings.screening.step_size = 0.05;
        let run = |workers, seed| {
            let interrupt = Interrupt::default();
            let report = screen_random(
                &Toy::new(),
                &settings,
                1500,
                workers,
                seed,
                &interrupt,
                &|_| {},
            );
            let mut report = report.unwrap();
            assert_eq!(report.stages.structural.count, 1500);
            assert!(report.per_minute() > 0.0);
            report.seconds = 0.0;
            report.stages = Stages::default();
            report
        };
        let one = run(1, 3);
        assert_eq!(one, run(4, 3));
        assert_ne!(one, run(1, 4));
        assert_eq!(
            one.drawn,
            one.structural + one.invalid + one.rejected + one.passed
        );
        assert!(one.passed > 0 && one.best.len() as u64 == one.passed);
        assert!(one.structural > 1200, "{one:?}");
    }

    #[test]
    fn an_interrupt_ends_it() {
        let interrupt = Interrupt::default();
        let stop = |n: u64| {
            if n == 10 {
                interrupt.set();
            }
        };
        let settings = Settings::default();
        let report =
            screen_random(&Toy::new(), &settings, 1 << 40, 2, 0, &interrupt, &stop).unwrap();
        assert!(report.drawn >= 10);
    }
}
