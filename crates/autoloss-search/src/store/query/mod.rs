//! Queries of a run on disk.

mod candidates;
mod run;
mod trainings;
mod workers;

use rusqlite::Params;

use super::row::{Cells, Fault};
use super::{Store, StoreError};

pub use candidates::CandidateRow;
pub use run::{RunBranch, RunInfo};
pub use workers::WorkerSummary;

impl Store {
    /// The rows of a query of a table, whose rows people know by a column.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        table: &'static str,
        key: Option<&'static str>,
        read: impl Fn(&Cells<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || -> Result<Vec<T>, Fault> {
            let mut statement = self.connection.prepare(sql)?;
            let rows =
                statement.query_and_then(values, |row| read(&Cells::new(row, table, key)))?;
            rows.collect()
        };
        rows().map_err(|fault| match fault {
            Fault::Sql(source) => StoreError::Sql {
                path: self.path.clone(),
                source,
            },
            Fault::Damage(what) => self.damaged(what),
        })
    }
}
