//! Helpers of this crate's tests.

use std::fmt::Debug;

use autoloss_data::DataError;

/// The text of the error a call must end in.
pub(crate) fn message<T: Debug>(result: Result<T, DataError>) -> String {
    result.expect_err("an error was expected").to_string()
}
