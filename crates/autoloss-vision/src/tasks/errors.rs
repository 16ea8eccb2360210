//! The errors of tasks: settings that cannot be used, and tasks that cannot be set up.

use autoloss_data::DataError;
use autoloss_metrics::MetricError;
use autoloss_nets::NetworkError;

/// Settings that cannot be used: which one, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TaskSettingsError(pub String);

/// Why a task could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(#[from] TaskSettingsError),
    /// Data that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that cannot be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An unknown metric, or a number of classes no metric takes.
    #[error(transparent)]
    Metric(#[from] MetricError),
}
