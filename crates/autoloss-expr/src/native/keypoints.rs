//! Losses of heatmaps, of which the worst alone count.

use super::fields::{NativeAt, NativeFields};

/// Half the mean squared error of each sample's worst heatmaps, the mean over the samples.
pub(super) fn hard_keypoints(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    let mut at = NativeAt::zero(fields.shape.len());
    let (shape, pixels) = (fields.shape, fields.pixels());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be 1 to 1000"
    )]
    let kept = (parameters[0].round() as usize).min(shape.c);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 elements")]
    let share = 0.5 / (pixels * kept * shape.n) as f64;
    for n in 0..shape.n {
        let error = |c: usize| -> f64 {
            let places = fields.plane(n, c)..fields.plane(n, c) + pixels;
            places.map(|i| (fields.yhat[i] - fields.y[i]).powi(2)).sum()
        };
        let mut errors: Vec<(f64, usize)> = (0..shape.c).map(|c| (error(c), c)).collect();
        errors.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (error, c) in errors.into_iter().take(kept) {
            at.loss_value += share * error;
            for i in fields.plane(n, c)..fields.plane(n, c) + pixels {
                at.gradient[i] = 2.0 * share * (fields.yhat[i] - fields.y[i]);
            }
        }
    }
    at
}
