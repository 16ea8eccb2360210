//! Exceptions of Python for errors of the search, and exceptions as text.

use autoloss_search::{FolderError, SearchError, StoreError};
use pyo3::create_exception;
use pyo3::exceptions::{
    PyFileExistsError, PyFileNotFoundError, PyOSError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

create_exception!(
    autoloss,
    SearchFailed,
    PyRuntimeError,
    "A search that could not go on; its cause is the exception of the user's code, where there is one."
);

/// Exception for an error of the search. Errors of the user's code get `cause`, the last exception there, which is
/// asked for only then.
pub(crate) fn search_error(
    py: Python<'_>,
    error: &SearchError,
    cause: impl FnOnce() -> Option<PyErr>,
) -> PyErr {
    let raised = match error {
        SearchError::Settings(_)
        | SearchError::Budget { .. }
        | SearchError::NoSurrogate { .. }
        | SearchError::OtherTask { .. } => PyValueError::new_err(error.to_string()),
        SearchError::Store(error) => store_error(error),
        _ => SearchFailed::new_err(error.to_string()),
    };
    let by_user = matches!(
        error,
        SearchError::EvaluationsFail { .. }
            | SearchError::Baseline { .. }
            | SearchError::Samples { .. }
            | SearchError::Training { .. }
    );
    if by_user && let Some(cause) = cause() {
        raised.set_cause(py, Some(cause));
    }
    raised
}

/// Exception for an error of a run on disk.
pub(crate) fn store_error(error: &StoreError) -> PyErr {
    let text = error.to_string();
    match error {
        StoreError::NoRun(_) => PyFileNotFoundError::new_err(text),
        StoreError::Exists(_) | StoreError::Folder(FolderError::Exists(_)) => {
            PyFileExistsError::new_err(text)
        }
        StoreError::Settings { .. } => PyValueError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}

/// Text of an exception as Python prints it, with its traceback.
pub(crate) fn with_traceback(py: Python<'_>, error: &PyErr) -> String {
    let format = || -> PyResult<String> {
        let traceback = py.import("traceback")?;
        let parts = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = traceback.call_method1("format_exception", parts)?;
        Ok(lines
            .extract::<Vec<String>>()?
            .concat()
            .trim_end()
            .to_owned())
    };
    format().unwrap_or_else(|_| error.to_string())
}
