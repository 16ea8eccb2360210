//! Bilinear resizing of plain maps with half-pixel centres, forward and
//! backward, one axis after the other.

use rayon::prelude::*;

/// Source of an output position: `(1 - weight) · at[low] + weight · at[high]`.
#[derive(Debug, Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

/// Sizes of a map before and after, (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
}

impl Sizes {
    /// Taps along `axis`: position i reads at `(i + ½) · from / to - ½`,
    /// nothing beyond the border.
    fn taps(&self, axis: usize) -> Vec<Tap> {
        let (from, to) = (self.from[axis], self.to[axis]);
        (0..to)
            .map(|index| {
                let position = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let low = (position as usize).min(from - 1);
                Tap {
                    low,
                    high: (low + 1).min(from - 1),
                    weight: (position - low as f64) as f32,
                }
            })
            .collect()
    }

    /// The taps along `axis` as a matrix in row-major order; shape (positions after, positions before).
    pub(super) fn matrix(&self, axis: usize) -> Vec<f32> {
        let (from, to) = (self.from[axis], self.to[axis]);
        let mut values = vec![0.0_f32; to * from];
        for (row, tap) in values.chunks_exact_mut(from).zip(self.taps(axis)) {
            row[tap.low] += 1.0 - tap.weight;
            row[tap.high] += tap.weight;
        }
        values
    }
}

/// The maps of `x`, resized.
pub(super) fn forward(x: &[f32], sizes: Sizes) -> Vec<f32> {
    let [rows, columns] = [sizes.taps(0), sizes.taps(1)];
    let [height, width] = sizes.from;
    let [new_height, new_width] = sizes.to;
    let maps = x.len() / (height * width);
    let mut y = vec![0.0; maps * new_height * new_width];
    y.par_chunks_exact_mut(new_height * new_width)
        .zip(x.par_chunks_exact(height * width))
        .with_min_len(8)
        .for_each_init(
            || vec![0.0; height * new_width],
            |wide, (y, x)| {
                for (wide, x) in wide.chunks_exact_mut(new_width).zip(x.chunks_exact(width)) {
                    for (wide, tap) in wide.iter_mut().zip(&columns) {
                        *wide = x[tap.low] + tap.weight * (x[tap.high] - x[tap.low]);
                    }
                }
                for (y, tap) in y.chunks_exact_mut(new_width).zip(&rows) {
                    let low = &wide[tap.low * new_width..][..new_width];
                    let high = &wide[tap.high * new_width..][..new_width];
                    for ((y, low), high) in y.iter_mut().zip(low).zip(high) {
                        *y = low + tap.weight * (high - low);
                    }
                }
            },
        );
    y
}

/// The gradient of the input maps, from the gradient of the output maps.
pub(super) fn backward(output_gradient: &[f32], sizes: Sizes) -> Vec<f32> {
    let [rows, columns] = [sizes.taps(0), sizes.taps(1)];
    let [height, width] = sizes.from;
    let [new_height, new_width] = sizes.to;
    let maps = output_gradient.len() / (new_height * new_width);
    let mut gradient = vec![0.0; maps * height * width];
    gradient
        .par_chunks_exact_mut(height * width)
        .zip(output_gradient.par_chunks_exact(new_height * new_width))
        .with_min_len(8)
        .for_each_init(
            || vec![0.0; height * new_width],
            |wide, (gradient, output_gradient)| {
                wide.fill(0.0);
                for (output, tap) in output_gradient.chunks_exact(new_width).zip(&rows) {
                    let target = &mut wide[tap.low * new_width..][..new_width];
                    for (target, output) in target.iter_mut().zip(output) {
                        *target += (1.0 - tap.weight) * output;
                    }
                    let target = &mut wide[tap.high * new_width..][..new_width];
                    for (target, output) in target.iter_mut().zip(output) {
                        *target += tap.weight * output;
                    }
                }
                let pairs = gradient
                    .chunks_exact_mut(width)
                    .zip(wide.chunks_exact(new_width));
                for (gradient, wide) in pairs {
                    for (wide, tap) in wide.iter().zip(&columns) {
                        gradient[tap.low] += (1.0 - tap.weight) * wide;
                        gradient[tap.high] += tap.weight * wide;
                    }
                }
            },
        );
    gradient
}
