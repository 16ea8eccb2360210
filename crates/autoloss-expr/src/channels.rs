//! Softmax over the channels of plain fields, for logits that become class probabilities.

use crate::shape::Shape;

/// Turns logits into their softmax over the channels, in place.
///
/// ```
/// use autoloss_expr::{Shape, softmax_channels};
///
/// let mut field = [0.0, 3.0_f32.ln(), /* second channel */ 0.0, 0.0];
/// softmax_channels(&mut field, Shape::new(1, 2, 1, 2));
/// for (probability, expected) in field.iter().zip([0.5, 0.75, 0.5, 0.25]) {
///     assert!((probability - expected).abs() < 1e-6);
/// }
/// ```
///
/// # Panics
/// If the field does not have `shape.len()` elements.
pub fn softmax_channels(field: &mut [f32], shape: Shape) {
    assert_eq!(field.len(), shape.len(), "elements of the field");
    for_positions(shape, |at| {
        let channels = || (0..shape.c).map(at);
        let highest = channels()
            .map(|i| field[i])
            .fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for i in channels() {
            field[i] = (field[i] - highest).exp();
            sum += field[i];
        }
        channels().for_each(|i| field[i] /= sum);
    });
}

/// Turns the gradient with respect to probabilities into that with respect to their logits, in place.
///
/// # Panics
/// If a field does not have `shape.len()` elements.
pub fn softmax_channels_gradient(probabilities: &[f32], gradient: &mut [f32], shape: Shape) {
    assert_eq!(probabilities.len(), shape.len(), "elements of the field");
    assert_eq!(gradient.len(), shape.len(), "elements of the gradient");
    for_positions(shape, |at| {
        let channels = || (0..shape.c).map(at);
        let mean: f32 = channels().map(|i| probabilities[i] * gradient[i]).sum();
        for i in channels() {
            gradient[i] = probabilities[i] * (gradient[i] - mean);
        }
    });
}

/// Calls `f` for each position with the index of each of its channels.
fn for_positions(shape: Shape, mut f: impl FnMut(&dyn Fn(usize) -> usize)) {
    let pixels = shape.h * shape.w;
    for n in 0..shape.n {
        for pixel in 0..pixels {
            f(&|c| (n * shape.c + c) * pixels + pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{self, ReferenceInput};
    use crate::tree::Tree;

    const SHAPE: Shape = Shape::new(2, 3, 2, 2);

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn logits() -> Vec<f32> {
        (0..SHAPE.len())
            .map(|i| 4.0 * (i as f32 * 0.7).sin())
            .collect()
    }

    fn double(field: &[f32]) -> Vec<f64> {
        field.iter().map(|x| f64::from(*x)).collect()
    }

    fn agree(got: &[f32], want: &[f64]) -> bool {
        got.len() == want.len()
            && got
                .iter()
                .zip(want)
                .all(|(g, w)| (f64::from(*g) - w).abs() < 1e-6)
    }

    #[test]
    fn softmax_and_its_gradient_equal_the_reference() {
        let values = double(&logits());
        let inputs = [ReferenceInput {
            name: "yhat",
            values: &values,
        }];
        let mut probabilities = logits();
        softmax_channels(&mut probabilities, SHAPE);
        let softmax = Tree::parse("softmax_c(yhat)", &["yhat"]).unwrap();
        assert!(agree(
            &probabilities,
            &reference::output(&softmax, SHAPE, &inputs)
        ));

        // The loss value of square(p) has the gradient 2 p / positions.
        let mut gradient: Vec<f32> = probabilities.iter().map(|p| 2.0 * p / 8.0).collect();
        softmax_channels_gradient(&probabilities, &mut gradient, SHAPE);
        let squared = Tree::parse("square(softmax_c(yhat))", &["yhat"]).unwrap();
        let want = reference::gradient(&squared, SHAPE, &inputs, "yhat");
        assert!(agree(&gradient, &want), "{gradient:?}, not {want:?}");
        assert!(!agree(
            &gradient,
            &reference::gradient(&softmax, SHAPE, &inputs, "yhat")
        ));
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut field = [1000.0, 1000.0, -1000.0];
        softmax_channels(&mut field, Shape::new(1, 3, 1, 1));
        assert_eq!(field, [0.5, 0.5, 0.0]);
    }
}
