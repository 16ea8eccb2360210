//! A whole run: the search, then the final comparison; fresh and resumed runs alike.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use autoloss_expr::{Loss, ParseError};

use crate::budget::{Measured, Plan};
use crate::comparison::Comparison;
use crate::error::SearchError;
use crate::event::{End, Event, Fate, Tally};
use crate::evolution::Evolution;
use crate::executor::local::{Clock, Parts, search};
use crate::finals::{Finals, best_found};
use crate::population::Member;
use crate::predictor::Predictor;
use crate::random::Space;
use crate::screening::{Judgement, Past, Scratch, Screening};
use crate::settings::Settings;
use crate::store::{CandidateRow, Recorder, RunInfo};
use crate::strategy::sampler;
use crate::task::{Interrupt, Task};

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// Why the search ended; `Interrupted` also where the final comparison was.
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

/// Reads a formula over the branches of a task.
///
/// # Errors
/// The column and what was expected there.
pub fn parse_loss(task: &dyn Task, text: &str) -> Result<Loss, ParseError> {
    let branches: Vec<(&str, Vec<&str>)> = task
        .branches()
        .iter()
        .map(|branch| {
            let inputs = branch.inputs.iter().map(|input| input.name.as_str());
            (branch.name.as_str(), inputs.collect())
        })
        .collect();
    Loss::parse(text, &branches)
}

/// Searches, or goes on with an interrupted search, and compares the best losses found with the
/// task's baselines. Everything that happens is recorded and then told to `on_event`.
///
/// With one worker, an interrupted and resumed run gives the same candidates as an uninterrupted
/// one, unless `search.time` ends it.
///
/// # Errors
/// If the run cannot be recorded, the task does not work, or nothing passes the screening. What was
/// recorded until then is kept.
pub fn run(
    task: &dyn Task,
    recorder: &mut Recorder,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(&Event),
) -> Result<RunReport, SearchError> {
    let info = recorder.store().info()?;
    if info.task != task.name() {
        return Err(SearchError::OtherTask {
            stored: info.task,
            given: task.name().to_owned(),
        });
    }
    let clock = Clock {
        before: info.elapsed,
        start: Instant::now(),
    };
    let (end, tally) = search_stage(task, &info, clock, recorder, interrupt, on_event)?;
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
        task,
        settings: &info.settings,
        clock,
        interrupt,
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

fn search_stage(
    task: &dyn Task,
    info: &RunInfo,
    clock: Clock,
    recorder: &mut Recorder,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(&Event),
) -> Result<(End, Tally), SearchError> {
    let settings = &info.settings;
    let baselines = task.baselines();
    let done = recorder.store().tally()?;
    if let Some(end) = ended_before(info, &done, baselines.is_empty()) {
        if info.ended.is_none() {
            recorder.record(&Event::SearchEnded { end }, clock.elapsed())?;
        }
        return Ok((end, done));
    }
    recorder.discard_unfinished()?;
    let rows = recorder.store().candidates()?;
    let tally = recorder.store().tally_of(&rows)?;
    let plan = Plan::new(task, &settings.search)?;
    if rows.is_empty() {
        plan.check(settings.search.time)?;
    }
    let started = Event::Started {
        task: task.name().to_owned(),
        metric: task.metric().to_owned(),
        seed: settings.search.seed,
        workers: settings.search.worker_count(),
        so_far: Box::new(tally.clone()),
    };
    let screening = Screening::new(task, settings)?;
    restore_verdicts(task, &screening, recorder, &rows)?;
    let parts = Parts {
        task,
        settings,
        space: Space::new(&settings.search, task.branches())?,
        evolution: restore_evolution(task, settings, recorder, &rows)?,
        predictor: restore_predictor(task, settings, &screening, recorder, &rows)?,
        screening,
        clock,
        finished: finished(&rows),
        unproductive: unproductive(&rows),
        reference: match tally.reference {
            Some(_) => None,
            None => baselines.first().cloned(),
        },
        plan,
        tally,
    };
    on_event(&started);
    let (end, tally) = search(parts, interrupt, &mut |event| match event {
        Some(event) => {
            recorder.record(&event, clock.elapsed())?;
            on_event(&event);
            Ok(())
        }
        None => Ok(recorder.tick(clock.elapsed())?),
    })?;
    let ended = Event::SearchEnded { end };
    recorder.record(&ended, clock.elapsed())?;
    on_event(&ended);
    Ok((end, tally))
}

/// How the search ended in an earlier part of the run, if it did and nothing of it is missing.
fn ended_before(info: &RunInfo, done: &Tally, no_reference: bool) -> Option<End> {
    let recorded = info.ended.as_deref().and_then(End::from_text);
    if let Some(end) = recorded.filter(|end| *end != End::Interrupted) {
        return Some(end);
    }
    // Cut off between the last evaluation and the record of the end.
    let budget = info.settings.search.evaluations;
    let made = budget.is_some_and(|n| done.evaluations >= n);
    (made && (done.reference.is_some() || no_reference)).then_some(End::Evaluations)
}

/// Enters the verdicts of the run so far, in their order.
fn restore_verdicts(
    task: &dyn Task,
    screening: &Screening,
    recorder: &Recorder,
    rows: &[CandidateRow],
) -> Result<(), SearchError> {
    let mut scratch = Scratch::default();
    for row in rows {
        let judgement = match row.fate {
            Fate::Invalid => Judgement::Invalid,
            Fate::Rejected => Judgement::Rejected,
            Fate::Scored | Fate::Stopped | Fate::Failed | Fate::Equivalent | Fate::NotChosen => {
                Judgement::Passed
            }
        };
        let passed = judgement == Judgement::Passed;
        if passed && row.candidate.g.is_none() {
            // It was not screened to the end.
            continue;
        }
        let verdict = Past {
            judgement,
            reason: row.reason.clone().filter(|_| !passed),
            g: row.candidate.g,
            norms: row.candidate.norms.clone(),
        };
        screening.restore(&stored_loss(task, recorder, row)?, verdict, &mut scratch);
    }
    Ok(())
}

/// The loss of a candidate of the run so far.
pub(crate) fn stored_loss(
    task: &dyn Task,
    recorder: &Recorder,
    row: &CandidateRow,
) -> Result<Loss, SearchError> {
    let formula = &row.candidate.formula;
    parse_loss(task, formula).map_err(|e| {
        let id = row.candidate.id;
        let problem = format!("table `candidate` {id}: {e} in `{formula}`");
        SearchError::Store(recorder.store().damaged(problem))
    })
}

fn restore_evolution(
    task: &dyn Task,
    settings: &Settings,
    recorder: &Recorder,
    rows: &[CandidateRow],
) -> Result<Evolution, SearchError> {
    let sampler = sampler(&settings.search, task)?;
    let mut evolution = Evolution::new(&settings.search, sampler);
    let joined = in_joining_order(rows);
    // A strategy may learn from all of them, not from the population alone.
    for (row, score) in &joined {
        let id = row.candidate.id;
        if row.fate != Fate::Equivalent {
            evolution.know(id, *score, &row.candidate.norms);
        }
        let loss = stored_loss(task, recorder, row)?;
        evolution.join(Member {
            id,
            loss,
            score: *score,
        });
    }
    let finished = rows.iter().filter(|row| row.is_settled());
    let finished: BTreeSet<u64> = finished.map(|row| row.candidate.proposal).collect();
    let next_proposal = finished.last().map_or(0, |last| last + 1);
    let again: VecDeque<u64> = (0..next_proposal)
        .filter(|n| !finished.contains(n))
        .collect();
    let next_id = rows.last().map_or(1, |row| row.candidate.id + 1);
    let next_joined = joined
        .last()
        .and_then(|(row, _)| row.joined)
        .map_or(0, |n| n + 1);
    evolution.take_up(again, next_proposal, next_id, next_joined);
    Ok(evolution)
}

/// What predictions are made from, see `search.choices`.
fn restore_predictor(
    task: &dyn Task,
    settings: &Settings,
    screening: &Screening,
    recorder: &Recorder,
    rows: &[CandidateRow],
) -> Result<Predictor, SearchError> {
    let mut predictor = Predictor::default();
    if settings.search.choices == 1 {
        return Ok(predictor);
    }
    let mut scratch = Scratch::default();
    for (row, score) in in_joining_order(rows) {
        if row.fate != Fate::Equivalent {
            let loss = stored_loss(task, recorder, row)?;
            let signature = screening.signature(&loss, &mut scratch);
            predictor.add(Arc::new(signature), score);
        }
    }
    Ok(predictor)
}

/// The members of the population, the earlier ones included that it has lost since, with their scores.
fn in_joining_order(rows: &[CandidateRow]) -> Vec<(&CandidateRow, f64)> {
    let joined = rows.iter().filter(|row| row.joined.is_some());
    let mut joined: Vec<_> = joined.filter_map(|row| Some((row, row.score?))).collect();
    joined.sort_by_key(|(row, _)| row.joined);
    joined
}

/// The proxy trainings that came to their end.
fn finished(rows: &[CandidateRow]) -> Measured {
    let scored = rows.iter().filter(|row| row.fate == Fate::Scored);
    let mut made = Measured::default();
    for seconds in scored.filter_map(|row| row.training_seconds) {
        made.add(seconds);
    }
    made
}

/// How many joined without a training since the last one.
fn unproductive(rows: &[CandidateRow]) -> u64 {
    let joined = in_joining_order(rows);
    let untrained = |(row, _): &&(&CandidateRow, f64)| row.fate == Fate::Equivalent;
    joined.iter().rev().take_while(untrained).count() as u64
}
