//! g(L; ξ): the gain of the metric by optimising the stored predictions.

use autoloss_expr::{Adam, NotFinite, Program};

use super::logits;
use super::scratch::Scratch;
use super::screener::Screener;
use super::verdict::Judgement;
use crate::branch::{double, optimise_prediction, single, used};
use crate::settings::Predictions;
use crate::task::{BranchSample, BranchSpec};

impl Screener {
    /// Samples come one after the other; the rest are left out once even a perfect score on them
    /// could not lift g to the threshold.
    pub(super) fn gain(&self, programs: &[Program], scratch: &mut Scratch) -> Gain {
        let count = self.samples.len() as f64;
        let room = |b: usize| {
            let room = (1.0 - self.before[b]).max(0.0);
            if self.settings.normalise {
                f64::from(u8::from(room > 0.0))
            } else {
                room
            }
        };
        let mut sum = 0.0;
        let mut left: f64 = (0..self.samples.len()).map(room).sum();
        for b in 0..self.samples.len() {
            // The margin keeps rounding from deciding.
            let bound = (sum + left) / count;
            if bound < self.settings.threshold - 1e-9 {
                return Gain::AtMost(bound, b);
            }
            match self.optimised_score(b, programs, self.settings.steps, scratch) {
                Ok(score) => sum += self.gained(b, score),
                Err(reason) => return Gain::Invalid(reason),
            }
            left -= room(b);
        }
        Gain::Known(sum / count)
    }

    /// Gain of a sample by a score, in the terms of the threshold.
    pub(super) fn gained(&self, b: usize, score: f64) -> f64 {
        let gain = score - self.before[b];
        match 1.0 - self.before[b] {
            room if self.settings.normalise && room > 0.0 => gain / room,
            _ => gain,
        }
    }

    /// Gain after a few steps on the first sample, which tells most hopeless losses: see
    /// `screening.early_share`. `None` where nothing is clear by then.
    pub(super) fn early_gain(&self, programs: &[Program], scratch: &mut Scratch) -> Option<Gain> {
        let steps = (self.settings.early_share * self.settings.steps as f64).round() as usize;
        if steps == 0 || steps >= self.settings.steps {
            return None;
        }
        let gain = match self.optimised_score(0, programs, steps, scratch) {
            Ok(score) => self.gained(0, score),
            Err(reason) => return Some(Gain::Invalid(reason)),
        };
        let possible = self.gained(0, 1.0).min(self.settings.threshold);
        (gain < self.settings.early_gain * possible).then_some(Gain::Early(gain, steps))
    }

    /// Adam as a branch's predictions are optimised by it.
    pub(super) fn adam(&self, spec: &BranchSpec, steps: usize) -> Adam {
        let bounded = self.settings.predictions == Predictions::Bounded
            && spec.inputs[spec.prediction()].is_softmax();
        let adam = Adam {
            steps,
            step_size: self.settings.step_size as f32,
            ..Adam::default()
        };
        match bounded {
            true => Adam {
                bounds: (0.0, 1.0),
                ..adam
            },
            false => adam,
        }
    }

    /// ξ(ŷ*_b, y_b): the metric of a sample's predictions after `steps` steps.
    pub(super) fn optimised_score(
        &self,
        b: usize,
        programs: &[Program],
        steps: usize,
        scratch: &mut Scratch,
    ) -> Result<f64, String> {
        let sample = &self.samples[b];
        scratch.fields.resize_with(programs.len(), Vec::new);
        let stored = sample.branches.iter().zip(&self.branches);
        for (place, (program, (stored, spec))) in programs.iter().zip(stored).enumerate() {
            let adam = self.adam(spec, steps);
            scratch.fields[place].clone_from(&stored.inputs);
            optimise(program, spec, stored, &adam, place, scratch)
                .map_err(|e| format!("sample {b}: {e}"))?;
            if self.settings.predictions == Predictions::Logits {
                let fields = &mut scratch.fields[place];
                logits::to_probabilities(spec, stored.shape, fields, &mut scratch.workspace);
            }
        }
        let predictions: Vec<&[f32]> = self
            .branches
            .iter()
            .zip(&scratch.fields)
            .map(|(spec, fields)| fields[spec.prediction()].as_slice())
            .collect();
        if predictions.iter().any(|p| p.iter().any(|x| !x.is_finite())) {
            return Err(format!("sample {b}: an optimised prediction is not finite"));
        }
        let score = (sample.scorer)(&predictions);
        if score.is_finite() {
            Ok(score)
        } else {
            Err(format!("sample {b}: the metric is {score}"))
        }
    }
}

/// Optimises the fields of the branch at a place, step by step where derived inputs follow the
/// prediction.
fn optimise(
    program: &Program,
    spec: &BranchSpec,
    stored: &BranchSample,
    adam: &Adam,
    place: usize,
    scratch: &mut Scratch,
) -> Result<(), NotFinite> {
    let fields = &mut scratch.fields[place];
    let workspace = &mut scratch.workspace;
    let Some(derived) = used(stored.derived.as_deref(), spec, program) else {
        return program.optimise(workspace, stored.shape, fields, adam);
    };
    let gradients = &mut scratch.gradients;
    gradients.resize_with(fields.len().max(gradients.len()), Vec::new);
    let gradients = &mut gradients[..fields.len()];
    let descent = program.descent(stored.shape);
    let mut descend = |inputs: &[Vec<f64>]| {
        let inputs: Vec<Vec<f32>> = inputs.iter().map(|field| single(field)).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let value = descent.gradient(workspace, &inputs, gradients);
        (value, gradients.iter().map(|g| double(g)).collect())
    };
    let prediction = optimise_prediction(spec, derived, fields, adam, &mut descend)?;
    fields[spec.prediction()] = single(&prediction);
    Ok(())
}

/// Knowledge of g.
pub(super) enum Gain {
    Known(f64),
    /// An upper bound below the threshold, and the number of samples that it is known after.
    AtMost(f64, usize),
    /// A gain of the first sample that is too small after the first steps, and their number.
    Early(f64, usize),
    Invalid(String),
}

impl Gain {
    /// The judgement, the reason where the candidate does not pass, and g.
    pub(super) fn judged(
        self,
        threshold: f64,
        samples: usize,
    ) -> (Judgement, Option<String>, Option<f64>) {
        let (reason, g) = match self {
            Self::Known(g) if g >= threshold => return (Judgement::Passed, None, Some(g)),
            Self::Known(g) => (format!("g is {g:.3}, the threshold {threshold}"), Some(g)),
            Self::AtMost(bound, after) => {
                let so_far = format!("after {after} of {samples} samples");
                (format!("g is at most {bound:.3} {so_far}"), None)
            }
            Self::Early(gain, steps) => (
                format!("the first sample gained {gain:.3} in {steps} steps"),
                None,
            ),
            Self::Invalid(reason) => {
                let g = Some(f64::NEG_INFINITY);
                return (Judgement::Invalid, Some(reason), g);
            }
        };
        (Judgement::Rejected, Some(reason), g)
    }
}
