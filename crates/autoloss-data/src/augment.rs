//! Examples made into inputs of networks: resampling, colour, normalisation.
//!
//! Geometry is one table of taps for the rows and one for the columns: a scaled,
//! shifted, mirrored crop reads its source pixels directly, and no image is
//! resized as a whole. Photometry is one affine map of the colours.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::example::{Example, IGNORE};

/// Mean of red, green and blue over `ImageNet`, on the scale 0 to 1.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green and blue over `ImageNet`, on the scale 0 to 1.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Weights of red, green and blue in luminance, as in the colour matrices of
/// the W3C's Filter Effects.
const LUMA: [f32; 3] = [0.213, 0.715, 0.072];

/// Variation of training examples. Each photometric change is made to half
/// of the examples, by an amount drawn uniformly from its range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Smallest factor of size.
    pub scale_min: f32,
    /// Largest factor of size.
    pub scale_max: f32,
    /// Mirror half of the examples left to right. Wrong where a mirrored object is of another class, as a digit is.
    pub flip: bool,
    /// Largest shift of brightness, as a share of full white: 0 to 1.
    pub brightness: f32,
    /// Contrast is multiplied by 1 ± this: 0 to 1.
    pub contrast: f32,
    /// Saturation is multiplied by 1 ± this: 0 to 1.
    pub saturation: f32,
    /// Largest turn of hue, in degrees: 0 to 180.
    pub hue: f32,
}

impl Default for Augmentation {
    /// The usual amounts for photographs.
    fn default() -> Self {
        Self {
            scale_min: 0.5,
            scale_max: 2.0,
            flip: true,
            brightness: 0.125,
            contrast: 0.5,
            saturation: 0.5,
            hue: 18.0,
        }
    }
}

/// An example as a network reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Colours minus [`IMAGENET_MEAN`], divided by [`IMAGENET_STD`]; shape
    /// (3, height, width). Padding is 0, the mean colour.
    pub image: Vec<f32>,
    /// Class of each pixel; padding has the ignore label; shape (height, width).
    pub labels: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Prepared {
    /// The example without variation, in its own size.
    pub fn whole(example: &Example) -> Self {
        Self::resized(example, (example.height, example.width))
    }

    /// The example resized to (height, width): image bilinear, labels nearest.
    pub fn resized(example: &Example, (height, width): (usize, usize)) -> Self {
        let rows = taps(example.height, height, 0, height);
        let columns = taps(example.width, width, 0, width);
        resample(example, &rows, &columns, &ColourTransform::IDENTITY)
    }
}

impl Augmentation {
    /// No variation except the place of the crop.
    pub fn none() -> Self {
        Self {
            scale_min: 1.0,
            scale_max: 1.0,
            flip: false,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        }
    }

    /// Checks the ranges of all settings.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn check(&self) -> Result<(), DataError> {
        let within = |name, value: f32, low: f32, high: f32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(DataError::Setting {
                    name,
                    reason: format!("{value} given, expected {low} to {high}"),
                })
            }
        };
        within("augmentation.scale_min", self.scale_min, 0.05, 20.0)?;
        within(
            "augmentation.scale_max",
            self.scale_max,
            self.scale_min,
            20.0,
        )?;
        within("augmentation.brightness", self.brightness, 0.0, 1.0)?;
        within("augmentation.contrast", self.contrast, 0.0, 1.0)?;
        within("augmentation.saturation", self.saturation, 0.0, 1.0)?;
        within("augmentation.hue", self.hue, 0.0, 180.0)
    }

    /// A varied crop of size (height, width). A scaled image smaller than the crop lies at a random place in it, with
    /// padding around it.
    pub fn apply(
        &self,
        example: &Example,
        (height, width): (usize, usize),
        rng: &mut ChaCha8Rng,
    ) -> Prepared {
        let scale = self.scale_min + (self.scale_max - self.scale_min) * rng.random::<f32>();
        let scaled = |size: usize| ((size as f32 * scale).round() as usize).max(1);
        let (tall, wide) = (scaled(example.height), scaled(example.width));
        let rows = taps(example.height, tall, shift(tall, height, rng), height);
        let mut columns = taps(example.width, wide, shift(wide, width, rng), width);
        if rng.random::<bool>() && self.flip {
            columns.reverse();
        }
        resample(example, &rows, &columns, &self.colours(rng))
    }

    /// A random transform of colours: brightness, then contrast, then saturation, then hue.
    pub(super) fn colours(&self, rng: &mut ChaCha8Rng) -> ColourTransform {
        let mut amount = |range: f32| {
            let (chosen, amount) = (rng.random::<bool>(), rng.random::<f32>());
            if chosen {
                range * (2.0 * amount - 1.0)
            } else {
                0.0
            }
        };
        let brightness = amount(self.brightness);
        let contrast = 1.0 + amount(self.contrast);
        let saturation = 1.0 + amount(self.saturation);
        let hue = amount(self.hue).to_radians();
        let matrix = product(&hue_matrix(hue), &saturation_matrix(saturation));
        let matrix = matrix.map(|row| row.map(|x| x * contrast));
        let offset = matrix.map(|row| row.iter().sum::<f32>() * brightness);
        ColourTransform { matrix, offset }
    }
}

/// Random offset of a crop in an image of `size`: the number of the image's pixels before the crop, negative if the
/// crop begins with padding.
fn shift(size: usize, crop: usize, rng: &mut ChaCha8Rng) -> isize {
    let slack = size.abs_diff(crop);
    let drawn = rng.random_range(0..=slack as u64) as isize;
    if size >= crop { drawn } else { -drawn }
}

/// Source of a row or column.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    first: usize,
    second: usize,
    /// Weight of `second`; `first` has the rest.
    weight: f32,
    nearest: usize,
}

/// Taps of `count` pixels that begin at `start` in an axis of `source` pixels
/// scaled to `scaled`; `None` is padding. Pixels are areas, so the centre of
/// pixel p lies at p + 1/2 in either scale.
pub(super) fn taps(source: usize, scaled: usize, start: isize, count: usize) -> Vec<Option<Tap>> {
    let factor = source as f64 / scaled as f64;
    let tap = |i: usize| {
        let at = usize::try_from(start + i as isize).ok()?;
        if at >= scaled {
            return None;
        }
        let centre = (at as f64 + 0.5) * factor;
        let position = (centre - 0.5).clamp(0.0, (source - 1) as f64);
        let first = position as usize;
        Some(Tap {
            first,
            second: (first + 1).min(source - 1),
            weight: (position - first as f64) as f32,
            nearest: (centre as usize).min(source - 1),
        })
    };
    (0..count).map(tap).collect()
}

/// Affine map of colours on the scale 0 to 1: `matrix · colour + offset`.
pub(super) struct ColourTransform {
    matrix: [[f32; 3]; 3],
    offset: [f32; 3],
}

impl ColourTransform {
    pub(super) const IDENTITY: Self = Self {
        matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        offset: [0.0; 3],
    };

    pub(super) fn apply(&self, colour: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|c| {
            let [r, g, b] = self.matrix[c];
            let mixed = r * colour[0] + g * colour[1] + b * colour[2] + self.offset[c];
            mixed.clamp(0.0, 1.0)
        })
    }
}

/// Matrix that mixes a colour with the grey of the same luminance.
fn saturation_matrix(saturation: f32) -> [[f32; 3]; 3] {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let own = if row == column { saturation } else { 0.0 };
            own + (1.0 - saturation) * LUMA[column]
        })
    })
}

/// Matrix that turns hue about the grey axis and keeps luminance: `hueRotate` of the W3C's
/// Filter Effects, section feColorMatrix.
fn hue_matrix(angle: f32) -> [[f32; 3]; 3] {
    let (sin, cos) = angle.sin_cos();
    let turn = [
        [-0.213, -0.715, 0.928],
        [0.143, 0.140, -0.283],
        [-0.787, 0.715, 0.072],
    ];
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let own = if row == column { cos } else { 0.0 };
            LUMA[column] * (1.0 - cos) + own + sin * turn[row][column]
        })
    })
}

fn product(a: &[[f32; 3]; 3], b: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

fn resample(
    example: &Example,
    rows: &[Option<Tap>],
    columns: &[Option<Tap>],
    colours: &ColourTransform,
) -> Prepared {
    Prepared {
        image: resample_image(&example.image, example.width, rows, columns, colours),
        labels: nearest(&example.labels, example.width, rows, columns, IGNORE),
        height: rows.len(),
        width: columns.len(),
    }
}

/// Normalised colours, shape (3, rows, columns), of RGB bytes of `width` columns.
pub(super) fn resample_image(
    image: &[u8],
    width: usize,
    rows: &[Option<Tap>],
    columns: &[Option<Tap>],
    colours: &ColourTransform,
) -> Vec<f32> {
    let area = rows.len() * columns.len();
    let mut normalised = vec![0.0; 3 * area];
    for (y, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        for (x, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            let colour = colours.apply(bilinear(image, width, row, column));
            put_normalised(&mut normalised, y * columns.len() + x, colour);
        }
    }
    normalised
}

/// Sets a pixel of an image of shape (3, pixels) to a colour on the scale 0 to 1.
pub(super) fn put_normalised(image: &mut [f32], at: usize, colour: [f32; 3]) {
    let area = image.len() / 3;
    for c in 0..3 {
        image[c * area + at] = (colour[c] - IMAGENET_MEAN[c]) / IMAGENET_STD[c];
    }
}

/// The bytes of a map of `width` columns, resampled to the nearest pixels, with `padding` outside the map.
pub(super) fn nearest(
    map: &[u8],
    width: usize,
    rows: &[Option<Tap>],
    columns: &[Option<Tap>],
    padding: u8,
) -> Vec<u8> {
    let of = |row: &Option<Tap>, column: &Option<Tap>| match (row, column) {
        (Some(row), Some(column)) => map[row.nearest * width + column.nearest],
        _ => padding,
    };
    rows.iter()
        .flat_map(|row| columns.iter().map(move |column| of(row, column)))
        .collect()
}

/// The bilinear colour between four pixels, on the scale 0 to 1.
fn bilinear(image: &[u8], width: usize, row: &Tap, column: &Tap) -> [f32; 3] {
    let pixel = |y: usize, x: usize| &image[3 * (y * width + x)..][..3];
    let upper = (
        pixel(row.first, column.first),
        pixel(row.first, column.second),
    );
    let lower = (
        pixel(row.second, column.first),
        pixel(row.second, column.second),
    );
    std::array::from_fn(|c| {
        let mix = |a: f32, b: f32, weight: f32| a + (b - a) * weight;
        let above = mix(upper.0[c].into(), upper.1[c].into(), column.weight);
        let below = mix(lower.0[c].into(), lower.1[c].into(), column.weight);
        mix(above, below, row.weight) / 255.0
    })
}

#[cfg(test)]
mod tests;
