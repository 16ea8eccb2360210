//! Settings of a search and of its task from one table, as files, flags, stored runs and other languages give
//! them.

use std::path::Path;

use autoloss_search::resolve::resolve_fixed;
use autoloss_search::{Settings, add_defaults};
use toml::{Table, Value};

use super::errors::TaskSettingsError;
use super::settings::TaskSettings;
use crate::device::is_processor;

/// Everything a run is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Settings of the search.
    pub search: Settings,
    /// Settings of the task.
    pub task: TaskSettings,
}

impl Configuration {
    /// The settings in the tables `search`, `screening` and `task`, above those that the task has for a search,
    /// or above a preset of the search (TOML) in their place, above the defaults. Paths become absolute, and
    /// losses that are named become formulas: a run can be gone on with from another folder.
    ///
    /// # Errors
    /// An unknown key, a value of another type or out of range, a path that is not UTF-8.
    pub fn from_table(mut table: Table, preset: Option<&str>) -> Result<Self, TaskSettingsError> {
        let own = match table.remove("task") {
            None => Table::new(),
            Some(Value::Table(task)) => task,
            Some(_) => return Err(said("`task` is a table: write [task] and its keys below")),
        };
        let mut task = TaskSettings::from_table(&own)?;
        let defaults = match preset {
            Some(preset) => toml::from_str(preset).map_err(said)?,
            None => task.name().search_preset(),
        };
        add_defaults(&mut table, defaults);
        if !is_processor(task.device()) {
            let defaults = of_device(&table);
            add_defaults(&mut table, defaults);
        }
        let mut search = Settings::from_table(table).map_err(said)?;
        resolve_fixed(&mut search.search).map_err(said)?;
        for path in task.paths() {
            *path = std::path::absolute(&path).map_err(said)?;
            utf8(path)?;
        }
        Ok(Self { search, task })
    }
}

/// Defaults of a search that trains on another device than the processor: a process for each, whose trainings leave the
/// cores to screening, and one training at a time on a device.
fn of_device(table: &Table) -> Table {
    let mut search = Table::new();
    search.insert("executor".to_owned(), Value::String("processes".to_owned()));
    let devices = table.get("search").and_then(|search| search.get("devices"));
    if devices.is_none() {
        search.insert("workers".to_owned(), Value::Integer(1));
    }
    let mut defaults = Table::new();
    defaults.insert("search".to_owned(), Value::Table(search));
    defaults
}

/// A path as settings can hold it.
///
/// # Errors
/// A path that is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str, TaskSettingsError> {
    let text = path.to_str();
    text.ok_or_else(|| said(format!("{}: expected a path in UTF-8", path.display())))
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn said(error: impl ToString) -> TaskSettingsError {
    TaskSettingsError(error.to_string())
}

#[cfg(test)]
mod tests {
    use autoloss_search::Place;

    use super::*;

    #[test]
    fn a_device_has_one_process_unless_settings_say_otherwise() {
        for (text, place, workers) in [
            ("", Place::Threads, 0),
            ("[task]\ndevice = \"flex:0\"", Place::Threads, 0),
            ("[task]\ndevice = \"cuda\"", Place::Processes, 1),
            (
                "[task]\ndevice = \"cuda\"\n[search]\nworkers = 3",
                Place::Processes,
                3,
            ),
            (
                "[task]\ndevice = \"cuda\"\n[search]\nexecutor = \"threads\"",
                Place::Threads,
                1,
            ),
            (
                "[task]\ndevice = \"cuda:0\"\n[search]\ndevices = [\"cuda:0\", \"cuda:1\"]",
                Place::Processes,
                0,
            ),
        ] {
            let table = toml::from_str(text).unwrap();
            let search = Configuration::from_table(table, None)
                .unwrap()
                .search
                .search;
            assert_eq!(
                (search.executor, search.workers),
                (place, workers),
                "{text}"
            );
        }
    }
}
