//! Batch normalisation of arrays `[N, C, H, W]` with the residual and the ReLU that follow it, forward and backward.

use rayon::prelude::*;

/// Sums kept side by side, so that the compiler can use vector registers.
const LANES: usize = 16;

/// Sizes of the array: images, channels, pixels of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) pixels: usize,
}

/// Mean and 1 / √(variance + ε) of each channel, and the variance itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statistics {
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) inverse_deviation: Vec<f32>,
}

/// The gradients of the layer's arguments.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) offset: Vec<f32>,
    /// The gradient before the ReLU, which is that of the residual.
    pub(super) residual: Option<Vec<f32>>,
}

impl Shape {
    /// The maps of one channel, one an image.
    fn maps<'a>(&self, x: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        x.chunks_exact(self.pixels)
            .skip(channel)
            .step_by(self.channels)
    }

    /// Elements of one channel.
    fn count(&self) -> f64 {
        (self.batch * self.pixels) as f64
    }
}

/// Sum of `value(x, y)` over two slices of equal length.
fn sum(x: &[f32], y: &[f32], value: impl Fn(f32, f32) -> f32) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail: f32 = x_chunks
        .remainder()
        .iter()
        .zip(y_chunks.remainder())
        .map(|(x, y)| value(*x, *y))
        .sum();
    for (x, y) in x_chunks.zip(y_chunks) {
        for lane in 0..LANES {
            lanes[lane] += value(x[lane], y[lane]);
        }
    }
    f64::from(tail) + lanes.iter().copied().map(f64::from).sum::<f64>()
}

/// Statistics of the batch itself; the variance is the biased one.
pub(super) fn statistics(x: &[f32], shape: Shape, epsilon: f64) -> Statistics {
    let per_channel: Vec<(f32, f32, f32)> = (0..shape.channels)
        .into_par_iter()
        .with_min_len(4)
        .map(|channel| {
            let total: f64 = shape.maps(x, channel).map(|m| sum(m, m, |x, _| x)).sum();
            let mean = (total / shape.count()) as f32;
            let squares: f64 = shape
                .maps(x, channel)
                .map(|m| sum(m, m, |x, _| (x - mean) * (x - mean)))
                .sum();
            let variance = squares / shape.count();
            (mean, variance as f32, inverse_deviation(variance, epsilon))
        })
        .collect();
    Statistics {
        mean: per_channel.iter().map(|s| s.0).collect(),
        variance: per_channel.iter().map(|s| s.1).collect(),
        inverse_deviation: per_channel.iter().map(|s| s.2).collect(),
    }
}

/// 1 / √(variance + ε).
pub(super) fn inverse_deviation(variance: f64, epsilon: f64) -> f32 {
    (1.0 / (variance + epsilon).sqrt()) as f32
}

/// `scale · (x - mean) / deviation + offset`, plus `residual`, then ReLU where
/// asked for.
pub(super) fn normalise(
    x: &[f32],
    residual: Option<&[f32]>,
    statistics: &Statistics,
    [scale, offset]: [&[f32]; 2],
    relu: bool,
    shape: Shape,
) -> Vec<f32> {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let mut y = vec![0.0; x.len()];
    if x.is_empty() {
        return y;
    }
    y.par_chunks_exact_mut(shape.pixels)
        .with_min_len(16)
        .enumerate()
        .for_each(|(map, y)| {
            let channel = map % shape.channels;
            let factor = scale[channel] * statistics.inverse_deviation[channel];
            let term = offset[channel] - statistics.mean[channel] * factor;
            let x = &x[map * shape.pixels..][..shape.pixels];
            match residual {
                Some(residual) => {
                    let residual = &residual[map * shape.pixels..][..shape.pixels];
                    for ((y, x), residual) in y.iter_mut().zip(x).zip(residual) {
                        *y = rectified(*x * factor + term + *residual, floor);
                    }
                }
                None => {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = rectified(*x * factor + term, floor);
                    }
                }
            }
        });
    y
}

/// The larger of the two; NaN stays NaN, which `f32::max` would hide.
fn rectified(value: f32, floor: f32) -> f32 {
    if value < floor { floor } else { value }
}

/// Gradients of the layer that gave `y` from `x` with the statistics of the
/// batch (Ioffe & Szegedy 2015, section 3).
pub(super) fn gradients(
    output_gradient: &[f32],
    x: &[f32],
    y: &[f32],
    statistics: &Statistics,
    scale: &[f32],
    [relu, residual]: [bool; 2],
    shape: Shape,
) -> Gradients {
    // The gradient before the ReLU; where there is none, the gradient itself.
    let masked = relu.then(|| {
        let mut masked = output_gradient.to_vec();
        for (gradient, y) in masked.iter_mut().zip(y) {
            *gradient = if *y > 0.0 { *gradient } else { 0.0 };
        }
        masked
    });
    let gradient = masked.as_deref().unwrap_or(output_gradient);
    let sums: Vec<(f64, f64)> = (0..shape.channels)
        .into_par_iter()
        .with_min_len(4)
        .map(|channel| {
            let mean = statistics.mean[channel];
            let mut total = (0.0, 0.0);
            for (gradient, x) in shape.maps(gradient, channel).zip(shape.maps(x, channel)) {
                total.0 += sum(gradient, gradient, |g, _| g);
                total.1 += sum(gradient, x, |g, x| g * (x - mean));
            }
            (
                total.0,
                total.1 * f64::from(statistics.inverse_deviation[channel]),
            )
        })
        .collect();
    let mut x_gradient = vec![0.0; x.len()];
    if !x.is_empty() {
        x_gradient
            .par_chunks_exact_mut(shape.pixels)
            .with_min_len(16)
            .enumerate()
            .for_each(|(map, out)| {
                let channel = map % shape.channels;
                let inverse = statistics.inverse_deviation[channel];
                let factor = scale[channel] * inverse;
                let mean_gradient = (sums[channel].0 / shape.count()) as f32;
                let slope = (sums[channel].1 / shape.count()) as f32 * inverse;
                let mean = statistics.mean[channel];
                let range = map * shape.pixels..(map + 1) * shape.pixels;
                let pairs = gradient[range.clone()].iter().zip(&x[range]);
                for (out, (gradient, x)) in out.iter_mut().zip(pairs) {
                    *out = factor * (*gradient - mean_gradient - (*x - mean) * slope);
                }
            });
    }
    Gradients {
        x: x_gradient,
        scale: sums.iter().map(|s| s.1 as f32).collect(),
        offset: sums.iter().map(|s| s.0 as f32).collect(),
        residual: residual.then(|| masked.unwrap_or_else(|| output_gradient.to_vec())),
    }
}
