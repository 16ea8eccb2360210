//! Any program as a task of a search: a child process that says its branches and its metric, gives screening samples,
//! scores predictions, and trains.
//!
//! The program speaks the lines of JSON that `docs/worker.md` describes. [`ProgramTask`] is the task of the search; its
//! trainings are made by worker processes of the same command
//! ([`Processes`](autoloss_search::Processes)), its screening by one process beside them. [`serve()`] is the other side:
//! a task of this program for whoever speaks these messages.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod child;
mod message;
pub mod npy;
mod sample;
mod scores;
mod serve;
mod settings;
mod task;

pub use serve::serve;
pub use settings::{ProgramError, ProgramSettings};
pub use task::{BranchAbout, ProgramTask};
