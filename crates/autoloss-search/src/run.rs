//! A whole run: the search, then the final comparison; fresh and resumed runs alike.

use std::time::Instant;

use crate::comparison::Comparison;
use crate::driver::{Clock, search};
use crate::error::SearchError;
use crate::event::{End, Event, Tally};
use crate::executor::Workers;
use crate::finals::{Finals, best_found};
use crate::store::{CandidateRow, Recorder, RunInfo};
use crate::study::{Context, Plan, Record, Study};
use crate::task::{Interrupt, Task};

/// Results of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// Reason for which the search ended; `Interrupted` also where the final comparison was.
    pub end: End,
    /// The sums over the search.
    pub tally: Tally,
    /// The best losses found by the scores that the search saw, the best first, no two of them
    /// equivalent; as many as [`SearchSettings::shown_losses`](crate::SearchSettings::shown_losses).
    pub best: Vec<CandidateRow>,
    /// The final comparison, in full training: baselines, then the finalist that was chosen; empty after an
    /// interrupt, and where `search.final_losses` or `search.final_seeds` is 0.
    pub comparisons: Vec<Comparison>,
}

/// Searches, or goes on with an interrupted search, on threads of this process, see [`Runner::run`].
///
/// # Errors
/// The errors of [`Runner::run`].
pub fn run(
    task: &dyn Task,
    recorder: &mut Recorder,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(&Event),
) -> Result<RunReport, SearchError> {
    let workers = recorder.store().info()?.settings.search.training_count();
    let runner = Runner {
        task,
        workers: Workers::Threads(workers),
        plan: None,
        interrupt,
    };
    runner.run(recorder, on_event)
}

/// The surroundings of a run.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    /// The task.
    pub task: &'a dyn Task,
    /// Workers of the trainings.
    pub workers: Workers<'a>,
    /// Expected cost of the run; `None`: the task is asked for it.
    pub plan: Option<&'a Plan>,
    /// A request to end early.
    pub interrupt: &'a Interrupt,
}

impl Runner<'_> {
    /// Searches, or goes on with an interrupted search, and compares the best losses found with the
    /// task's baselines. Every event is recorded and then told to `on_event`.
    ///
    /// With one worker, an interrupted and resumed run gives the same candidates as an uninterrupted
    /// one, unless `search.time` ends it.
    ///
    /// # Errors
    /// If the run cannot be recorded, the task does not work, or nothing passes the screening. What was
    /// recorded until then is kept.
    pub fn run(
        &self,
        recorder: &mut Recorder,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<RunReport, SearchError> {
        let info = recorder.store().info()?;
        if info.task != self.task.name() {
            return Err(SearchError::OtherTask {
                stored: info.task,
                given: self.task.name().to_owned(),
            });
        }
        recorder.describe(self.task.branches())?;
        let clock = Clock {
            before: info.elapsed,
            start: Instant::now(),
        };
        let (end, tally) = self.search(&info, clock, recorder, on_event)?;
        let best = best_found(info.settings.search.shown_losses(), recorder)?;
        if end == End::Interrupted {
            return Ok(RunReport {
                end,
                tally,
                best,
                comparisons: Vec::new(),
            });
        }
        let finals = Finals {
            task: self.task,
            settings: &info.settings,
            clock,
            workers: self.workers,
            interrupt: self.interrupt,
        };
        let comparisons = finals.run(recorder, on_event)?;
        Ok(RunReport {
            end: match comparisons {
                Some(_) => end,
                None => End::Interrupted,
            },
            tally,
            best,
            comparisons: comparisons.unwrap_or_default(),
        })
    }

    /// The search itself, if it has not ended in an earlier part of the run.
    fn search(
        &self,
        info: &RunInfo,
        clock: Clock,
        recorder: &mut Recorder,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<(End, Tally), SearchError> {
        let (task, settings) = (self.task, &info.settings);
        let done = recorder.store().tally()?;
        if let Some(end) = ended_before(info, &done, task.baselines().is_empty()) {
            if info.ended.is_none() {
                recorder.record(&Event::SearchEnded { end }, clock.elapsed())?;
            }
            return Ok((end, done));
        }
        recorder.discard_unfinished()?;
        let rows = recorder.store().candidates()?;
        let workers = self.workers.count();
        let plan = match self.plan {
            Some(plan) => plan.clone(),
            None => Plan::new(task, &settings.search, workers)?,
        };
        if rows.is_empty() {
            plan.check(settings.search.time)?;
        }
        let context = Context::new(task, settings)?;
        let past = Record::read(task, &context, recorder.store(), rows)?;
        let started = Event::Started {
            task: task.name().to_owned(),
            metric: task.metric().to_owned(),
            seed: settings.search.seed,
            workers,
            so_far: Box::new(past.tally.clone()),
        };
        let mut study = Study::restore(task, settings, plan, &context, &past)?;
        on_event(&started);
        let mut untold = Vec::new();
        let mut record = |event| match event {
            Some(event) => {
                recorder.note(&event, clock.elapsed())?;
                untold.push(event);
                Ok(())
            }
            None => {
                recorder.tick(clock.elapsed())?;
                untold.drain(..).for_each(|event| on_event(&event));
                Ok(())
            }
        };
        let place = (self.workers, clock);
        let end = search(
            task,
            &mut study,
            &context,
            place,
            self.interrupt,
            &mut record,
        )?;
        let ended = Event::SearchEnded { end };
        recorder.record(&ended, clock.elapsed())?;
        on_event(&ended);
        Ok((end, study.tally().clone()))
    }
}

/// End of the search in an earlier part of the run, if it ended and nothing of it is missing.
fn ended_before(info: &RunInfo, done: &Tally, no_reference: bool) -> Option<End> {
    let recorded = info.ended.as_deref().and_then(End::from_text);
    if let Some(end) = recorded.filter(|end| *end != End::Interrupted) {
        return Some(end);
    }
    // Cut off between the last evaluation and the record of the end.
    let budget = info.settings.search.evaluations;
    let made = budget.is_some_and(|n| done.evaluations + done.repeated >= n);
    (made && (done.reference.is_some() || no_reference)).then_some(End::Evaluations)
}
