//! The optimiser of predictions.

use super::kernels::AdamUpdate;

/// Adam (Kingma and Ba 2015) on the predictions themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Number of steps.
    pub steps: usize,
    /// Step size.
    pub step_size: f32,
    /// Decay of the first moment, the gradient's running mean.
    pub beta1: f64,
    /// Decay of the second moment, the squared gradient's running mean.
    pub beta2: f64,
    /// Number added to the denominator.
    pub epsilon: f32,
    /// Least and greatest value of an element; elements are clamped after each step.
    pub bounds: (f32, f32),
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            steps: 500,
            step_size: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            bounds: (f32::NEG_INFINITY, f32::INFINITY),
        }
    }
}

impl Adam {
    /// Moves `x` by one step in f64, the steps counted from 1, and updates the moments.
    pub fn step(&self, step: usize, x: &mut [f64], moments: &mut [Vec<f64>; 2], gradient: &[f64]) {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        let (one, two) = (1.0 - self.beta1.powi(t), 1.0 - self.beta2.powi(t));
        let (low, high) = (f64::from(self.bounds.0), f64::from(self.bounds.1));
        let [m, v] = moments;
        for (((m, v), x), g) in m.iter_mut().zip(v).zip(x).zip(gradient) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            let divisor = (*v / two).sqrt() + f64::from(self.epsilon);
            let to = *x - f64::from(self.step_size) * (*m / one) / divisor;
            *x = to.max(low).min(high);
        }
    }

    /// The constants of a step for a gradient that is `factor` times the one the kernel reads.
    pub(super) fn update(&self, step: usize, factor: f64) -> AdamUpdate {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        let Self { beta1, beta2, .. } = *self;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is wanted"
        )]
        AdamUpdate {
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            epsilon: (f64::from(self.epsilon) / factor.abs()) as f32,
            bounds: self.bounds,
            rate: (f64::from(self.step_size) * factor.signum() / (1.0 - beta1.powi(t))) as f32,
            scale: (1.0 / (1.0 - beta2.powi(t)).sqrt()) as f32,
        }
    }
}

/// An optimisation whose value or gradient is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value or the gradient is not finite at step {step}")]
pub struct NotFinite {
    /// Step at which the number was noticed, counted from 1.
    pub step: usize,
}
