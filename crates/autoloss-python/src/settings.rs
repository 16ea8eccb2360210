//! Settings as keywords of a call in Python.

use autoloss_search::{Settings, add_defaults, key_value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use toml::{Table, Value};

use crate::task::UserTask;

/// Settings from (name, value in TOML) pairs, above those that a task has for a search. The names of both sections are
/// distinct, so that a call gives them without the section's name.
///
/// # Errors
/// An unknown name, or a value that does not fit.
fn settings(given: Vec<(String, String)>, own: Table) -> PyResult<Settings> {
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
    add_defaults(&mut table, own);
    // Metrics of one's own begin anywhere.
    let normalise = Table::from_iter([("normalise".to_owned(), true.into())]);
    let screening = Table::from_iter([("screening".to_owned(), normalise.into())]);
    add_defaults(&mut table, screening);
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
    task: &UserTask,
    given: Vec<(String, String)>,
) -> PyResult<Settings> {
    let own = task.search_settings();
    let is_given = |name: &str| {
        let mut sections = own.values().filter_map(Value::as_table);
        given.iter().any(|(other, _)| other == name) || sections.any(|own| own.contains_key(name))
    };
    let fixed = Settings::FITTED.into_iter().filter(|name| is_given(name));
    let fixed: Vec<&str> = fixed.collect();
    let mut settings = settings(given, own)?;
    task.check(py, &settings)?;
    py.detach(|| settings.fit(&**task, |name| fixed.contains(&name)))
        .map_err(|e| PyValueError::new_err(format!("search: {e}")))?;
    settings
        .validate()
        .map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(settings)
}
