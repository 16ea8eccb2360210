//! Settings of a program as a task.

use std::path::PathBuf;

use autoloss_search::read_table;
use serde::{Deserialize, Serialize};
use toml::Table;

/// Settings of a program as a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSettings {
    /// The program and its arguments, as a shell splits them; no shell runs it.
    pub command: String,
    /// The folder that it runs in; `None`: that of this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Longest time of an answer other than a training, in seconds.
    #[serde(default = "answer_time")]
    pub answer_time: f64,
}

const fn answer_time() -> f64 {
    300.0
}

impl ProgramSettings {
    /// Name of such a task in settings.
    pub const NAME: &'static str = "program";

    /// The settings in a table `task`.
    ///
    /// # Errors
    /// An unknown key, a missing command, a value of another type or out of range.
    pub fn from_table(mut table: Table) -> Result<Self, ProgramError> {
        table.remove("name");
        let settings: Self = read_table(table, "task.").map_err(ProgramError::Settings)?;
        settings.command()?;
        let seconds = settings.answer_time;
        if !(seconds.is_finite() && seconds > 0.0) {
            return Err(ProgramError::Settings(format!(
                "task.answer_time: {seconds}, expected seconds above 0"
            )));
        }
        Ok(settings)
    }

    /// The settings as a table `task`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Texts and numbers have a form in TOML.
        let settings = toml::to_string(self).expect("settings can be written as TOML");
        format!("name = \"{}\"\n{settings}", Self::NAME)
    }

    /// The program and its arguments.
    ///
    /// # Errors
    /// An open quote, an empty command.
    pub fn command(&self) -> Result<Vec<String>, ProgramError> {
        let words = shell_words::split(&self.command);
        let words = words.map_err(|error| {
            ProgramError::Settings(format!("task.command: `{}`: {error}", self.command))
        })?;
        match words.is_empty() {
            true => Err(ProgramError::Settings(
                "task.command: empty, expected a program and its arguments".to_owned(),
            )),
            false => Ok(words),
        }
    }
}

/// Why a program cannot be a task.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Settings that cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The program does not work, or describes no task.
    #[error("the program `{command}`: {reason}")]
    Program {
        /// The command.
        command: String,
        /// Its fault, and the behaviour that was expected.
        reason: String,
    },
}
