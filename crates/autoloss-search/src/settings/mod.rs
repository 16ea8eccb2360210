//! Settings of a search: every number of the method that a person may want to change.
//!
//! `default.toml` has the defaults, with each key's meaning and source.

mod check;
mod error;
mod fit;
mod screening;
mod search;
#[cfg(test)]
mod tests;
mod text;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use check::MAX_DEPTH;
pub use error::SettingsError;
pub use screening::{Branches, Predictions, ScreeningSettings};
pub(crate) use search::RestartBranches;
pub use search::{Place, SearchSettings, Strategy};
use text::fill;
pub use text::{add_defaults, key_value, parse_toml, read_table, set_key};

/// The file of defaults: its table, and the settings that it holds.
static DEFAULTS: LazyLock<(toml::Table, Settings)> = LazyLock::new(|| {
    let table = parse_toml(Settings::DEFAULT_TOML).expect("the file of defaults is TOML");
    let settings = read_table(table.clone(), "").expect("the file of defaults has every key");
    (table, settings)
});

/// Everything that steers a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Proposals, trainings and the end of a search.
    pub search: SearchSettings,
    /// Choice of the candidates that are worth an evaluation.
    pub screening: ScreeningSettings,
}

impl Default for Settings {
    fn default() -> Self {
        DEFAULTS.1.clone()
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        DEFAULTS.1.search.clone()
    }
}

impl Default for ScreeningSettings {
    fn default() -> Self {
        DEFAULTS.1.screening.clone()
    }
}

impl Settings {
    /// The commented defaults, as a file to start from.
    pub const DEFAULT_TOML: &str = include_str!("../default.toml");

    /// The published configuration of AutoLoss-Zero (arXiv 2103.14026), where it differs from the defaults or
    /// from a task's settings.
    pub const PAPER_TOML: &str = include_str!("../paper.toml");

    /// Reads settings from TOML; keys left out keep their defaults.
    ///
    /// # Errors
    /// If the text is not TOML, has unknown keys, or values that [`Settings::validate`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        Self::from_table(parse_toml(text).map_err(SettingsError::Toml)?)
    }

    /// Settings from a table; keys left out keep their defaults.
    ///
    /// # Errors
    /// If there are unknown keys, or values that [`Settings::validate`] refuses.
    pub fn from_table(table: toml::Table) -> Result<Self, SettingsError> {
        let search = table.get("search");
        let chosen = search.is_some_and(|search| search.get("choices").is_some());
        let mut settings = Self::read(table).map_err(SettingsError::Toml)?;
        if !chosen {
            settings.search.choices = settings.search.strategy.choices();
        }
        settings.validate()?;
        Ok(settings)
    }

    /// Settings from a table, whose values may be out of range; keys left out keep their defaults.
    fn read(mut table: toml::Table) -> Result<Self, String> {
        fill(&mut table, DEFAULTS.0.clone());
        read_table(table, "")
    }

    /// The settings as TOML, without comments.
    ///
    /// # Panics
    /// If the seed is larger than TOML's integers, which [`Settings::validate`] refuses.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("valid settings are expressible in TOML")
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// Names the first key that is out of range, and its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.search.validate()?;
        self.screening.validate()
    }
}
