//! The border to Python: no panic of Rust crosses it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Result of a computation; a panic in it becomes a `RuntimeError`, as a panic that reaches Python is a
/// `BaseException` that no `except Exception` catches.
///
/// # Errors
/// Those of the computation, and the panic.
pub(crate) fn guarded<T>(compute: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(compute)).unwrap_or_else(|panic| Err(internal(&*panic)))
}

/// The exception that a panic becomes.
pub(crate) fn internal(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    PyRuntimeError::new_err(format!(
        "autoloss has a fault: {text}; please report it with the call that led to it"
    ))
}

/// The value behind a lock, after a panic of another thread, too: such a panic was an exception, and the program goes on.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Panics behind the border, for the test that an exception comes out.
///
/// # Errors
/// Always, with the text.
#[pyfunction]
pub(crate) fn _panic(text: &str) -> PyResult<()> {
    guarded(|| panic!("{text}"))
}
