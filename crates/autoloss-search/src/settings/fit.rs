//! Settings that follow from a task's samples.

use autoloss_expr::Operator;

use super::Settings;
use crate::seed::samples_seed;
use crate::task::{Sample, Task, TaskError};

/// Step size of numbers over that of probabilities, for numbers at a distance of 1 from their targets: the first
/// tenth of the steps, by which most losses are rejected, must lead as far as the targets.
const STEPS_PER_DISTANCE: f64 = 3.0;

impl Settings {
    /// Keys that [`Settings::fit`] changes.
    pub const FITTED: [&str; 2] = ["operators", "step_size"];

    /// Fits settings that nobody gave to a task whose data are not known beforehand: operators that change nothing in
    /// the shapes of its samples are left out, and numbers are moved in screening by steps in proportion to their
    /// distance from the targets.
    ///
    /// # Errors
    /// Samples that the task cannot make.
    pub fn fit(
        &mut self,
        task: &dyn Task,
        is_given: impl Fn(&str) -> bool,
    ) -> Result<(), TaskError> {
        let seed = samples_seed(self.search.seed);
        let samples = task.samples(self.screening.samples, seed)?;
        if !is_given("operators") {
            let operators = &mut self.search.operators;
            operators.retain(|name| changes(name, &samples));
        }
        let mut branches = task.branches().iter();
        let is_softmax = branches.any(|branch| branch.inputs[branch.prediction()].is_softmax());
        let distance = mean_distance(&samples);
        if !is_given("step_size") && !is_softmax && distance > 0.0 && distance.is_finite() {
            self.screening.step_size *= STEPS_PER_DISTANCE * distance;
        }
        Ok(())
    }
}

/// Whether an operator changes anything in the shapes of the samples.
fn changes(operator: &str, samples: &[Sample]) -> bool {
    let branches = samples.iter().flat_map(|sample| &sample.branches);
    let mut shapes = branches.map(|branch| branch.shape);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    #[test]
    fn what_is_given_stays_and_what_changes_something() {
        // Pictures of four channels and several positions, probabilities: everything is of use.
        let mut settings = Settings::default();
        settings.fit(&Toy::new(), |_| false).unwrap();
        assert_eq!(settings, Settings::default());
    }
}
