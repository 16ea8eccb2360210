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
use crate::seed::{final_seeds, finalist_seeds};
use crate::settings::Settings;
use crate::store::{CandidateRow, Recorder};
use crate::task::{EvaluationSet, Interrupt, Job, Schedule, Task};

/// Pictures of each loss that the final comparison keeps.
const PICTURES: usize = 4;

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
        let rows = best_found(search.final_losses, recorder)?;
        let mut finalists = Vec::new();
        for row in &rows {
            let loss = stored_loss(self.task, recorder.store(), row)?;
            finalists.push((format!("#{}", row.candidate.id), loss));
        }
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
