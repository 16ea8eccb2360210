//! The record of a run on disk, read back for a search that goes on and for the end of a run.

use autoloss_expr::Loss;

use crate::error::SearchError;
use crate::store::{CandidateRow, Store};
use crate::study::{Context, Record};
use crate::task::{Task, parse_loss};

impl Record {
    /// The record of a run on disk, whose candidates are `rows`.
    ///
    /// # Errors
    /// If the file cannot be read, or holds a formula that is none of the task.
    pub fn read(
        task: &dyn Task,
        context: &Context,
        store: &Store,
        rows: Vec<CandidateRow>,
    ) -> Result<Self, SearchError> {
        let tally = store.tally_of(&rows)?;
        // Without the factors that balance the branches.
        let with_loss = |row: CandidateRow| {
            let loss = context.loss_of(stored_loss(task, store, &row)?);
            Ok((row, loss))
        };
        let learned = |(formula, score): (String, f64)| {
            let loss = read_loss(task, store, &formula, "table `training`")?;
            Ok((loss, score))
        };
        Ok(Self {
            rows: rows
                .into_iter()
                .map(with_loss)
                .collect::<Result<_, SearchError>>()?,
            reports: store.reports()?,
            repeats: store.repeats()?,
            learned: store
                .learned()?
                .into_iter()
                .map(learned)
                .collect::<Result<_, SearchError>>()?,
            tally,
        })
    }
}

/// The loss of a candidate of the run so far.
pub(crate) fn stored_loss(
    task: &dyn Task,
    store: &Store,
    row: &CandidateRow,
) -> Result<Loss, SearchError> {
    let place = format!("table `candidate` {}", row.candidate.id);
    read_loss(task, store, &row.candidate.formula, &place)
}

/// The loss of a stored formula; `place` tells where it stands.
fn read_loss(
    task: &dyn Task,
    store: &Store,
    formula: &str,
    place: &str,
) -> Result<Loss, SearchError> {
    parse_loss(task, formula).map_err(|error| {
        let problem = format!("{place}: {error} in `{formula}`");
        SearchError::Store(store.damaged(problem))
    })
}
