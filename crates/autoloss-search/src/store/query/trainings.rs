//! Trainings with a fixed loss: the reference, the full trainings, and the loss that they tell to use.

use super::candidates::CandidateRow;
use crate::comparison::{Comparison, summarise};
use crate::conclusion::{Conclusion, candidate_id};
use crate::event::{Ended, FailedTraining, FinalStage, Training};
use crate::store::row::Cells;
use crate::store::{EARLIER, REPEAT, Store, StoreError};
use crate::task::EvaluationSet;

impl Store {
    /// The training of the task's usual loss with the search's seed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn reference(&self) -> Result<Option<Training>, StoreError> {
        let reference = self.trainings("reference", self.searched_on())?;
        Ok(reference.into_iter().next())
    }

    /// The full trainings of a stage made so far, the failed ones last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn trainings_of(&self, stage: FinalStage) -> Result<Vec<Ended>, StoreError> {
        let scored = self.trainings(stage.purpose(), stage.set())?;
        let failed = self.failures(stage.purpose())?;
        Ok(scored
            .into_iter()
            .map(Ok)
            .chain(failed.into_iter().map(Err))
            .collect())
    }

    /// The further trainings of leaders, in the order in which they ended, the failed ones last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn repeats(&self) -> Result<Vec<Ended>, StoreError> {
        let scored = self.trainings(REPEAT, EvaluationSet::Search)?.into_iter();
        let failed = self.failures(REPEAT)?.into_iter();
        Ok(scored.map(Ok).chain(failed.map(Err)).collect())
    }

    /// The trained losses of an earlier run that predictions are made from, the oldest first: each formula with
    /// its score there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn learned(&self) -> Result<Vec<(String, f64)>, StoreError> {
        let trainings = self.trainings(EARLIER, EvaluationSet::Search)?.into_iter();
        Ok(trainings.map(|t| (t.formula, t.score)).collect())
    }

    /// The final comparison, as far as it was made; the highest mean first, losses without a score last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn comparisons(&self) -> Result<Vec<Comparison>, StoreError> {
        self.summary_of(FinalStage::Comparison)
    }

    /// The full trainings of the finalists on the search set, as far as they were made; the highest mean
    /// first, losses without a score last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn finalists(&self) -> Result<Vec<Comparison>, StoreError> {
        self.summary_of(FinalStage::Finalists)
    }

    fn summary_of(&self, stage: FinalStage) -> Result<Vec<Comparison>, StoreError> {
        let mut comparisons = summarise(self.trainings_of(stage)?);
        comparisons.sort_by(Comparison::better_first);
        Ok(comparisons)
    }

    /// The candidate that full training found best on the search set; before there is one, the best by its
    /// proxy score. Runs from before there was a search set have chosen on the validation set.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn best_found(&self) -> Result<Option<CandidateRow>, StoreError> {
        let mean = |c: &Comparison| match self.searched_on() {
            EvaluationSet::Search => c.search_mean(),
            EvaluationSet::Validation => c.mean,
        };
        let best_of = |comparisons: Vec<Comparison>| {
            let mut best: Option<(u64, f64)> = None;
            for comparison in comparisons {
                if let (Some(id), Some(mean)) = (candidate_id(&comparison.name), mean(&comparison))
                    && best.is_none_or(|(_, best)| mean > best)
                {
                    best = Some((id, mean));
                }
            }
            best
        };
        let best = match best_of(self.finalists()?) {
            Some(best) => Some(best),
            None => best_of(self.comparisons()?),
        };
        match best {
            Some((id, _)) => self.candidate(id),
            None => Ok(self.top(1)?.into_iter().next()),
        }
    }

    /// The result of the final comparison; `None` before a loss found has a score in it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn conclusion(&self) -> Result<Option<Conclusion>, StoreError> {
        Ok(Conclusion::of(&self.comparisons()?))
    }

    /// Name and formula of the loss to use: that which the final comparison recommends, before there is one
    /// the best found.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn recommended(&self) -> Result<Option<(String, String)>, StoreError> {
        if let Some(conclusion) = self.conclusion()? {
            let (name, formula) = conclusion.recommended();
            return Ok(Some((name.to_owned(), formula.to_owned())));
        }
        let best = self.best_found()?.map(|row| row.candidate);
        Ok(best.map(|best| (format!("#{}", best.id), best.formula)))
    }

    /// Pictures of the outputs of a network trained with a loss of the final comparison: PNG files.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn pictures(&self, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT name, png FROM picture WHERE name = ? ORDER BY number";
        self.rows(sql, [name], "picture", Some("name"), |row| row.bytes("png"))
    }

    fn failures(&self, purpose: &str) -> Result<Vec<FailedTraining>, StoreError> {
        let sql = "SELECT * FROM failure WHERE purpose = ? ORDER BY rowid";
        self.rows(sql, [purpose], "failure", Some("name"), |row| {
            Ok(FailedTraining {
                name: row.text("name")?,
                formula: row.text("formula")?,
                seed: row.seed("seed")?,
                message: row.text("message")?,
                seconds: row.seconds("seconds")?,
            })
        })
    }

    /// The trainings made for a purpose, which says the set that they were scored on.
    fn trainings(&self, purpose: &str, set: EvaluationSet) -> Result<Vec<Training>, StoreError> {
        let sql = "SELECT * FROM training WHERE purpose = ? ORDER BY rowid";
        self.rows(sql, [purpose], "training", Some("name"), |row| {
            Ok(Training {
                name: row.text("name")?,
                formula: row.text("formula")?,
                seed: row.seed("seed")?,
                set,
                score: row.finite("score")?,
                seconds: row.seconds("seconds")?,
                note: row.optional("note", Cells::text)?,
                curve: row.pairs("curve")?,
                metrics: row.pairs("metrics")?,
                pictures: Vec::new(),
            })
        })
    }
}
