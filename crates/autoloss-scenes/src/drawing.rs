//! Exposure of drawn scenes: brightness and noise.

use std::ops::Range;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// The picture as bytes, with a random brightness from the range, and noise whose standard deviation is random up to
/// `noise`. Colours are red, green and blue, 0 to 1.
pub(crate) fn exposed(
    pixels: &[[f32; 3]],
    brightness: Range<f32>,
    noise: f32,
    rng: &mut ChaCha8Rng,
) -> Vec<u8> {
    let brightness = 255.0 * rng.random_range(brightness);
    // The sum of four bytes is nearly normal; this is its standard deviation.
    let deviation = 147.8;
    let noise = 255.0 * noise * rng.random::<f32>() / deviation;
    let mut bytes = Vec::with_capacity(3 * pixels.len());
    for &channel in pixels.as_flattened() {
        let sum: u32 = rng.next_u32().to_le_bytes().map(u32::from).iter().sum();
        bytes.push((channel * brightness + (sum as f32 - 510.0) * noise) as u8);
    }
    bytes
}
