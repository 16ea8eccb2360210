//! The stored samples: taken from the task, checked, and scored as they are.

use super::logits;
use crate::error::SearchError;
use crate::seed::samples_seed;
use crate::settings::{Predictions, Settings};
use crate::task::{BranchSpec, Sample, Task};

/// The samples, and ξ(ŷ_b, y_b) of each.
pub(super) fn stored(
    task: &dyn Task,
    settings: &Settings,
) -> Result<(Vec<Sample>, Vec<f64>), SearchError> {
    let fail = |reason| SearchError::Samples {
        task: task.name().to_owned(),
        reason,
    };
    let wanted = settings.screening.samples;
    let mut samples = task
        .samples(wanted, samples_seed(settings.search.seed))
        .map_err(|e| fail(e.to_string()))?;
    if samples.len() != wanted {
        return Err(fail(format!("got {} of {wanted}", samples.len())));
    }
    let branches = task.branches().to_vec();
    let mut before = Vec::with_capacity(wanted);
    for (number, sample) in samples.iter().enumerate() {
        check_form(sample, &branches).map_err(|e| fail(format!("sample {number}: {e}")))?;
        let predictions: Vec<&[f32]> = branches
            .iter()
            .zip(&sample.branches)
            .map(|(spec, branch)| branch.inputs[prediction(spec)].as_slice())
            .collect();
        let score = (sample.scorer)(&predictions);
        if !score.is_finite() {
            return Err(fail(format!(
                "sample {number}: the metric `{}` of the stored predictions is {score}, expected a finite number",
                task.metric()
            )));
        }
        before.push(score);
    }
    if settings.screening.predictions == Predictions::Logits {
        for sample in &mut samples {
            for (spec, branch) in branches.iter().zip(&mut sample.branches) {
                logits::of_probabilities(spec, &mut branch.inputs);
            }
        }
    }
    Ok((samples, before))
}

/// The input of a branch that the metric reads: the first differentiable one.
pub(super) fn prediction(spec: &BranchSpec) -> usize {
    let differentiable = spec.inputs.iter().position(|input| input.differentiable);
    differentiable.unwrap_or(0)
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
        if !spec.inputs.iter().any(|input| input.differentiable) {
            return Err(format!(
                "branch `{}` has no differentiable input",
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
