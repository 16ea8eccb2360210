//! Screening of random candidates without a search: their fates, and the rate.

mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use autoloss_expr::Loss;

use crate::error::SearchError;
use crate::random::Space;
use crate::screening::{Flat, Judgement, Pulled, Scratch, Screener, Screening, Verdict};
use crate::seed::{Stream, generator};
use crate::settings::Settings;
use crate::task::{Interrupt, Task};
pub use report::{Agreement, Disagreement, Passed, Procedure, RandomScreening, ScreenReport};

/// Candidates whose stages are gone through together. Large enough that waiting for the last
/// of a batch does not count, small enough for memory and for interrupts.
const BATCH: u64 = 4096;

/// Screens random candidates.
///
/// Candidate n is a function of seed and n alone. The workers go through the stages of a batch
/// of candidates together, and earlier verdicts are looked up in the candidates' order between two
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
    let screening = Screening::new(task, settings)?;
    let mut scratches: Vec<Scratch> = (0..what.workers.max(1))
        .map(|_| Scratch::default())
        .collect();
    let mut report = ScreenReport::default();
    let start = Instant::now();
    let batch = Batch {
        space: &space,
        judges: screening.judges().collect(),
        seed: what.seed,
        procedure: what.procedure,
        threshold: settings.screening.threshold,
        interrupt,
    };
    let size = match what.procedure {
        Procedure::Fast => BATCH,
        // A candidate takes seconds: the cost of an interrupt is to stay small.
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

/// Space, judges and limits that a batch is screened with.
struct Batch<'a> {
    space: &'a Space,
    /// A judge for all branches together, or a judge for each.
    judges: Vec<&'a Screener>,
    seed: u64,
    procedure: Procedure,
    threshold: f64,
    interrupt: &'a Interrupt,
}

/// State of a candidate between two stages of its batch.
enum CandidateState {
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
                let verdict = (!left).then(|| Arc::new(self.exactly(&self.loss(number))));
                progress();
                verdict
            })
        };
        let verdicts = match self.procedure {
            Procedure::Fast => self.fast(&numbers, scratches, &progress),
            Procedure::Exact => exactly(scratches, numbers, &progress),
            Procedure::Compare => {
                let fast = self.fast(&numbers, scratches, &|| ());
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
        let all = self.judges.iter().map(|judge| judge.full_g(&loss, scratch));
        let fast_g = all.collect::<Option<Vec<f64>>>();
        let fast_g = fast_g.and_then(|all| all.into_iter().reduce(f64::min));
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

    /// The exact verdict: against the candidate as soon as one branch does not pass.
    fn exactly(&self, loss: &Loss) -> Verdict {
        let mut judges = self.judges.iter();
        let first = judges.next().expect("there is a branch to judge");
        judges.fold(first.screen_exactly(loss), |verdict, judge| {
            match verdict.judgement {
                Judgement::Passed => judge.screen_exactly(loss),
                _ => verdict,
            }
        })
    }

    /// The verdicts as a search gives them; `None` for those that an interrupt left out.
    fn fast(
        &self,
        numbers: &[u64],
        scratches: &mut [Scratch],
        progress: &(dyn Fn() + Sync),
    ) -> Vec<Option<Arc<Verdict>>> {
        let mut judges = self.judges.iter();
        let first = judges.next().expect("there is a branch to judge");
        let mut verdicts = self.fast_by(first, numbers.to_vec(), scratches, progress);
        for judge in judges {
            let passed = |verdict: &Option<Arc<Verdict>>| {
                let verdict = verdict.as_ref();
                verdict.is_some_and(|v| v.judgement == Judgement::Passed)
            };
            let places = (0..numbers.len()).filter(|place| passed(&verdicts[*place]));
            let places: Vec<usize> = places.collect();
            let left: Vec<u64> = places.iter().map(|place| numbers[*place]).collect();
            let next = self.fast_by(judge, left, scratches, &|| ());
            for (place, verdict) in places.into_iter().zip(next) {
                verdicts[place] = verdict;
            }
        }
        verdicts
    }

    /// The verdicts of one judge.
    fn fast_by(
        &self,
        screener: &Screener,
        numbers: Vec<u64>,
        scratches: &mut [Scratch],
        progress: &(dyn Fn() + Sync),
    ) -> Vec<Option<Arc<Verdict>>> {
        let mut states = on_all(scratches, numbers, |number, scratch| {
            self.flatten(screener, number, scratch)
        });
        look_up_canonical(screener, &mut states, &mut scratches[0]);
        let mut states = on_all(scratches, states, |state, scratch| match state {
            CandidateState::Flat(flat) => match screener.pull(flat, scratch) {
                Ok(pulled) => CandidateState::Pulled(pulled),
                Err(verdict) => CandidateState::New(Arc::new(*verdict)),
            },
            other => other,
        });
        look_up_gradients(screener, &mut states, &mut scratches[0]);
        let states = on_all(scratches, states, |state, scratch| {
            let state = self.judge(screener, state, scratch);
            progress();
            state
        });
        let verdict = |state: &CandidateState| match state {
            CandidateState::New(verdict) | CandidateState::Known(verdict) => Some(verdict.clone()),
            CandidateState::As(other) => match &states[*other] {
                CandidateState::New(verdict) | CandidateState::Known(verdict) => {
                    Some(verdict.clone())
                }
                _ => None,
            },
            CandidateState::Flat(_) | CandidateState::Pulled(_) | CandidateState::Left => None,
        };
        // New verdicts enter in the candidates' order.
        for state in &states {
            if let CandidateState::New(verdict) = state {
                screener.remember_shared(verdict.clone());
            }
        }
        states.iter().map(verdict).collect()
    }

    fn loss(&self, number: u64) -> Loss {
        let mut draws = generator(self.seed, Stream::Screening, number);
        self.space.random_loss(&mut draws)
    }

    fn flatten(&self, screener: &Screener, number: u64, scratch: &mut Scratch) -> CandidateState {
        let drawing = Instant::now();
        let loss = self.loss(number);
        scratch.stages.structural.seconds += drawing.elapsed().as_secs_f64();
        match screener.flatten(&loss, scratch) {
            Ok(flat) => CandidateState::Flat(flat),
            Err(reason) => CandidateState::Known(Arc::new(Verdict::structural(reason))),
        }
    }

    fn judge(
        &self,
        screener: &Screener,
        state: CandidateState,
        scratch: &mut Scratch,
    ) -> CandidateState {
        let CandidateState::Pulled(pulled) = state else {
            return state;
        };
        if self.interrupt.is_set() {
            return CandidateState::Left;
        }
        CandidateState::New(Arc::new(match screener.gradients(pulled, scratch) {
            Ok(open) => screener.optimise(open, scratch),
            Err(verdict) => *verdict,
        }))
    }
}

/// Candidates whose canonical form was judged, or comes before them.
fn look_up_canonical(screener: &Screener, states: &mut [CandidateState], scratch: &mut Scratch) {
    let mut here: HashMap<String, usize> = HashMap::new();
    for (place, state) in states.iter_mut().enumerate() {
        let CandidateState::Flat(flat) = state else {
            continue;
        };
        if let Some(verdict) = screener.known(flat) {
            *state = CandidateState::Known(verdict);
        } else if let Some(earlier) = here.get(flat.canonical()) {
            *state = CandidateState::As(*earlier);
        } else {
            here.insert(flat.canonical().to_owned(), place);
            continue;
        }
        scratch.stages.cached.decided += 1;
    }
}

/// Candidates whose gradients are those of one that was judged, or comes before them.
fn look_up_gradients(screener: &Screener, states: &mut [CandidateState], scratch: &mut Scratch) {
    let mut here = HashMap::new();
    let mut same: Vec<Option<usize>> = vec![None; states.len()];
    for (place, state) in states.iter_mut().enumerate() {
        let CandidateState::Pulled(pulled) = state else {
            continue;
        };
        if let Some(verdict) = screener.alike(pulled, scratch) {
            *state = CandidateState::Known(verdict);
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
            states[place] = CandidateState::As(*earlier);
        }
    }
    // A candidate may equal one that itself equals another.
    for place in 0..states.len() {
        if let CandidateState::As(other) = states[place]
            && let CandidateState::As(first) = states[other]
        {
            states[place] = CandidateState::As(first);
        }
    }
}

/// Does the work on every item, on one thread a scratch; the results are in the items' order.
pub(crate) fn on_all<T: Send, R: Send>(
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
