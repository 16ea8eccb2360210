//! Fidelity of the proxy: its ranking of losses beside that of full training.

use autoloss_search::Job;
use autoloss_search::fidelity::{
    Correlation, Fidelity, FidelityError, FidelityReport, LEAST, PanelKind, PanelLoss, Trainings,
    Tried,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::batch::trained;
use super::compare::of_task;
use crate::guard::guarded;
use crate::store::trainings;
use crate::task::UserTask;
use crate::worker::Crew;

/// Trains each loss of a panel by the proxy and in full: a dictionary of the agreement of both rankings and of the
/// losses, the best in full training first. `losses` are triples of names, formulas and whether people wrote them;
/// `seeds` are the number that seeds follow from and the numbers of proxy and of full trainings of each loss.
///
/// # Errors
/// A loss that is none of the task; fewer losses than tell anything; what a search may raise.
#[pyfunction]
pub(crate) fn fidelity<'py>(
    py: Python<'py>,
    bridge: &Bound<'_, PyAny>,
    losses: Vec<(String, String, bool)>,
    seeds: (u64, usize, usize),
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<Bound<'py, PyDict>> {
    guarded(|| {
        if losses.len() < LEAST {
            return Err(PyValueError::new_err(format!(
                "Run.fidelity: {} losses, expected at least {LEAST}: a ranking of fewer tells nothing; name some by \
                 `losses`",
                losses.len()
            )));
        }
        let task = UserTask::new(bridge)?;
        let mut panel = Vec::with_capacity(losses.len());
        for (name, text, written) in losses {
            let loss = of_task("Run.fidelity", &text, &task)?;
            let kind = match written {
                true => PanelKind::HandWritten,
                false => PanelKind::Given,
            };
            panel.push(PanelLoss { name, loss, kind });
        }
        let base = Job {
            stop_on_invalid: true,
            ..Job::default()
        };
        let (seed, proxy, full) = seeds;
        let planned = Trainings::new(&panel, seed, (proxy, full), &base);
        let lists = [("proxy", planned.proxy), ("full training", planned.full)];
        let ended = trained(py, &task, &lists, progress, crew)?;
        let report = FidelityReport::new(&panel, &ended[0], &ended[1], seed);
        if let Err(FidelityError::Trained { trained, all, .. }) = report.fidelity() {
            let remark = format!(
                "Run.fidelity: only {trained} of the {all} losses train at all, expected at least {LEAST} for a ranking \
                 to tell anything: train longer, or name losses that train"
            );
            task.bridge(py).call_method1("warn", (remark,))?;
        }
        told(py, &report)
    })
}

/// The report as a dictionary; without agreement where too few losses train.
fn told<'py>(py: Python<'py>, report: &FidelityReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let agreement = report.fidelity().ok();
    let of = |correlation: fn(&Fidelity) -> Correlation| agreement.as_ref().map(correlation);
    for (name, found) in [
        ("spearman", of(|fidelity| fidelity.spearman)),
        ("kendall", of(|fidelity| fidelity.kendall)),
    ] {
        dict.set_item(name, found.and_then(|found| found.value))?;
        let interval = found.and_then(|found| found.interval);
        dict.set_item(format!("{name}_interval"), interval)?;
    }
    dict.set_item("regret", agreement.map(|agreement| agreement.regret))?;
    dict.set_item("cost_ratio", report.cost_ratio())?;
    let losses = PyList::empty(py);
    for tried in &report.losses {
        losses.append(loss(py, tried)?)?;
    }
    dict.set_item("losses", losses)?;
    Ok(dict)
}

fn loss<'py>(py: Python<'py>, tried: &Tried) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &tried.name)?;
    dict.set_item("formula", &tried.formula)?;
    dict.set_item("kind", tried.kind.name())?;
    for (name, made) in [("proxy", &tried.proxy), ("full", &tried.full)] {
        dict.set_item(name, made.mean)?;
        dict.set_item(format!("{name}_std"), made.std)?;
        dict.set_item(format!("{name}_trainings"), trainings(py, made)?)?;
        dict.set_item(format!("{name}_failed"), crate::store::failed(made))?;
    }
    Ok(dict)
}
