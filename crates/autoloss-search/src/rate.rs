//! Screening of random candidates without a search: what becomes of them, and how fast.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use autoloss_expr::Loss;

use crate::error::SearchError;
use crate::random::Space;
use crate::screening::{Flat, Judgement, Pulled, Scratch, Screener, Stages, Verdict};
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

/// How candidates are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Procedure {
    /// As a search does.
    #[default]
    Fast,
    /// In f64, step by step, without any shortcut: seconds a candidate.
    Exact,
    /// Both ways, and compared.
    Compare,
}

/// Which random candidates are screened, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomScreening {
    /// Number of candidates.
    pub count: u64,
    /// Their seed.
    pub seed: u64,
    /// Threads.
    pub workers: usize,
    /// How they are judged.
    pub procedure: Procedure,
}

/// How the fast and the exact verdicts agree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Candidates judged both ways.
    pub candidates: u64,
    /// Of these, candidates that pass exactly.
    pub exact_passed: u64,
    /// Those where one passes and the other does not.
    pub disagreements: Vec<Disagreement>,
}

impl Agreement {
    /// Candidates that pass exactly and do not pass the fast way.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost_ones().count()
    }

    /// Of these, candidates that would pass without shortcuts. The others do not pass in single
    /// precision at all, in which networks are trained: its range or its digits do not do.
    #[must_use]
    pub fn lost_by_shortcuts(&self) -> usize {
        self.lost_ones().filter(|d| d.by_shortcut).count()
    }

    fn lost_ones(&self) -> impl Iterator<Item = &Disagreement> {
        let lost = |d: &&Disagreement| d.exact == Judgement::Passed;
        self.disagreements.iter().filter(lost)
    }
}

/// A candidate whose verdicts differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// Its number.
    pub number: u64,
    /// Its formula.
    pub formula: String,
    /// The fast judgement.
    pub fast: Judgement,
    /// Why it did not pass the fast way.
    pub reason: Option<String>,
    /// g by the fast computation without shortcuts; `None` where a value or gradient is not finite.
    pub fast_g: Option<f64>,
    /// Whether the fast computation without shortcuts agrees with the exact one.
    pub by_shortcut: bool,
    /// The exact judgement.
    pub exact: Judgement,
    /// The exact g.
    pub exact_g: Option<f64>,
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
    /// How both ways agree, if candidates were judged both ways.
    pub agreement: Option<Agreement>,
}

impl ScreenReport {
    /// Candidates a minute.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.drawn as f64 * 60.0 / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn count(&mut self, number: u64, formula: String, judgement: Judgement, g: Option<f64>) {
        self.drawn += 1;
        match judgement {
            Judgement::Structural => self.structural += 1,
            Judgement::Invalid => self.invalid += 1,
            Judgement::Rejected => self.rejected += 1,
            Judgement::Passed => {
                self.passed += 1;
                self.best.push(Passed { number, formula, g });
            }
        }
    }
}

/// Candidates whose stages are gone through together. Large enough that waiting for the last
/// of a batch does not count, small enough for memory and for interrupts.
const BATCH: u64 = 4096;

/// Screens random candidates.
///
/// Candidate n is a function of seed and n alone. The workers go through the stages of a batch
/// of candidates together, and what is looked up is looked up in the candidates' order between two
/// stages: neither counts nor verdicts depend on the number of workers. `on_progress` is told the
/// number screened so far.
///
/// # Errors
/// If the settings are out of range or the task has no samples.
pub fn screen_random(
    task: &dyn Task,
    settings: &Settings,
    what: RandomScreening,
    interrupt: &Interrupt,
    on_progress: &(dyn Fn(u64) + Sync),
) -> Result<ScreenReport, SearchError> {
    settings.validate()?;
    let space = Space::new(&settings.search, task.branches())?;
    let screener = Screener::new(task, settings)?;
    let mut scratches: Vec<Scratch> = (0..what.workers.max(1))
        .map(|_| Scratch::default())
        .collect();
    let mut report = ScreenReport::default();
    let start = Instant::now();
    let batch = Batch {
        space: &space,
        screener: &screener,
        seed: what.seed,
        procedure: what.procedure,
        threshold: settings.screening.threshold,
        interrupt,
    };
    let size = match what.procedure {
        Procedure::Fast => BATCH,
        // Seconds each: what an interrupt costs is to stay small.
        Procedure::Exact | Procedure::Compare => 256,
    };
    for first in (0..what.count).step_by(size as usize) {
        if interrupt.is_set() {
            break;
        }
        let numbers = first..what.count.min(first + size);
        batch.screen(numbers, &mut scratches, &mut report, on_progress);
    }
    report.seconds = start.elapsed().as_secs_f64();
    for scratch in &scratches {
        report.stages.add(&scratch.stages);
    }
    let g = |passed: &Passed| passed.g.unwrap_or(f64::NEG_INFINITY);
    report
        .best
        .sort_by(|a, b| g(b).total_cmp(&g(a)).then(a.number.cmp(&b.number)));
    Ok(report)
}

/// What a batch is screened with.
struct Batch<'a> {
    space: &'a Space,
    screener: &'a Screener,
    seed: u64,
    procedure: Procedure,
    threshold: f64,
    interrupt: &'a Interrupt,
}

/// How far a candidate of a batch is.
enum State {
    Flat(Flat),
    Pulled(Pulled),
    /// Judged here.
    New(Arc<Verdict>),
    /// Judged before, or hopeless by its inputs.
    Known(Arc<Verdict>),
    /// Gets the verdict of that candidate of the batch.
    As(usize),
    /// Left out by an interrupt.
    Left,
}

impl Batch<'_> {
    fn screen(
        &self,
        numbers: std::ops::Range<u64>,
        scratches: &mut [Scratch],
        report: &mut ScreenReport,
        on_progress: &(dyn Fn(u64) + Sync),
    ) {
        let first = numbers.start;
        let numbers: Vec<u64> = numbers.collect();
        let done = AtomicU64::new(first);
        let progress = || on_progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        let exactly = |scratches: &mut [Scratch], numbers, progress: &(dyn Fn() + Sync)| {
            on_all(scratches, numbers, |number, _| {
                let left = self.interrupt.is_set();
                let verdict = || self.screener.screen_exactly(&self.loss(number));
                let verdict = (!left).then(|| Arc::new(verdict()));
                progress();
                verdict
            })
        };
        let verdicts = match self.procedure {
            Procedure::Fast => self.fast(numbers, scratches, &progress),
            Procedure::Exact => exactly(scratches, numbers, &progress),
            Procedure::Compare => {
                let fast = self.fast(numbers.clone(), scratches, &|| ());
                let exact = exactly(scratches, numbers, &progress);
                let agreement = report.agreement.get_or_insert_default();
                let pairs = fast.iter().zip(&exact).zip(first..);
                for ((fast, exact), number) in pairs {
                    if let (Some(fast), Some(exact)) = (fast, exact) {
                        self.compare(number, fast, exact, agreement, &mut scratches[0]);
                    }
                }
                exact
            }
        };
        for (verdict, number) in verdicts.iter().zip(first..) {
            let Some(verdict) = verdict else { continue };
            let formula = match verdict.judgement {
                Judgement::Passed => self.loss(number).to_string(),
                _ => String::new(),
            };
            report.count(number, formula, verdict.judgement, verdict.g);
        }
    }

    fn compare(
        &self,
        number: u64,
        fast: &Verdict,
        exact: &Verdict,
        agreement: &mut Agreement,
        scratch: &mut Scratch,
    ) {
        let passed = |verdict: &Verdict| verdict.judgement == Judgement::Passed;
        agreement.candidates += 1;
        agreement.exact_passed += u64::from(passed(exact));
        if passed(fast) == passed(exact) {
            return;
        }
        let loss = self.loss(number);
        let fast_g = self.screener.full_g(&loss, scratch);
        let passes_in_full = fast_g.is_some_and(|g| g >= self.threshold);
        agreement.disagreements.push(Disagreement {
            number,
            formula: loss.to_string(),
            fast: fast.judgement,
            reason: fast.reason.clone(),
            fast_g,
            by_shortcut: passes_in_full == passed(exact),
            exact: exact.judgement,
            exact_g: exact.g,
        });
    }

    /// The verdicts as a search gives them; `None` for those that an interrupt left out.
    fn fast(
        &self,
        numbers: Vec<u64>,
        scratches: &mut [Scratch],
        progress: &(dyn Fn() + Sync),
    ) -> Vec<Option<Arc<Verdict>>> {
        let mut states = on_all(scratches, numbers, |number, scratch| {
            self.flatten(number, scratch)
        });
        self.look_up_canonical(&mut states, &mut scratches[0]);
        let mut states = on_all(scratches, states, |state, scratch| match state {
            State::Flat(flat) => match self.screener.pull(flat, scratch) {
                Ok(pulled) => State::Pulled(pulled),
                Err(verdict) => State::New(Arc::new(*verdict)),
            },
            other => other,
        });
        self.look_up_gradients(&mut states, &mut scratches[0]);
        let states = on_all(scratches, states, |state, scratch| {
            let state = self.judge(state, scratch);
            progress();
            state
        });
        let verdict = |state: &State| match state {
            State::New(verdict) | State::Known(verdict) => Some(verdict.clone()),
            State::As(other) => match &states[*other] {
                State::New(verdict) | State::Known(verdict) => Some(verdict.clone()),
                _ => None,
            },
            State::Flat(_) | State::Pulled(_) | State::Left => None,
        };
        // What is new enters in the candidates' order.
        for state in &states {
            if let State::New(verdict) = state {
                self.screener.remember_shared(verdict.clone());
            }
        }
        states.iter().map(verdict).collect()
    }

    fn loss(&self, number: u64) -> Loss {
        let mut draws = generator(self.seed, Stream::Screening, number);
        self.space.random_loss(&mut draws)
    }

    fn flatten(&self, number: u64, scratch: &mut Scratch) -> State {
        let drawing = Instant::now();
        let loss = self.loss(number);
        scratch.stages.structural.seconds += drawing.elapsed().as_secs_f64();
        match self.screener.flatten(&loss, scratch) {
            Ok(flat) => State::Flat(flat),
            Err(reason) => State::Known(Arc::new(Verdict::structural(reason))),
        }
    }

    fn look_up_canonical(&self, states: &mut [State], scratch: &mut Scratch) {
        let mut here: HashMap<String, usize> = HashMap::new();
        for (place, state) in states.iter_mut().enumerate() {
            let State::Flat(flat) = state else { continue };
            if let Some(verdict) = self.screener.known(flat) {
                *state = State::Known(verdict);
            } else if let Some(earlier) = here.get(flat.canonical()) {
                *state = State::As(*earlier);
            } else {
                here.insert(flat.canonical().to_owned(), place);
                continue;
            }
            scratch.stages.cached.decided += 1;
        }
    }

    fn look_up_gradients(&self, states: &mut [State], scratch: &mut Scratch) {
        let mut here = HashMap::new();
        let mut same: Vec<Option<usize>> = vec![None; states.len()];
        for (place, state) in states.iter_mut().enumerate() {
            let State::Pulled(pulled) = state else {
                continue;
            };
            if let Some(verdict) = self.screener.alike(pulled, scratch) {
                *state = State::Known(verdict);
            } else if let Some(fingerprint) = pulled.fingerprint()
                && let Some(earlier) = here.insert(fingerprint, place)
            {
                here.insert(fingerprint, earlier);
                same[place] = Some(earlier);
                scratch.stages.equivalent.decided += 1;
            }
        }
        for (place, earlier) in same.iter().enumerate() {
            if let Some(earlier) = earlier {
                states[place] = State::As(*earlier);
            }
        }
        // Those that equal one that equals another.
        for place in 0..states.len() {
            if let State::As(other) = states[place]
                && let State::As(first) = states[other]
            {
                states[place] = State::As(first);
            }
        }
    }

    fn judge(&self, state: State, scratch: &mut Scratch) -> State {
        let State::Pulled(pulled) = state else {
            return state;
        };
        if self.interrupt.is_set() {
            return State::Left;
        }
        State::New(Arc::new(match self.screener.gradients(pulled, scratch) {
            Ok(open) => self.screener.optimise(open, scratch),
            Err(verdict) => *verdict,
        }))
    }
}

/// Does the work on every item, on one thread a scratch; the results are in the items' order.
fn on_all<T: Send, R: Send>(
    scratches: &mut [Scratch],
    items: Vec<T>,
    work: impl Fn(T, &mut Scratch) -> R + Sync,
) -> Vec<R> {
    if scratches.len() == 1 {
        let scratch = &mut scratches[0];
        return items.into_iter().map(|item| work(item, scratch)).collect();
    }
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|i| Mutex::new(Some(i))).collect();
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        let (items, next, work) = (&items, &next, &work);
        let threads: Vec<_> = scratches
            .iter_mut()
            .map(|scratch| {
                scope.spawn(move || {
                    let mut results = Vec::new();
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(place) else { break };
                        let item = item.lock().unwrap_or_else(PoisonError::into_inner).take();
                        let Some(item) = item else { continue };
                        results.push((place, work(item, scratch)));
                    }
                    results
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => results.extend(part),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    });
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    fn quick() -> Settings {
        let mut settings = Settings::default();
        settings.screening.steps = 40;
        settings.screening.step_size = 0.05;
        settings.screening.early_share = 0.0;
        settings
    }

    fn screen(settings: &Settings, what: RandomScreening) -> ScreenReport {
        screen_random(&Toy::new(), settings, what, &Interrupt::default(), &|_| {}).unwrap()
    }

    const SOME: RandomScreening = RandomScreening {
        count: 1500,
        seed: 3,
        workers: 2,
        procedure: Procedure::Fast,
    };

    #[test]
    fn the_counts_do_not_depend_on_the_number_of_workers() {
        let run = |workers, seed| {
            let what = RandomScreening {
                workers,
                seed,
                ..SOME
            };
            let mut report = screen(&quick(), what);
            assert_eq!(report.stages.structural.count, 1500);
            assert!(report.per_minute() > 0.0);
            report.seconds = 0.0;
            for stage in [
                &mut report.stages.structural,
                &mut report.stages.cached,
                &mut report.stages.gradient,
                &mut report.stages.equivalent,
                &mut report.stages.optimised,
            ] {
                stage.seconds = 0.0;
            }
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
        // Every candidate is decided in one stage.
        let decided: u64 = one.stages.named().iter().map(|(_, s)| s.decided).sum();
        assert_eq!(decided, one.drawn);
    }

    #[test]
    fn fast_and_exact_verdicts_agree() {
        let mut settings = quick();
        settings.screening.samples = 2;
        let what = |procedure| RandomScreening {
            seed: 5,
            procedure,
            ..SOME
        };
        let exact = screen(&settings, what(Procedure::Exact));
        let both = screen(&settings, what(Procedure::Compare));
        let agreement = both.agreement.unwrap();
        assert_eq!(agreement.candidates, 1500);
        assert_eq!(agreement.exact_passed, exact.passed);
        assert!(exact.passed > 5, "{exact:?}");
        assert!(agreement.disagreements.len() <= 2, "{agreement:?}");
        // The comparison can find something.
        settings.screening.early_share = 0.05;
        settings.screening.early_gain = 1.0;
        let hasty = screen(&settings, what(Procedure::Compare));
        let agreement = hasty.agreement.unwrap();
        assert!(agreement.lost() > 0);
        assert_eq!(agreement.lost_by_shortcuts(), agreement.lost());
        let first = &agreement.disagreements[0];
        assert_eq!(first.fast, Judgement::Rejected);
        assert!((first.fast_g.unwrap() - first.exact_g.unwrap()).abs() < 0.05);
    }

    #[test]
    fn an_interrupt_ends_it() {
        let interrupt = Interrupt::default();
        let stop = |n: u64| {
            if n == 10 {
                interrupt.set();
            }
        };
        let what = RandomScreening {
            count: 1 << 40,
            ..SOME
        };
        let report = screen_random(&Toy::new(), &Settings::default(), what, &interrupt, &stop);
        assert!(report.unwrap().drawn >= 10);
    }
}
