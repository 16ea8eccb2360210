//! Pictures of predictions: image, target and prediction side by side.

use autoloss_data::{ObjectData, Split};
use autoloss_metrics::coco::{Annotations, Mask, Prediction, Region};
use image::imageops::{FilterType, resize};
use image::{ImageFormat, Rgb, RgbImage};

use crate::train::TrainError;

/// Rows of a panel; images are scaled to it.
const HEIGHT: u32 = 160;

/// Columns between two panels.
const GAP: u32 = 6;

/// An image with the scale of its panel.
pub(super) struct Panel {
    pixels: RgbImage,
    /// Pixels of the panel for each of the original.
    scale: f64,
}

impl Panel {
    /// An image of red, green and blue bytes.
    pub(super) fn of_image(bytes: &[u8], [width, height]: [usize; 2]) -> Self {
        Self::scaled(bytes.to_vec(), [width, height], FilterType::Triangle)
    }

    /// A map of labels, a colour a class; what is ignored is white.
    pub(super) fn of_labels(labels: &[u8], size: [usize; 2]) -> Self {
        let bytes = labels.iter().flat_map(|label| colour((*label).into()));
        Self::scaled(bytes.collect(), size, FilterType::Nearest)
    }

    #[expect(clippy::cast_possible_truncation, reason = "images are smaller")]
    fn scaled(bytes: Vec<u8>, [width, height]: [usize; 2], filter: FilterType) -> Self {
        let image = RgbImage::from_raw(width as u32, height as u32, bytes)
            .unwrap_or_else(|| RgbImage::new(1, 1));
        let columns =
            (u64::from(HEIGHT) * u64::from(image.width())).div_ceil(image.height().into());
        Self {
            scale: f64::from(HEIGHT) / f64::from(image.height()),
            pixels: resize(&image, (columns as u32).max(1), HEIGHT, filter),
        }
    }

    /// The same with objects drawn over it, each with the number of its colour; `joined` are the pairs of
    /// keypoints with a line between them.
    pub(super) fn with<'a>(
        &self,
        regions: impl Iterator<Item = (usize, &'a Region)>,
        joined: &[[usize; 2]],
    ) -> Self {
        let mut panel = Self {
            pixels: self.pixels.clone(),
            scale: self.scale,
        };
        for (number, region) in regions {
            let colour = Rgb(colour(number + 1));
            match region {
                Region::Box(bbox) => panel.rectangle(*bbox, colour),
                Region::Mask(mask) => panel.mask(mask, colour),
                Region::Keypoints { points, .. } => panel.skeleton(points, joined, colour),
            }
        }
        panel
    }

    fn rectangle(&mut self, [x, y, width, height]: [f64; 4], colour: Rgb<u8>) {
        let corners = [
            [x, y],
            [x + width, y],
            [x + width, y + height],
            [x, y + height],
        ];
        for k in 0..4 {
            self.line(corners[k], corners[(k + 1) % 4], colour);
        }
    }

    /// Half of the image's colour, half of the object's.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in the image"
    )]
    fn mask(&mut self, mask: &Mask, colour: Rgb<u8>) {
        let (bitmap, width) = (mask.to_bitmap(), mask.width() as usize);
        for (x, y, pixel) in self.pixels.enumerate_pixels_mut() {
            let place = [x, y].map(|at| (f64::from(at) / self.scale) as usize);
            let inside = bitmap.get(place[1] * width + place[0]);
            if place[0] < width && inside.is_some_and(|inside| *inside != 0) {
                for (own, over) in pixel.0.iter_mut().zip(colour.0) {
                    *own = (*own / 2) + (over / 2);
                }
            }
        }
    }

    fn skeleton(&mut self, points: &[[f64; 3]], joined: &[[usize; 2]], colour: Rgb<u8>) {
        let labelled = |place: usize| points.get(place).filter(|point| point[2] > 0.0);
        let alone = (0..points.len()).map(|place| [place, place]);
        for [a, b] in alone.chain(joined.iter().copied()) {
            if let (Some(a), Some(b)) = (labelled(a), labelled(b)) {
                self.line([a[0], a[1]], [b[0], b[1]], colour);
            }
        }
    }

    /// A line two pixels wide, in the original's pixels.
    #[expect(clippy::cast_possible_truncation, reason = "places near the image")]
    fn line(&mut self, from: [f64; 2], to: [f64; 2], colour: Rgb<u8>) {
        let (from, to) = (from.map(|v| v * self.scale), to.map(|v| v * self.scale));
        let length = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
        // Lines far beyond the image are not worth their pixels.
        let steps = length.clamp(1.0, 1e4).ceil();
        for step in 0..=steps as u32 {
            let share = f64::from(step) / steps;
            let at = [0, 1].map(|k| (from[k] + share * (to[k] - from[k])).round() as i64);
            for [dx, dy] in [[0, 0], [1, 0], [0, 1], [1, 1]] {
                let [x, y] = [at[0].saturating_add(dx), at[1].saturating_add(dy)];
                let place = (u32::try_from(x), u32::try_from(y));
                if let (Ok(x), Ok(y)) = place
                    && let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y)
                {
                    *pixel = colour;
                }
            }
        }
    }
}

/// The least score of objects that are shown.
const SURE: f64 = 0.5;

/// Pictures of the first `count` validation images with the objects in them and those found.
pub(super) fn of_scenes(
    data: &dyn ObjectData,
    count: usize,
    targets: &Annotations,
    found: &[Prediction],
) -> Result<Vec<Vec<u8>>, TrainError> {
    let joined = data.skeleton().map_or(&[][..], |skeleton| &skeleton.joined);
    let picture = |index: usize| {
        let scene = data.scene(Split::Val, index)?;
        let image = Panel::of_image(&scene.image, [scene.width, scene.height]);
        let wanted = targets.targets.iter().filter(|t| t.image_id == scene.id);
        // A result of keypoints belongs to a given person, whatever its score.
        let shown = |p: &&Prediction| {
            let sure = p.score >= SURE || matches!(p.region, Region::Keypoints { .. });
            p.image_id == scene.id && sure
        };
        let found = found.iter().filter(shown);
        let wanted = wanted.map(|t| (t.category_id.unsigned_abs() as usize, &t.region));
        let found = found.map(|p| (p.category_id.unsigned_abs() as usize, &p.region));
        let (target, prediction) = (image.with(wanted, joined), image.with(found, joined));
        Ok(png(&[image, target, prediction]))
    };
    (0..count).map(picture).collect()
}

/// The panels beside each other, as PNG.
pub(super) fn png(panels: &[Panel]) -> Vec<u8> {
    let widths = panels.iter().map(|panel| panel.pixels.width() + GAP);
    let mut all = RgbImage::from_pixel(
        widths.sum::<u32>().max(GAP + 1) - GAP,
        HEIGHT,
        Rgb([128; 3]),
    );
    let mut left = 0;
    for panel in panels {
        image::imageops::replace(&mut all, &panel.pixels, left.into(), 0);
        left += panel.pixels.width() + GAP;
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    all.write_to(&mut bytes, ImageFormat::Png)
        .expect("memory takes every image");
    bytes.into_inner()
}

/// Colours that differ for neighbouring numbers: PASCAL VOC's map, black for 0; 255 is white.
fn colour(number: usize) -> [u8; 3] {
    if number == usize::from(autoloss_data::IGNORE) {
        return [255; 3];
    }
    let mut colour = [0_u8; 3];
    for bit in 0..8 {
        for (channel, value) in colour.iter_mut().enumerate() {
            let set = number >> (3 * bit + channel) & 1;
            *value |= u8::try_from(set << (7 - bit)).unwrap_or(0);
        }
    }
    colour
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_voc() {
        assert_eq!(
            [0, 1, 2, 15, 255].map(colour),
            [[0; 3], [128, 0, 0], [0, 128, 0], [192, 128, 128], [255; 3]]
        );
    }

    #[test]
    fn shapes_are_where_they_belong() {
        let grey = Panel::of_image(&[100; 8 * 4 * 3], [8, 4]);
        assert_eq!(
            (grey.pixels.width(), grey.pixels.height(), grey.scale),
            (320, 160, 40.0)
        );
        // A box beyond the image is cut, one inside is drawn around its middle.
        let region = Region::Box([1.0, 1.0, 2.0, 2.0]);
        let far = Region::Box([-1e9, 0.0, 2e9, f64::MAX]);
        let drawn = grey.with([(0, &region), (1, &far)].into_iter(), &[]);
        assert_eq!(drawn.pixels.get_pixel(40, 80), &Rgb([128, 0, 0]));
        assert_eq!(drawn.pixels.get_pixel(80, 80), &Rgb([100; 3]));
        // One pixel of a mask, in the second column and third row.
        let mut bitmap = vec![0; 32];
        bitmap[2 * 8 + 1] = 1;
        let mask = Region::Mask(Mask::from_bitmap(&bitmap, 4, 8).unwrap());
        let drawn = grey.with([(0, &mask)].into_iter(), &[]);
        assert_eq!(drawn.pixels.get_pixel(60, 100), &Rgb([114, 50, 50]));
        assert_eq!(drawn.pixels.get_pixel(60, 60), &Rgb([100; 3]));
        let bytes = png(&[grey, drawn]);
        let back = image::load_from_memory(&bytes).unwrap();
        assert_eq!((back.width(), back.height()), (646, 160));
    }
}
