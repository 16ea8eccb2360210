//! Exceptions of the user's functions that end no search.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::errors::with_traceback;
use crate::guard::lock;

/// Exceptions of the user's functions during screening: the candidate counts as invalid, and a person is told.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<(u64, Option<PyErr>)>>);

impl Faults {
    /// Notes an exception; the first is kept.
    pub(super) fn note(&self, error: PyErr) {
        let mut faults = lock(&self.0);
        faults.0 += 1;
        faults.1.get_or_insert(error);
    }

    /// The first exception.
    pub(super) fn take(&self) -> Option<PyErr> {
        let mut faults = lock(&self.0);
        faults.1.take()
    }

    /// A remark on the exceptions so far, once: their number in words, and the first of them.
    pub(super) fn remark(
        &self,
        py: Python<'_>,
        counted: impl FnOnce(u64) -> String,
    ) -> Option<String> {
        let (count, error) = {
            let mut faults = lock(&self.0);
            std::mem::take(&mut *faults)
        };
        let error = error?;
        let text = with_traceback(py, &error);
        Some(format!("{}; the first time:\n{text}", counted(count)))
    }
}
