//! A study from the record of an earlier part of its run.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use autoloss_expr::Loss;

use super::Study;
use super::budget::{Measured, Plan};
use super::find::Context;
use crate::error::SearchError;
use crate::event::{Fate, Tally};
use crate::population::Member;
use crate::screening::{Judgement, Past, Scratch};
use crate::settings::Settings;
use crate::store::CandidateRow;
use crate::task::Task;

/// The record of a run so far.
#[derive(Debug, Default)]
pub struct Record {
    /// Its candidates in the order of their numbers, each with its loss.
    pub rows: Vec<(CandidateRow, Loss)>,
    /// Scores of trainings on the way, see [`Store::reports`](crate::Store::reports).
    pub reports: Vec<(u64, f64, f64)>,
    /// The sums over everything that happened.
    pub tally: Tally,
}

impl Study {
    /// The study after the recorded candidates, in the order of their numbers, and the verdicts of its
    /// screening. Proposals without outcome are made again.
    ///
    /// # Errors
    /// If the strategy does not fit the task.
    pub fn restore(
        task: &dyn Task,
        settings: &Settings,
        plan: Plan,
        context: &Context,
        past: &Record,
    ) -> Result<Self, SearchError> {
        let Record {
            rows,
            reports,
            tally,
        } = past;
        let mut study = Self::new(task, settings, plan)?;
        let mut scratch = Scratch::default();
        restore_verdicts(context, rows, &mut scratch);
        for (id, share, score) in reports {
            study.rungs.enter(*id, *share, *score);
        }
        study.restore_population(rows);
        study.restore_trainings(context, rows, &mut scratch);
        study.restore_proposals(rows);
        study.budget.take_up(tally.evaluations, finished(rows));
        if tally.reference.is_some() {
            study.reference = None;
        }
        study.tally = tally.clone();
        Ok(study)
    }

    /// The members in joining order. A strategy may learn from all of them, not from the population alone.
    fn restore_population(&mut self, rows: &[(CandidateRow, Loss)]) {
        for (row, loss, score) in in_joining_order(rows) {
            let id = row.candidate.id;
            if row.fate != Fate::Equivalent {
                self.ledger.enter(id, score, &row.candidate.norms);
            }
            let loss = loss.clone();
            self.sampler.join(Member { id, loss, score });
            self.joined = row.joined.map_or(self.joined, |joined| joined + 1);
        }
    }

    /// The trainings in the order in which they began, which with one worker is that in which they ended.
    fn restore_trainings(
        &mut self,
        context: &Context,
        rows: &[(CandidateRow, Loss)],
        scratch: &mut Scratch,
    ) {
        for (row, loss) in rows {
            let id = row.candidate.id;
            let trained = row.training_seconds.is_some();
            match (row.fate, row.score) {
                (Fate::Scored | Fate::Stopped, Some(score)) => {
                    self.unproductive = 0;
                    self.rungs.finish(id, score);
                    self.learn(context, loss, score, scratch);
                }
                (Fate::Pruned, _) if trained => {
                    self.unproductive = 0;
                    self.ledger.enter_pruned(id, &row.candidate.norms);
                    if let Some(worth) = self.rungs.worth(id) {
                        self.learn(context, loss, worth, scratch);
                    }
                }
                (Fate::Equivalent, Some(_)) | (Fate::Pruned, _) => self.unproductive += 1,
                _ => {}
            }
        }
    }

    fn learn(&mut self, context: &Context, loss: &Loss, score: f64, scratch: &mut Scratch) {
        if context.predicts() {
            let signature = context.screening.signature(loss, scratch);
            Arc::make_mut(&mut self.predictor).add(Arc::new(signature), score);
        }
    }

    fn restore_proposals(&mut self, rows: &[(CandidateRow, Loss)]) {
        let settled = rows.iter().filter(|(row, _)| row.is_settled());
        let settled: BTreeSet<u64> = settled.map(|(row, _)| row.candidate.proposal).collect();
        self.next_proposal = settled.last().map_or(0, |last| last + 1);
        let missing = (0..self.next_proposal).filter(|number| !settled.contains(number));
        self.again = missing.collect::<VecDeque<u64>>();
        self.next_id = rows.last().map_or(1, |(row, _)| row.candidate.id + 1);
    }
}

/// Enters the verdicts of the run so far, in their order.
fn restore_verdicts(context: &Context, rows: &[(CandidateRow, Loss)], scratch: &mut Scratch) {
    for (row, loss) in rows {
        let judgement = match row.fate {
            Fate::Invalid => Judgement::Invalid,
            Fate::Rejected => Judgement::Rejected,
            Fate::Scored
            | Fate::Stopped
            | Fate::Failed
            | Fate::Lost
            | Fate::Pruned
            | Fate::Equivalent
            | Fate::NotChosen => Judgement::Passed,
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
        context.screening.restore(loss, verdict, scratch);
    }
}

/// The members of the population, the earlier ones included that it has lost since, with their scores.
fn in_joining_order(rows: &[(CandidateRow, Loss)]) -> Vec<(&CandidateRow, &Loss, f64)> {
    let joined = rows.iter().filter(|(row, _)| row.joined.is_some());
    let mut joined: Vec<_> = joined
        .filter_map(|(row, loss)| Some((row, loss, row.score?)))
        .collect();
    joined.sort_by_key(|(row, ..)| row.joined);
    joined
}

/// The proxy trainings that came to their end.
fn finished(rows: &[(CandidateRow, Loss)]) -> Measured {
    let mut made = Measured::default();
    for (row, _) in rows {
        if row.fate == Fate::Scored
            && let Some(seconds) = row.training_seconds
        {
            made.add(seconds);
        }
    }
    made
}
