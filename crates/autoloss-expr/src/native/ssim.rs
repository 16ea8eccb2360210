//! Structural similarity as a loss.

use super::fields::{NativeAt, NativeFields};

/// The window's radius and the standard deviation of its Gaussian, in pixels.
const RADIUS: usize = 5;
const SIGMA: f64 = 1.5;

/// Constants that keep the two ratios finite: (0.01 · range)² and (0.03 · range)² of maps in [0, 1].
const C1: f64 = 1e-4;
const C2: f64 = 9e-4;

/// 1 − the mean structural similarity of probability and target maps; beyond the border all is 0.
pub(super) fn ssim(fields: &NativeFields<'_>, _: &[f64]) -> NativeAt {
    let counted = fields.counted();
    let mut at = NativeAt::zero(fields.shape.len());
    let pixels = fields.pixels();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 elements")]
    let share = 1.0 / fields.shape.len() as f64;
    let mut similarity = 0.0;
    for first in (0..fields.shape.len()).step_by(pixels) {
        let of = |values: &[f64]| -> Vec<f64> {
            let places = first..first + pixels;
            places
                .map(|i| if counted[i] { values[i] } else { 0.0 })
                .collect()
        };
        let (x, y) = (of(fields.yhat), of(fields.y));
        let (sum, gradient) = of_plane(&x, &y, [fields.shape.h, fields.shape.w]);
        similarity += sum;
        for (i, g) in gradient.into_iter().enumerate() {
            if counted[first + i] {
                at.gradient[first + i] = -share * g;
            }
        }
    }
    at.loss_value = 1.0 - share * similarity;
    at
}

/// The sum of the similarities at all pixels, and its gradient with respect to `x`.
fn of_plane(x: &[f64], y: &[f64], size: [usize; 2]) -> (f64, Vec<f64>) {
    let product =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let blurred = [x, y, &product(x, x), &product(y, y), &product(x, y)].map(|f| blur(f, size));
    let [mean_x, mean_y, xx, yy, xy] = &blurred;
    let mut sum = 0.0;
    // The similarity's slopes in the mean of x, of x² and of xy.
    let mut slopes = [(); 3].map(|()| vec![0.0; x.len()]);
    for i in 0..x.len() {
        let (mx, my) = (mean_x[i], mean_y[i]);
        let (a1, a2) = (2.0 * mx * my + C1, 2.0 * (xy[i] - mx * my) + C2);
        let b1 = mx * mx + my * my + C1;
        let b2 = xx[i] - mx * mx + yy[i] - my * my + C2;
        let s = a1 * a2 / (b1 * b2);
        sum += s;
        slopes[0][i] = 2.0 * my * (a2 - a1) / (b1 * b2) + 2.0 * mx * s * (1.0 / b2 - 1.0 / b1);
        slopes[1][i] = -s / b2;
        slopes[2][i] = 2.0 * a1 / (b1 * b2);
    }
    // The blur is its own transpose.
    let [of_mean, of_square, of_product] = slopes.map(|f| blur(&f, size));
    let gradient =
        (0..x.len()).map(|i| of_mean[i] + 2.0 * x[i] * of_square[i] + y[i] * of_product[i]);
    (sum, gradient.collect())
}

/// A plane blurred by the window, one axis after the other.
fn blur(field: &[f64], [h, w]: [usize; 2]) -> Vec<f64> {
    let taps = taps();
    let mut rows = Vec::with_capacity(field.len());
    let mut padded = vec![0.0; w + 2 * RADIUS];
    for row in field.chunks_exact(w) {
        padded[RADIUS..RADIUS + w].copy_from_slice(row);
        let windows = padded.windows(taps.len());
        rows.extend(
            windows.map(|window| window.iter().zip(&taps).map(|(x, t)| x * t).sum::<f64>()),
        );
    }
    let mut blurred = vec![0.0; field.len()];
    for (y, out) in blurred.chunks_exact_mut(w).enumerate() {
        for from in y.saturating_sub(RADIUS)..(y + RADIUS + 1).min(h) {
            let tap = taps[from + RADIUS - y];
            let row = &rows[from * w..(from + 1) * w];
            out.iter_mut().zip(row).for_each(|(out, x)| *out += tap * x);
        }
    }
    blurred
}

/// The Gaussian's weights, which sum to 1.
fn taps() -> [f64; 2 * RADIUS + 1] {
    #[expect(clippy::cast_precision_loss, reason = "a few pixels")]
    let taps: [f64; 2 * RADIUS + 1] = std::array::from_fn(|i| {
        let distance = i as f64 - RADIUS as f64;
        (-distance * distance / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}
