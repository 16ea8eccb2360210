//! Exit codes: 0 it worked, 1 it failed, 2 it was used wrongly.
//!
//! A reader of standard output or standard error that has left changes no code. A result that cannot be
//! written for another reason, such as a full disk, is a failure, after all else was done.
//!
//! clap itself ends with 2 for arguments it cannot read. Everything that a command finds wrong with
//! its arguments and files (a formula, a name, a setting, a file's type) is a [`Usage`] error.

use std::fmt::Display;
use std::process::ExitCode;

use crate::output::say;

/// Wrong use of the program: the message names the expected one.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Turns an error into a usage error.
pub(crate) fn usage(error: impl Display) -> anyhow::Error {
    anyhow::Error::new(Usage(error.to_string()))
}

/// Prints an error, if there is one, and gives the exit code.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    say!("error: {}", chain(&error));
    match error.is::<Usage>() {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// The error and its causes, without those that the text before them already tells.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
