//! The verdict as the method defines it: in f64, step by step, every sample to the end, no look at
//! other candidates. It takes seconds a candidate, and is what the shortcuts are measured by.

use autoloss_expr::{Exact, Loss, Program};

use super::samples::prediction;
use super::{Flat, Judgement, Screener, Verdict, logits};
use crate::settings::Predictions;

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
        for ((program, stored), spec) in programs.iter().zip(&sample.branches).zip(&self.branches) {
            let double = |field: &Vec<f32>| field.iter().map(|x| f64::from(*x)).collect();
            let mut fields: Vec<Vec<f64>> = stored.inputs.iter().map(double).collect();
            let mut exact = Exact::new(program, stored.shape);
            let value = exact.descend(&fields);
            if !value.is_finite() {
                return Err(format!("the loss value of sample {b} is {value}"));
            }
            for (input, _) in spec
                .inputs
                .iter()
                .enumerate()
                .filter(|(_, i)| i.differentiable)
            {
                let gradient = exact.gradient(input).unwrap_or_default();
                squares += gradient.iter().map(|g| g * g).sum::<f64>();
            }
            let adam = self.adam(spec, self.settings.steps);
            let moved = exact.optimise(&mut fields, &adam);
            moved.map_err(|e| format!("sample {b}: {e}"))?;
            let single = |field: &Vec<f64>| field.iter().map(|x| *x as f32).collect();
            let mut fields: Vec<Vec<f32>> = fields.iter().map(single).collect();
            if self.settings.predictions == Predictions::Logits {
                let mut workspace = autoloss_expr::Workspace::new();
                logits::to_probabilities(spec, stored.shape, &mut fields, &mut workspace);
            }
            predictions.push(fields.swap_remove(prediction(spec)));
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
    pub(crate) fn full_g(&self, loss: &Loss, scratch: &mut super::Scratch) -> Option<f64> {
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
