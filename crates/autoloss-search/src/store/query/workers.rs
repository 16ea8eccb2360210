//! The work of each worker of a search.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::store::{FIRST_WITH_BRANCHES, Store, StoreError};

/// The trials of one worker of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WorkerSummary {
    /// Number of the worker, from 0.
    pub worker: u64,
    /// Trials that ended on it with an outcome.
    pub trials: u64,
    /// Share of the time up to the search's last trial that its trials took, lost ones included.
    pub busy: f64,
    /// Trials that lost it: it was killed, ended by itself or exceeded the time limit.
    pub lost: u64,
}

impl Store {
    /// The work of each worker that had a trial, by its number; empty in runs from before format 1.6.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn workers(&self) -> Result<Vec<WorkerSummary>, StoreError> {
        if self.minor < FIRST_WITH_BRANCHES {
            return Ok(Vec::new());
        }
        let sql = "SELECT candidate, worker, seconds, elapsed, lost FROM trial";
        let trials = self.rows(sql, [], "trial", Some("candidate"), |row| {
            let (seconds, elapsed) = (row.seconds("seconds")?, row.seconds("elapsed")?);
            Ok((row.whole("worker")?, seconds, elapsed, row.whole("lost")?))
        })?;
        let last = trials.iter().map(|trial| trial.2).fold(0.0, f64::max);
        let mut workers: BTreeMap<u64, WorkerSummary> = BTreeMap::new();
        for (worker, seconds, _, lost) in trials {
            let summary = workers.entry(worker).or_insert(WorkerSummary {
                worker,
                trials: 0,
                busy: 0.0,
                lost: 0,
            });
            match lost {
                0 => summary.trials += 1,
                _ => summary.lost += 1,
            }
            if last > 0.0 {
                summary.busy += seconds / last;
            }
        }
        Ok(workers.into_values().collect())
    }
}
