//! The end of a run, in full training: one of the finalists is chosen on the search set, then compared with
//! the task's baselines on the validation set. The two stages share no seed.

use autoloss_expr::Loss;

use crate::comparison::{Comparison, Entry, entries, summarise};
use crate::driver::Clock;
use crate::equivalence::Distinct;
use crate::error::SearchError;
use crate::event::{Ended, Event, FinalStage};
use crate::executor::{News, Workers, train_all};
use crate::record::stored_loss;
use crate::screening::{Scratch, Screening, Signature};
use crate::seed::{final_seeds, finalist_seeds};
use crate::settings::Settings;
use crate::store::{CandidateRow, Recorder};
use crate::task::{EvaluationSet, Interrupt, Job, Schedule, Task};

/// Pictures of each loss that the final comparison keeps.
const PICTURES: usize = 4;

/// Distance of signatures from which on two finalists are different losses (docs/results.md).
const APART: f64 = 0.03;

/// The surroundings of the full trainings.
pub(crate) struct Finals<'a> {
    pub(crate) task: &'a dyn Task,
    pub(crate) settings: &'a Settings,
    pub(crate) clock: Clock,
    pub(crate) workers: Workers<'a>,
    pub(crate) interrupt: &'a Interrupt,
}

impl Finals<'_> {
    /// The final comparison: baselines, then the chosen finalist. `None` after an interrupt; trainings that
    /// an earlier part of the run made are not made again.
    pub(crate) fn run(
        &self,
        recorder: &mut Recorder,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Option<Vec<Comparison>>, SearchError> {
        let search = &self.settings.search;
        let finalists = self.finalists(recorder)?;
        if finalists.len() > 1 && search.finalist_seeds > 0 {
            let seeds = finalist_seeds(search.seed, search.finalist_seeds);
            let base = self.job(EvaluationSet::Search);
            let wanted = entries(&finalists, &seeds, &base, 0);
            let Some(_) = self.train(FinalStage::Finalists, &wanted, recorder, on_event)? else {
                return Ok(None);
            };
        }
        let chosen = recorder.store().best_found()?;
        let chosen = chosen.map(|row| format!("#{}", row.candidate.id));
        let mut losses = match search.final_losses {
            0 => Vec::new(),
            _ => self.task.baselines(),
        };
        let found = finalists.into_iter();
        losses.extend(found.filter(|(name, _): &(String, Loss)| Some(name) == chosen.as_ref()));
        let seeds = final_seeds(search.seed, search.final_seeds);
        let wanted = entries(
            &losses,
            &seeds,
            &self.job(EvaluationSet::Validation),
            PICTURES,
        );
        let ended = self.train(FinalStage::Comparison, &wanted, recorder, on_event)?;
        Ok(ended.map(summarise))
    }

    /// The best losses by the scores that the search saw, of which no two train alike as long as there are others: full
    /// training is to find out what the proxy cannot tell, and relatives differ by the noise of their scores.
    fn finalists(&self, recorder: &Recorder) -> Result<Vec<(String, Loss)>, SearchError> {
        let search = &self.settings.search;
        let count = search.final_losses;
        let rows = best_found(usize::MAX, recorder)?;
        if rows.len() <= count || count < 2 || search.finalist_seeds == 0 {
            // All of them, or the best one by the proxy goes on.
            let rows = rows.iter().take(count);
            return rows.map(|row| self.named(row, recorder)).collect();
        }
        let screening = Screening::new(self.task, self.settings)?;
        let mut scratch = Scratch::default();
        let mut apart: Vec<(String, Loss)> = Vec::new();
        let mut signatures: Vec<Signature> = Vec::new();
        let mut relatives = Vec::new();
        for row in &rows {
            if apart.len() == count {
                break;
            }
            let named = self.named(row, recorder)?;
            let signature = screening.signature(&named.1, &mut scratch);
            match signatures
                .iter()
                .all(|other| signature.distance(other) >= APART)
            {
                true => {
                    apart.push(named);
                    signatures.push(signature);
                }
                false => relatives.push(named),
            }
        }
        apart.extend(relatives);
        apart.truncate(count);
        Ok(apart)
    }

    /// A candidate's loss by its number.
    fn named(
        &self,
        row: &CandidateRow,
        recorder: &Recorder,
    ) -> Result<(String, Loss), SearchError> {
        let loss = stored_loss(self.task, recorder.store(), row)?;
        Ok((format!("#{}", row.candidate.id), loss))
    }

    fn job(&self, set: EvaluationSet) -> Job {
        Job {
            schedule: Schedule::Full,
            set,
            stop_on_invalid: self.settings.search.stop_on_invalid,
            ..Job::default()
        }
    }

    /// The trainings of a stage in the order of the entries; `None` after an interrupt.
    fn train(
        &self,
        stage: FinalStage,
        wanted: &[Entry],
        recorder: &mut Recorder,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Option<Vec<Ended>>, SearchError> {
        let mut done = recorder.store().trainings_of(stage)?;
        // Failed ones are tried again.
        done.retain(Result::is_ok);
        let missing = wanted.iter();
        let missing = missing.filter(|entry| !done.iter().any(|ended| entry.is_of(ended)));
        let missing: Vec<Entry> = missing.cloned().collect();
        if !missing.is_empty() {
            on_event(&Event::StageStarted {
                stage,
                missing: missing.len(),
            });
        }
        let new = train_all(
            self.task,
            &missing,
            self.workers,
            self.interrupt,
            &mut |news| {
                let News::Ended(_, ended) = news else {
                    return Ok(());
                };
                let event = Event::Trained {
                    stage,
                    ended: ended.clone(),
                };
                recorder.record(&event, self.clock.elapsed())?;
                on_event(&event);
                Ok(())
            },
        )?;
        done.extend(new);
        let place = |ended: &Ended| wanted.iter().position(|entry| entry.is_of(ended));
        done.retain(|ended| place(ended).is_some());
        done.sort_by_key(place);
        Ok((done.len() == wanted.len()).then_some(done))
    }
}

/// The best candidates of the run by the scores that the search saw, no two of them equivalent.
pub(crate) fn best_found(
    count: usize,
    recorder: &Recorder,
) -> Result<Vec<CandidateRow>, SearchError> {
    let mut distinct = Distinct::default();
    let mut rows = Vec::new();
    for row in recorder.store().top(usize::MAX >> 1)? {
        if rows.len() == count {
            break;
        }
        if distinct.is_new(&row.candidate.canonical, &row.candidate.norms) {
            rows.push(row);
        }
    }
    Ok(rows)
}
