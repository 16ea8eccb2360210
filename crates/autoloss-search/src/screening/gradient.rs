//! Values and gradients of a candidate at the stored predictions.

use std::time::Instant;

use autoloss_expr::{Loss, Program};

use super::fingerprint::Direction;
use super::pending::{Flat, Open, Pulled};
use super::scratch::Scratch;
use super::screener::Screener;
use super::verdict::Verdict;
use crate::branch::prediction_gradient;
use crate::task::{BranchSample, BranchSpec};

impl Screener {
    /// The third stage at the first sample.
    ///
    /// # Errors
    /// The verdict, where value or gradient settle it.
    pub fn pull(&self, flat: Flat, scratch: &mut Scratch) -> Result<Pulled, Box<Verdict>> {
        let mut stage = scratch.stages.gradient;
        let (value, direction) = stage.timed(|| self.descend(&flat.programs, 0, scratch));
        scratch.stages.gradient = stage;
        let rejects = self.settings.rejection;
        match wrong(0, value, &direction) {
            Some(reason) if rejects => {
                scratch.stages.gradient.decided += 1;
                Err(Box::new(Verdict::invalid(
                    reason,
                    vec![direction.norm()],
                    flat,
                )))
            }
            _ => Ok(Pulled {
                norm: direction.norm(),
                fingerprint: match rejects && self.settings.same_gradient {
                    true => direction.fingerprint(),
                    false => None,
                },
                flat,
            }),
        }
    }

    /// The third stage at the other samples.
    ///
    /// # Errors
    /// The verdict, where value or gradient settle it.
    pub fn gradients(&self, pulled: Pulled, scratch: &mut Scratch) -> Result<Open, Box<Verdict>> {
        let start = Instant::now();
        let mut norms = vec![pulled.norm];
        let mut reason = None;
        for number in 1..self.samples.len() {
            let (value, direction) = self.descend(&pulled.flat.programs, number, scratch);
            norms.push(direction.norm());
            reason = reason.or_else(|| wrong(number, value, &direction));
        }
        if reason.is_none() && norms.iter().all(|norm| *norm == 0.0) {
            reason = Some("the gradient is zero".to_owned());
        }
        scratch.stages.gradient.seconds += start.elapsed().as_secs_f64();
        match reason {
            Some(reason) if self.settings.rejection => {
                scratch.stages.gradient.decided += 1;
                Err(Box::new(Verdict::invalid(reason, norms, pulled.flat)))
            }
            // Without rejection the candidate is evaluated whatever its gradients are.
            _ => Ok(Open {
                flat: pulled.flat,
                norms,
                fingerprint: pulled.fingerprint,
            }),
        }
    }

    /// The verdict over a loss that is not to be judged: it passes, with its gradients' norms.
    pub(super) fn measure(&self, loss: &Loss, scratch: &mut Scratch) -> Verdict {
        let mut verdict = Verdict::unasked(String::new());
        // A native loss has no program; held fixed, it does not tell candidates apart either.
        if let Ok(flat) = self.programs(loss) {
            let samples = 0..self.samples.len();
            let norms = samples.map(|b| self.descend(&flat.programs, b, scratch).1.norm());
            verdict.norms = norms.collect();
            verdict.canonical = flat.canonical;
        }
        verdict
    }

    /// The loss value of a sample, and its gradient's direction.
    fn descend(
        &self,
        programs: &[Program],
        sample: usize,
        scratch: &mut Scratch,
    ) -> (f64, Direction) {
        let mut total = 0.0;
        let mut direction = Direction::default();
        let stored = self.samples[sample].branches.iter().zip(&self.branches);
        for (program, (branch, spec)) in programs.iter().zip(stored) {
            let (value, gradient) = gradient_at(program, spec, branch, &branch.inputs, scratch);
            total += value;
            direction.add(gradient);
        }
        (total, direction)
    }
}

/// The loss value of a stored branch with those inputs, and its gradient for the prediction.
pub(super) fn gradient_at<'a>(
    program: &Program,
    spec: &BranchSpec,
    stored: &BranchSample,
    inputs: &[Vec<f32>],
    scratch: &'a mut Scratch,
) -> (f64, &'a [f32]) {
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let value = prediction_gradient(
        program,
        spec,
        stored.shape,
        &inputs,
        stored.derived.as_deref(),
        &mut scratch.workspace,
        &mut scratch.gradients,
    );
    (value, &scratch.gradients[spec.prediction()])
}

/// Fault of the value or the gradient of a sample; `None` where both are finite.
fn wrong(sample: usize, value: f64, direction: &Direction) -> Option<String> {
    if !value.is_finite() {
        return Some(format!("the loss value of sample {sample} is {value}"));
    }
    let finite = direction.norm().is_finite();
    (!finite).then(|| format!("the gradient of sample {sample} is not finite"))
}
