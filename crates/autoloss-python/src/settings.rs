//! Settings as keywords of a call in Python.

use autoloss_search::{Settings, key_value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use toml::{Table, Value};

use crate::task::PyTask;

/// Settings from (name, value in TOML) pairs. The names of both sections are distinct, so that a call gives them
/// without the section's name.
///
/// # Errors
/// An unknown name, or a value that does not fit.
fn settings(given: Vec<(String, String)>) -> PyResult<Settings> {
    let wrong = |reason: String| PyValueError::new_err(format!("search: {reason}"));
    let screening = Table::try_from(&Settings::default().screening);
    let screening = screening.map_err(|e| wrong(e.to_string()))?;
    let mut sections = [("search", Table::new()), ("screening", Table::new())];
    for (name, text) in given {
        let (key, value) = key_value(&format!("{name}={text}")).map_err(wrong)?;
        let place = usize::from(screening.contains_key(&key));
        sections[place].1.insert(key, value);
    }
    let mut table = Table::new();
    for (name, section) in sections {
        table.insert(name.to_owned(), Value::Table(section));
    }
    Settings::from_table(table).map_err(|e| wrong(e.to_string().replace("settings: ", "")))
}

/// Settings for a task, which is tried first. What is not given fits its samples: operators that change nothing in
/// their shapes are left out, and numbers are moved in screening by steps in proportion to their distance from the
/// targets.
///
/// # Errors
/// As [`settings`]; what is wrong with the task.
pub(crate) fn of_task(
    py: Python<'_>,
    task: &PyTask,
    given: Vec<(String, String)>,
) -> PyResult<Settings> {
    let is_given = |name: &str| given.iter().any(|(other, _)| other == name);
    let own = Settings::FITTED.into_iter().filter(|name| is_given(name));
    let own: Vec<&str> = own.collect();
    let mut settings = settings(given)?;
    task.check(py, &settings)?;
    py.detach(|| settings.fit(task, |name| own.contains(&name)))
        .map_err(|e| PyValueError::new_err(format!("search: {e}")))?;
    settings
        .validate()
        .map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(settings)
}
