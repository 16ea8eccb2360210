//! Labels from class scores.

use crate::error::{MetricError, check_classes, check_size};

/// The place of the largest value, counted from 0.
///
/// The first of equal maxima wins. NaN never wins; without another value there is
/// no result.
///
/// ```
/// use autoloss_metrics::argmax;
///
/// assert_eq!(argmax([0.1, 0.7, f32::NAN, 0.7]), Some(1));
/// assert_eq!(argmax([]), None);
/// ```
#[must_use]
pub fn argmax(values: impl IntoIterator<Item = f32>) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (place, value) in values.into_iter().enumerate() {
        if !value.is_nan() && best.is_none_or(|(_, largest)| value > largest) {
            best = Some((place, value));
        }
    }
    best.map(|(place, _)| place)
}

/// Number of pixels that are decided together: their best values stay in registers.
const BLOCK: usize = 16;

/// The channel with the largest value at each pixel of a field: the [`argmax`] of its
/// channels as a label.
///
/// A pixel that is NaN in all channels gets 255, which is no class and so counts as
/// a miss.
///
/// # Shapes
/// `field` is (channels, pixels), `out` is (pixels).
///
/// # Errors
/// Arrays of another size, a number of channels that is not 1 to 255.
///
/// ```
/// let field = [0.1, 0.7, 0.5, /* second channel */ 0.9, 0.3, 0.5];
/// let mut labels = [0; 3];
/// autoloss_metrics::argmax_channels(&field, 2, 3, &mut labels)?;
/// assert_eq!(labels, [1, 0, 0]);
/// # Ok::<(), autoloss_metrics::MetricError>(())
/// ```
pub fn argmax_channels(
    field: &[f32],
    channels: usize,
    pixels: usize,
    out: &mut [u8],
) -> Result<(), MetricError> {
    check_classes(channels)?;
    check_size("the field", field.len(), channels.saturating_mul(pixels))?;
    check_size("the label map", out.len(), pixels)?;
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let mut best = [f32::NEG_INFINITY; BLOCK];
        // As wide as the values, so that one mask chooses both.
        let mut winner = [255_u32; BLOCK];
        for channel in 0..channels {
            let values = &field[channel * pixels + start..][..out.len()];
            // A length known to the compiler keeps both arrays in registers.
            let values: &[f32; BLOCK] = match values.try_into() {
                Ok(values) => values,
                Err(_) => &padded(values),
            };
            for ((best, winner), &value) in best.iter_mut().zip(&mut winner).zip(values) {
                let wins = value > *best;
                *best = if wins { value } else { *best };
                *winner = if wins { channel as u32 } else { *winner };
            }
        }
        for (pixel, (out, &winner)) in out.iter_mut().zip(&winner).enumerate() {
            *out = winner as u8;
            if winner == 255 {
                // No value is above −∞ here: the first −∞ wins, if any.
                let first = (0..channels)
                    .find(|channel| field[channel * pixels + start + pixel] == f32::NEG_INFINITY);
                *out = first.map_or(255, |channel| channel as u8);
            }
        }
    }
    Ok(())
}

fn padded(values: &[f32]) -> [f32; BLOCK] {
    let mut block = [0.0; BLOCK];
    block[..values.len()].copy_from_slice(values);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(field: &[f32], channels: usize) -> Vec<u8> {
        let mut out = vec![99; field.len() / channels];
        argmax_channels(field, channels, out.len(), &mut out).unwrap();
        out
    }

    #[test]
    fn ties_infinities_and_nan() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_eq!(labels(&[1.0, 2.0, 2.0], 3), [1]);
        assert_eq!(labels(&[nan, -1.0, nan], 3), [1]);
        assert_eq!(labels(&[nan, -inf, -inf], 3), [1]);
        assert_eq!(labels(&[-inf, nan, inf], 3), [2]);
        assert_eq!(labels(&[nan, nan], 2), [255]);
        assert_eq!(labels(&[0.0, -0.0], 2), [0]);
        assert_eq!(labels(&[], 2), [0; 0]);
    }

    #[test]
    fn bad_input_is_named() {
        assert!(argmax_channels(&[], 0, 0, &mut []).is_err());
        assert!(argmax_channels(&[0.0; 256], 256, 1, &mut [0]).is_err());
        assert!(argmax_channels(&[0.0; 3], 2, 2, &mut [0; 2]).is_err());
        assert!(argmax_channels(&[0.0; 4], 2, 2, &mut [0; 3]).is_err());
        assert!(argmax_channels(&[0.0; 4], 2, usize::MAX, &mut [0; 3]).is_err());
    }

    proptest! {
        #[test]
        fn labels_are_the_argmax_of_each_pixel(
            channels in 1..6_usize,
            pixels in prop_oneof![0..9_usize, 250..520_usize],
            seed in prop::collection::vec(prop_oneof![
                Just(f32::NAN), Just(f32::NEG_INFINITY), Just(f32::INFINITY), Just(0.5), -1.0..1.0_f32,
            ], 97),
        ) {
            let field: Vec<f32> = (0..channels * pixels).map(|i| seed[i * i % 97]).collect();
            let expected: Vec<u8> = (0..pixels)
                .map(|pixel| {
                    let values = (0..channels).map(|channel| field[channel * pixels + pixel]);
                    argmax(values).map_or(255, |channel| channel as u8)
                })
                .collect();
            prop_assert_eq!(labels(&field, channels), expected);
        }
    }
}
