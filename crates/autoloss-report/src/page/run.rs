//! Content of the page: the parts of a run that it shows.

use autoloss_search::{
    CandidateRow, Comparison, Conclusion, RunInfo, Store, StoreError, Tally, Training,
    WorkerSummary,
};

use crate::kinds::Kinds;

/// Losses that are shown in full.
const SHOWN: usize = 5;

/// A run as the page shows it.
pub(super) struct Run {
    pub(super) info: RunInfo,
    pub(super) kinds: Kinds,
    pub(super) tally: Tally,
    pub(super) workers: Vec<WorkerSummary>,
    /// Candidates that joined the population, in that order.
    pub(super) joined: Vec<CandidateRow>,
    pub(super) best: Vec<CandidateRow>,
    pub(super) reference: Option<Training>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) conclusion: Option<Conclusion>,
    pub(super) operators: Vec<(&'static str, u64)>,
    /// Pictures by the losses of the comparison that have some.
    pub(super) pictures: Vec<(String, Vec<Vec<u8>>)>,
}

impl Run {
    /// Reads the run.
    ///
    /// # Errors
    /// If a part of it cannot be read.
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let mut joined: Vec<CandidateRow> = store.candidates()?;
        joined.retain(|row| row.joined.is_some());
        joined.sort_by_key(|row| row.joined);
        let comparisons = store.comparisons()?;
        let mut pictures = Vec::new();
        for comparison in &comparisons {
            let shown = store.pictures(&comparison.name)?;
            if !shown.is_empty() {
                pictures.push((comparison.name.clone(), shown));
            }
        }
        Ok(Self {
            info: store.info()?,
            kinds: Kinds::of(store)?,
            tally: store.tally()?,
            workers: store.workers()?,
            joined,
            best: store.top(SHOWN)?,
            reference: store.reference()?,
            comparisons,
            conclusion: store.conclusion()?,
            operators: store.operator_counts()?,
            pictures,
        })
    }
}
