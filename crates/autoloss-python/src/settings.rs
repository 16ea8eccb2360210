//! Settings as keywords of a call in Python.

use autoloss_expr::Operator;
use autoloss_search::seed::samples_seed;
use autoloss_search::{Sample, Settings, Task, key_value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use toml::{Table, Value};

use crate::task::PyTask;

/// Step size of numbers over that of probabilities, for numbers at a distance of 1 from their targets: the first
/// tenth of the steps, by which most losses are rejected, must lead as far as the targets.
const STEPS_PER_DISTANCE: f64 = 3.0;

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
    let (operators, step_size) = (is_given("operators"), is_given("step_size"));
    let mut settings = settings(given)?;
    task.check(py, &settings)?;
    let (count, seed) = (
        settings.screening.samples,
        samples_seed(settings.search.seed),
    );
    let samples = py.detach(|| task.samples(count, seed));
    let samples = samples.map_err(|e| PyValueError::new_err(format!("search: {e}")))?;
    if !operators {
        settings
            .search
            .operators
            .retain(|name| changes(name, &samples));
    }
    let mut branches = task.branches().iter();
    if !step_size && !branches.any(|branch| branch.inputs[branch.prediction()].is_softmax()) {
        let distance = mean_distance(&samples);
        if distance > 0.0 && distance.is_finite() {
            settings.screening.step_size *= STEPS_PER_DISTANCE * distance;
        }
    }
    settings
        .validate()
        .map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(settings)
}

/// Whether an operator changes anything in the shapes of the samples.
fn changes(operator: &str, samples: &[Sample]) -> bool {
    let mut shapes = samples
        .iter()
        .flat_map(|sample| &sample.branches)
        .map(|branch| branch.shape);
    match Operator::from_name(operator) {
        Some(Operator::MaxPool | Operator::MinPool) => shapes.any(|shape| shape.h * shape.w > 1),
        Some(Operator::MeanC) => shapes.any(|shape| shape.c > 1),
        Some(Operator::MeanNhw) => shapes.any(|shape| shape.positions() > 1),
        _ => true,
    }
}

/// Mean distance between predictions and targets.
fn mean_distance(samples: &[Sample]) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for branch in samples.iter().flat_map(|sample| &sample.branches) {
        for (yhat, y) in branch.inputs[0].iter().zip(&branch.inputs[1]) {
            sum += f64::from((yhat - y).abs());
            count += 1;
        }
    }
    sum / count.max(1) as f64
}
