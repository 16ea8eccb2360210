//! A study from the record of an earlier part of its run.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use autoloss_expr::Loss;

use super::Study;
use super::budget::{Measured, Plan};
use super::context::Context;
use crate::conclusion::candidate_id;
use crate::error::SearchError;
use crate::event::{Ended, Fate, Tally};
use crate::population::Member;
use crate::predictor::Predictor;
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
    /// Further trainings of leaders, in the order in which they ended.
    pub repeats: Vec<Ended>,
    /// Trained losses of an earlier run, the oldest first, each with its score.
    pub learned: Vec<(Loss, f64)>,
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
            repeats,
            learned,
            tally,
        } = past;
        let mut study = Self::new(task, settings, plan)?;
        let mut scratch = Scratch::default();
        if context.predicts() {
            let signed = learned.iter().map(|(loss, score)| {
                let signature = context.screening.signature(loss, &mut scratch);
                (Arc::new(signature), *score)
            });
            study.predictor = Arc::new(Predictor::after(signed.collect::<Vec<_>>()));
        }
        restore_verdicts(context, rows, &mut scratch);
        for (id, share, score) in reports {
            study.rungs.enter(*id, *share, *score);
        }
        study.restore_population(rows);
        study.restore_trainings(context, rows, &mut scratch);
        study.restore_repeats(repeats);
        study.restore_proposals(rows);
        let begun = tally.evaluations + tally.repeated;
        study.budget.take_up(begun, finished(rows, repeats));
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
            let member = Member {
                id,
                trained: row.equivalent_to.unwrap_or(id),
                parent: row.candidate.parent,
                loss: loss.clone(),
                score,
            };
            self.sampler.join(member);
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
            match (row.fate, row.first_score) {
                (Fate::Scored | Fate::Stopped, Some(score)) => {
                    self.unproductive = 0;
                    self.rungs.finish(id, score);
                    if row.fate == Fate::Scored {
                        self.race.enter(id, (loss, &row.candidate.formula), score);
                    }
                    self.learn(context, (id, loss), (score, 1.0), scratch);
                }
                (Fate::Pruned, _) if trained => {
                    self.unproductive = 0;
                    self.ledger.enter_pruned(id, &row.candidate.norms);
                    if let Some(worth) = self.rungs.worth(id) {
                        let share = self.rungs.reached(id).unwrap_or(1.0);
                        self.learn(context, (id, loss), (worth, share), scratch);
                    }
                }
                (Fate::Equivalent, Some(_)) | (Fate::Pruned, _) => self.unproductive += 1,
                _ => {}
            }
        }
    }

    fn learn(
        &mut self,
        context: &Context,
        (id, loss): (u64, &Loss),
        (score, trainings): (f64, f64),
        scratch: &mut Scratch,
    ) {
        if context.predicts() {
            let signature = Arc::new(context.screening.signature(loss, scratch));
            Arc::make_mut(&mut self.predictor).add(id, signature, score, trainings);
        }
    }

    /// The further trainings of leaders, each where it was when it ended.
    fn restore_repeats(&mut self, repeats: &[Ended]) {
        for ended in repeats {
            let name = match ended {
                Ok(training) => &training.name,
                Err(failed) => &failed.name,
            };
            let Some(id) = candidate_id(name) else {
                continue;
            };
            match ended {
                Ok(training) => {
                    if let Some((mean, trainings)) = self.race.finish(id, training.score) {
                        self.correct(id, mean, trainings);
                    }
                }
                Err(_) => self.race.close(id),
            }
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
            // The candidate was not screened to the end.
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

/// The members of the population, the earlier ones included that it has lost since, with the scores that they
/// joined with.
fn in_joining_order(rows: &[(CandidateRow, Loss)]) -> Vec<(&CandidateRow, &Loss, f64)> {
    let joined = rows.iter().filter(|(row, _)| row.joined.is_some());
    let mut joined: Vec<_> = joined
        .filter_map(|(row, loss)| Some((row, loss, row.first_score?)))
        .collect();
    joined.sort_by_key(|(row, ..)| row.joined);
    joined
}

/// The proxy trainings that came to their end.
fn finished(rows: &[(CandidateRow, Loss)], repeats: &[Ended]) -> Measured {
    let mut made = Measured::default();
    for repeat in repeats.iter().flatten() {
        made.add(repeat.seconds);
    }
    for (row, _) in rows {
        if row.fate == Fate::Scored
            && let Some(seconds) = row.training_seconds
        {
            made.add(seconds);
        }
    }
    made
}
