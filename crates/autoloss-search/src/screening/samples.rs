//! The stored samples: taken from the task, checked, and scored as they are.

use super::simulated::simulate;
use crate::error::SearchError;
use crate::seed::samples_seed;
use crate::settings::{Settings, Strategy};
use crate::task::{BranchSample, BranchSpec, Role, Sample, Task};

/// The task's samples, in the form that is optimised.
pub(super) fn stored(task: &dyn Task, settings: &Settings) -> Result<Vec<Sample>, SearchError> {
    let wanted = settings.screening.samples;
    let mut samples = task
        .samples(wanted, samples_seed(settings.search.seed))
        .map_err(|e| wrong(task, e))?;
    if samples.len() != wanted {
        return Err(wrong(task, format!("got {} of {wanted}", samples.len())));
    }
    for (number, sample) in samples.iter_mut().enumerate() {
        check_form(sample, task.branches())
            .map_err(|e| wrong(task, format!("sample {number}: {e}")))?;
    }
    if settings.search.strategy == Strategy::Cse {
        simulate(&mut samples, task.branches(), settings.search.seed);
    }
    Ok(samples)
}

/// ξ(ŷ_b, y_b) of the samples as they are stored.
pub(super) fn scores(
    task: &dyn Task,
    branches: &[BranchSpec],
    samples: &[Sample],
) -> Result<Vec<f64>, SearchError> {
    let score = |(number, sample): (usize, &Sample)| {
        let predictions: Vec<&[f32]> = branches
            .iter()
            .zip(&sample.branches)
            .map(|(spec, branch)| branch.inputs[spec.prediction()].as_slice())
            .collect();
        let score = (sample.scorer)(&predictions);
        score.is_finite().then_some(score).ok_or_else(|| {
            wrong(
                task,
                format!(
                    "sample {number}: the metric `{}` of the stored predictions is {score}, expected a finite number",
                    task.metric()
                ),
            )
        })
    };
    samples.iter().enumerate().map(score).collect()
}

/// A list of samples for each branch by itself, scored by the branch's own metric.
pub(super) fn by_branch(
    task: &dyn Task,
    samples: Vec<Sample>,
) -> Result<Vec<Vec<Sample>>, SearchError> {
    let specs = task.branches();
    let mut lists: Vec<Vec<Sample>> = specs.iter().map(|_| Vec::new()).collect();
    for (number, sample) in samples.into_iter().enumerate() {
        for ((branch, list), spec) in sample.branches.into_iter().zip(&mut lists).zip(specs) {
            list.push(alone(branch).ok_or_else(|| {
                let name = &spec.name;
                let missing = format!("sample {number}: branch `{name}` has no metric of its own");
                wrong(task, missing)
            })?);
        }
    }
    Ok(lists)
}

fn alone(mut branch: BranchSample) -> Option<Sample> {
    let scorer = branch.scorer.take()?;
    Some(Sample {
        branches: vec![branch],
        scorer: Box::new(move |predictions| scorer(predictions[0])),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn wrong(task: &dyn Task, reason: impl ToString) -> SearchError {
    SearchError::Samples {
        task: task.name().to_owned(),
        reason: reason.to_string(),
    }
}

fn check_form(sample: &Sample, branches: &[BranchSpec]) -> Result<(), String> {
    if sample.branches.len() != branches.len() {
        return Err(format!(
            "{} branches, expected {}",
            sample.branches.len(),
            branches.len()
        ));
    }
    for (spec, branch) in branches.iter().zip(&sample.branches) {
        let predictions = spec.inputs.iter();
        let predictions = predictions.filter(|i| matches!(i.role, Role::Prediction { .. }));
        if predictions.count() != 1 {
            return Err(format!("branch `{}` has not one prediction", spec.name));
        }
        if spec.derived().next().is_some() != branch.derived.is_some() {
            return Err(format!(
                "branch `{}`: derived inputs and how they follow belong together",
                spec.name
            ));
        }
        if branch.inputs.len() != spec.inputs.len() {
            return Err(format!(
                "branch `{}` has {} inputs, expected {}",
                spec.name,
                branch.inputs.len(),
                spec.inputs.len()
            ));
        }
        for (input, field) in spec.inputs.iter().zip(&branch.inputs) {
            if field.len() != branch.shape.len() {
                return Err(format!(
                    "input `{}` of branch `{}` has {} elements, expected {} for the shape {}",
                    input.name,
                    spec.name,
                    field.len(),
                    branch.shape.len(),
                    branch.shape
                ));
            }
        }
    }
    Ok(())
}
