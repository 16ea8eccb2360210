//! What all drawn scenes do with their pixels.

use std::ops::Range;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// The picture as bytes, with a brightness drawn from the range and noise of a standard deviation
/// up to the one given. Colours are red, green and blue, 0 to 1.
pub(super) fn exposed(
    pixels: &[[f32; 3]],
    brightness: Range<f32>,
    noise: f32,
    rng: &mut ChaCha8Rng,
) -> Vec<u8> {
    let brightness = 255.0 * rng.random_range(brightness);
    // The sum of four bytes is near enough to normal; this is its deviation.
    let deviation = 147.8;
    let noise = 255.0 * noise * rng.random::<f32>() / deviation;
    let mut bytes = Vec::with_capacity(3 * pixels.len());
    for &channel in pixels.as_flattened() {
        let sum: u32 = rng.next_u32().to_le_bytes().map(u32::from).iter().sum();
        bytes.push((channel * brightness + (sum as f32 - 510.0) * noise) as u8);
    }
    bytes
}

/// The rows or columns from `low` up to `high` that lie in a picture with `size` of them.
pub(crate) fn within(low: f32, high: f32, size: usize) -> (usize, usize) {
    // Casting to an unsigned number cuts negative ones off at 0.
    let end = (high.ceil() as usize).min(size);
    ((low.floor() as usize).min(end), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_cut_off() {
        assert_eq!(within(-3.0, 5.5, 16), (0, 6));
        assert_eq!(within(20.0, 30.0, 16), (16, 16));
    }
}
