//! The Python package `autoloss`: losses, metrics, and the search for losses, as the module `autoloss._core`.
//!
//! The search runs in Rust without the interpreter's lock; trainings and metrics of the user call back into
//! Python. Python code beside this crate (`python/autoloss`) holds what is easier said there: the classes that
//! users derive from, the PyTorch module of a loss, tables and plots.

mod arrays;
mod errors;
mod guard;
mod loss;
mod metrics;
mod program;
mod run;
mod settings;
mod store;
mod study;
mod task;
mod worker;

use pyo3::prelude::*;

/// The native part of the package.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::errors::SearchFailed;
    #[pymodule_export]
    use crate::guard::_panic;
    #[pymodule_export]
    use crate::loss::{PyLoss, zoo};
    #[pymodule_export]
    use crate::metrics::coco::coco;
    #[pymodule_export]
    use crate::metrics::{PyMetric, argmax, confusion_matrix};
    #[pymodule_export]
    use crate::program::PyProgram;
    #[pymodule_export]
    use crate::run::compare::compare;
    #[pymodule_export]
    use crate::run::fidelity::fidelity;
    #[pymodule_export]
    use crate::run::{resume, search};
    #[pymodule_export]
    use crate::store::PyStore;
    #[pymodule_export]
    use crate::study::PyStudy;
    #[pymodule_export]
    use crate::task::{Interrupted, NotFinite, PyJob};
    #[pymodule_export]
    use crate::worker::{PyEar, serve};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
