//! The verdict as the method defines it: in f64, step by step, every sample to the end, without comparison to
//! other candidates. A candidate takes seconds; the shortcuts are measured by this computation.

use autoloss_expr::{Adam, Exact, Loss, NotFinite, Program};

use super::logits;
use super::pending::Flat;
use super::scratch::Scratch;
use super::screener::Screener;
use super::verdict::{Judgement, Verdict};
use crate::branch::{double, optimise_prediction, pulled_back, single, used};
use crate::settings::Predictions;
use crate::task::{BranchSample, BranchSpec, Derived};

/// A branch of a sample, computed in f64.
struct ExactBranch<'a> {
    spec: &'a BranchSpec,
    stored: &'a BranchSample,
    exact: Exact<'a>,
    fields: Vec<Vec<f64>>,
    /// Computation of the derived inputs, if the program uses one.
    derived: Option<&'a dyn Derived>,
}

impl<'a> ExactBranch<'a> {
    fn new(program: &'a Program, spec: &'a BranchSpec, stored: &'a BranchSample) -> Self {
        Self {
            spec,
            stored,
            exact: Exact::new(program, stored.shape),
            fields: stored.inputs.iter().map(|field| double(field)).collect(),
            derived: used(stored.derived.as_deref(), spec, program),
        }
    }

    /// The loss value at the stored prediction, and the prediction's gradient.
    fn descend(&mut self) -> (f64, Vec<f64>) {
        let place = self.spec.prediction();
        let value = self.exact.descend(&self.fields);
        let gradients = gradients(&self.exact, self.fields.len());
        let gradient = match self.derived {
            Some(derived) => pulled_back(self.spec, derived, &self.fields[place], &gradients),
            None => gradients[place].clone(),
        };
        (value, gradient)
    }

    /// The prediction that the optimisation comes to.
    fn optimise(mut self, adam: &Adam) -> Result<Vec<f64>, NotFinite> {
        let Some(derived) = self.derived else {
            self.exact.optimise(&mut self.fields, adam)?;
            return Ok(self.fields.swap_remove(self.spec.prediction()));
        };
        let (exact, count) = (&mut self.exact, self.fields.len());
        let mut descend = |inputs: &[Vec<f64>]| {
            let value = exact.descend(inputs);
            (value, gradients(exact, count))
        };
        optimise_prediction(self.spec, derived, &self.stored.inputs, adam, &mut descend)
    }
}

/// The gradient for each input; empty where the program does not use it.
fn gradients(exact: &Exact<'_>, count: usize) -> Vec<Vec<f64>> {
    let gradient = |input| exact.gradient(input).unwrap_or_default().to_vec();
    (0..count).map(gradient).collect()
}

impl Screener {
    /// The exact verdict over a loss, see `screen --exact`.
    pub fn screen_exactly(&self, loss: &Loss) -> Verdict {
        if let (Some(reason), true) = (self.structural(loss), self.settings.rejection) {
            return Verdict::structural(reason);
        }
        match self.programs(loss) {
            Ok(flat) => self.judge_exactly(flat),
            Err(reason) => Verdict::structural(reason),
        }
    }

    fn judge_exactly(&self, flat: Flat) -> Verdict {
        let mut norms = Vec::with_capacity(self.samples.len());
        let mut total = 0.0;
        for b in 0..self.samples.len() {
            match self.gain_exactly(b, &flat.programs, &mut norms) {
                Ok(gain) => total += gain,
                Err(reason) => return Verdict::invalid(reason, norms, flat),
            }
        }
        if norms.iter().all(|norm| *norm == 0.0) {
            return Verdict::invalid("the gradient is zero".to_owned(), norms, flat);
        }
        let g = total / self.samples.len() as f64;
        let passed = g >= self.settings.threshold;
        let threshold = self.settings.threshold;
        Verdict {
            judgement: if passed {
                Judgement::Passed
            } else {
                Judgement::Rejected
            },
            reason: (!passed).then(|| format!("g is {g:.3}, the threshold {threshold}")),
            g: Some(g),
            norms,
            canonical: flat.canonical,
            fingerprint: None,
        }
    }

    /// A sample's gain; its gradient norm is added to `norms`.
    fn gain_exactly(
        &self,
        b: usize,
        programs: &[Program],
        norms: &mut Vec<f64>,
    ) -> Result<f64, String> {
        let sample = &self.samples[b];
        let mut squares = 0.0;
        let mut predictions = Vec::with_capacity(programs.len());
        let stored = sample.branches.iter().zip(&self.branches);
        for (program, (stored, spec)) in programs.iter().zip(stored) {
            let mut branch = ExactBranch::new(program, spec, stored);
            let (value, gradient) = branch.descend();
            if !value.is_finite() {
                return Err(format!("the loss value of sample {b} is {value}"));
            }
            squares += gradient.iter().map(|g| g * g).sum::<f64>();
            let adam = self.adam(spec, self.settings.steps);
            let prediction = branch
                .optimise(&adam)
                .map_err(|e| format!("sample {b}: {e}"))?;
            let mut fields = vec![Vec::new(); spec.inputs.len()];
            fields[spec.prediction()] = single(&prediction);
            if self.settings.predictions == Predictions::Logits {
                let mut workspace = autoloss_expr::Workspace::new();
                logits::to_probabilities(spec, stored.shape, &mut fields, &mut workspace);
            }
            predictions.push(fields.swap_remove(spec.prediction()));
        }
        norms.push(squares.sqrt());
        let predictions: Vec<&[f32]> = predictions.iter().map(Vec::as_slice).collect();
        let score = (sample.scorer)(&predictions);
        match score.is_finite() {
            true => Ok(self.gained(b, score)),
            false => Err(format!("sample {b}: the metric is {score}")),
        }
    }

    /// g in full by the fast computation, to set beside an exact one; `None` where a value or a
    /// gradient is not finite, or all gradients are zero.
    pub(crate) fn full_g(&self, loss: &Loss, scratch: &mut Scratch) -> Option<f64> {
        let flat = self.programs(loss).ok()?;
        let pulled = self.pull(flat, scratch).ok()?;
        let flat = self.gradients(pulled, scratch).ok()?.flat;
        let mut total = 0.0;
        for b in 0..self.samples.len() {
            let steps = self.settings.steps;
            let score = self
                .optimised_score(b, &flat.programs, steps, scratch)
                .ok()?;
            total += self.gained(b, score);
        }
        Some(total / self.samples.len() as f64)
    }
}
