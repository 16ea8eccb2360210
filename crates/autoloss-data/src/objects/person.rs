//! Persons cropped from images, and the heatmaps of their keypoints, as in the Simple Baselines (Xiao et al. 2018,
//! arXiv 1804.06208).

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::augment::{ColourTransform, put_normalised};
use crate::error::DataError;
use crate::loader::Loader;
use crate::loader::Recipe;
use crate::objects::scene::{Corners, Object, ObjectData, Scene, outlines};
use crate::split::Split;

/// Factor that a box is enlarged by before it is cropped.
const ROOM: f32 = 1.25;

/// A person in a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Person {
    /// Number of the image in its split.
    pub scene: usize,
    /// Number of the object in the image.
    pub object: usize,
}

/// Sizes of crops and heatmaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonSize {
    /// Number of keypoints, and so of heatmaps.
    pub keypoints: usize,
    /// Rows and columns of a crop.
    pub crop: [usize; 2],
    /// Pixels of the crop for each of the heatmap.
    pub stride: usize,
    /// Standard deviation of a keypoint's target, in pixels of the heatmap.
    pub sigma: f32,
}

impl PersonSize {
    /// Rows and columns of a heatmap.
    #[must_use]
    pub fn heatmap(&self) -> [usize; 2] {
        self.crop.map(|side| side / self.stride)
    }
}

/// Variation of training crops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonAugmentation {
    /// Largest change of the scale of a box, as a share of 1.
    pub scale: f32,
    /// Largest turn in degrees.
    pub rotation: f32,
    /// The share of crops that are turned.
    pub rotated: f32,
    /// Mirror half of the crops, left and right keypoints changing places.
    pub flip: bool,
}

impl PersonAugmentation {
    /// Checks the ranges of all settings.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn check(&self) -> Result<(), DataError> {
        let settings = [
            ("augmentation.scale", self.scale, 0.9),
            ("augmentation.rotation", self.rotation, 180.0),
            ("augmentation.rotated", self.rotated, 1.0),
        ];
        for (name, value, most) in settings {
            if !(0.0..=most).contains(&value) {
                return Err(DataError::Setting {
                    name,
                    reason: format!("{value} given, expected 0 to {most}"),
                });
            }
        }
        Ok(())
    }
}

/// Affine map from places in a crop to places in its image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropMap {
    /// The middle of the crop, in the image.
    centre: [f32; 2],
    /// Step in the image for a step to the right in the crop.
    right: [f32; 2],
    /// Step in the image for a step down in the crop.
    down: [f32; 2],
    /// Rows and columns of the crop.
    size: [usize; 2],
}

impl CropMap {
    /// The crop around a box, scaled and turned.
    fn around(corners: Corners, size: [usize; 2], scale: f32, turn: f32, flip: bool) -> Self {
        let [x1, y1, x2, y2] = corners;
        let (width, height) = ((x2 - x1).max(1.0), (y2 - y1).max(1.0));
        let [rows, columns] = size.map(|side| side as f32);
        // Pixels of the image for one of the crop, so that the whole box is in it.
        let step = ROOM * scale * (width / columns).max(height / rows);
        let (sin, cos) = turn.sin_cos();
        let mirror = if flip { -1.0 } else { 1.0 };
        Self {
            centre: [f32::midpoint(x1, x2), f32::midpoint(y1, y2)],
            right: [mirror * step * cos, mirror * step * sin],
            down: [-step * sin, step * cos],
            size,
        }
    }

    /// The place in the image of a place in the crop.
    #[must_use]
    pub fn to_image(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [rows, columns] = self.size.map(|side| side as f32);
        let (dx, dy) = (x - columns / 2.0, y - rows / 2.0);
        std::array::from_fn(|axis| self.centre[axis] + dx * self.right[axis] + dy * self.down[axis])
    }

    /// The place in the crop of a place in the image.
    #[must_use]
    pub fn to_crop(&self, place: [f32; 2]) -> [f32; 2] {
        let [rows, columns] = self.size.map(|side| side as f32);
        let (px, py) = (place[0] - self.centre[0], place[1] - self.centre[1]);
        // The steps are at a right angle and of one length.
        let square = self.right[0].powi(2) + self.right[1].powi(2);
        let along = |axis: [f32; 2]| (px * axis[0] + py * axis[1]) / square;
        [
            along(self.right) + columns / 2.0,
            along(self.down) + rows / 2.0,
        ]
    }

    /// The crop of an image, normalised, shape (3, rows, columns); outside it is the mean colour.
    fn cut(&self, scene: &Scene, colours: &ColourTransform) -> Vec<f32> {
        let [rows, columns] = self.size;
        let mut image = vec![0.0; 3 * rows * columns];
        for row in 0..rows {
            for column in 0..columns {
                let place = [column as f32 + 0.5, row as f32 + 0.5];
                if let Some(colour) = colour_at(scene, self.to_image(place)) {
                    put_normalised(&mut image, row * columns + column, colours.apply(colour));
                }
            }
        }
        image
    }
}

/// The colour, 0 to 1, at a place of an image, between the middles of its pixels; none outside.
fn colour_at(scene: &Scene, [x, y]: [f32; 2]) -> Option<[f32; 3]> {
    let inside = x >= 0.0 && y >= 0.0 && x < scene.width as f32 && y < scene.height as f32;
    if !inside {
        return None;
    }
    let limit = |value: f32, size: usize| value.clamp(0.0, (size - 1) as f32);
    let (x, y) = (limit(x - 0.5, scene.width), limit(y - 0.5, scene.height));
    let (left, top) = (x as usize, y as usize);
    let (right, below) = (
        (left + 1).min(scene.width - 1),
        (top + 1).min(scene.height - 1),
    );
    let (along, down) = (x - left as f32, y - top as f32);
    let pixel = |row: usize, column: usize, c: usize| {
        f32::from(scene.image[3 * (row * scene.width + column) + c])
    };
    Some(std::array::from_fn(|c| {
        let above = pixel(top, left, c) * (1.0 - along) + pixel(top, right, c) * along;
        let under = pixel(below, left, c) * (1.0 - along) + pixel(below, right, c) * along;
        (above * (1.0 - down) + under * down) / 255.0
    }))
}

/// A person as a network reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedPerson {
    /// Normalised colours, shape (3, rows, columns).
    pub image: Vec<f32>,
    /// Targets, shape (keypoints, rows / stride, columns / stride).
    pub heatmaps: Vec<f32>,
    /// For each keypoint: is it labelled and inside the crop? Others do not count.
    pub counts: Vec<bool>,
    /// Place of the crop in the image.
    pub map: CropMap,
}

impl PreparedPerson {
    /// The crop without variation, as it is scored.
    ///
    /// # Panics
    /// If the image has no object of that number.
    pub fn whole(scene: &Scene, object: usize, size: PersonSize) -> Self {
        let map = CropMap::around(scene.objects[object].corners, size.crop, 1.0, 0.0, false);
        Self::new(scene, object, size, (map, None), &ColourTransform::IDENTITY)
    }

    /// A varied crop for training. `mirrored` is the place of each keypoint in a mirrored image; without it
    /// no crop is mirrored.
    ///
    /// # Panics
    /// If the image has no object of that number.
    pub fn varied(
        scene: &Scene,
        object: usize,
        (size, mirrored): (PersonSize, Option<&[usize]>),
        augmentation: &PersonAugmentation,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut spread = |range: f32| range * (2.0 * rng.random::<f32>() - 1.0);
        let scale = 1.0 + spread(augmentation.scale);
        let turn = spread(augmentation.rotation).to_radians();
        let turned = rng.random::<f32>() < augmentation.rotated;
        let flip = rng.random::<bool>() && augmentation.flip;
        let mirrored = mirrored.filter(|_| flip);
        let turn = if turned { turn } else { 0.0 };
        let corners = scene.objects[object].corners;
        let map = CropMap::around(corners, size.crop, scale, turn, mirrored.is_some());
        Self::new(
            scene,
            object,
            size,
            (map, mirrored),
            &ColourTransform::IDENTITY,
        )
    }

    fn new(
        scene: &Scene,
        object: usize,
        size: PersonSize,
        (map, mirrored): (CropMap, Option<&[usize]>),
        colours: &ColourTransform,
    ) -> Self {
        let none = vec![[0.0; 3]; size.keypoints];
        let keypoints = scene.objects[object].keypoints.as_deref();
        let keypoints = keypoints.unwrap_or(&none);
        let (heatmaps, counts) = encode_heatmaps(keypoints, &map, size, mirrored);
        Self {
            image: map.cut(scene, colours),
            heatmaps,
            counts,
            map,
        }
    }
}

/// Target heatmaps of a person's keypoints, a Gaussian of height 1 at the pixel of each, and whether each counts.
fn encode_heatmaps(
    keypoints: &[[f32; 3]],
    map: &CropMap,
    size: PersonSize,
    mirrored: Option<&[usize]>,
) -> (Vec<f32>, Vec<bool>) {
    let [rows, columns] = size.heatmap();
    let mut heatmaps = vec![0.0; size.keypoints * rows * columns];
    let mut counts = vec![false; size.keypoints];
    for (number, heatmap) in heatmaps.chunks_exact_mut(rows * columns).enumerate() {
        let from = mirrored.map_or(number, |places| places[number]);
        let [x, y, visible] = keypoints[from];
        let place = map
            .to_crop([x, y])
            .map(|c| (c / size.stride as f32).floor());
        let inside =
            (0.0..columns as f32).contains(&place[0]) && (0.0..rows as f32).contains(&place[1]);
        counts[number] = visible > 0.0 && inside;
        if !counts[number] {
            continue;
        }
        for (at, value) in heatmap.iter_mut().enumerate() {
            let (dx, dy) = (
                (at % columns) as f32 - place[0],
                (at / columns) as f32 - place[1],
            );
            *value = (-(dx * dx + dy * dy) / (2.0 * size.sigma * size.sigma)).exp();
        }
    }
    (heatmaps, counts)
}

/// Keypoints of heatmaps of shape (keypoints, rows, columns): x and y in pixels of the crop, and the score. A keypoint
/// is at the highest pixel, moved by a quarter towards the higher neighbour; its score is the height of that pixel.
#[must_use]
pub fn decode_heatmaps(heatmaps: &[f32], size: PersonSize) -> Vec<[f32; 3]> {
    let [rows, columns] = size.heatmap();
    let stride = size.stride as f32;
    let decoded = heatmaps.chunks_exact(rows * columns).map(|heatmap| {
        let highest = (1..heatmap.len()).fold(0, |best, at| {
            if heatmap[at] > heatmap[best] {
                at
            } else {
                best
            }
        });
        let (row, column) = (highest / columns, highest % columns);
        let towards = |before: Option<f32>, after: Option<f32>| match (before, after) {
            (Some(before), Some(after)) if after > before => 0.25,
            (Some(before), Some(after)) if after < before => -0.25,
            _ => 0.0,
        };
        let at = |row: Option<usize>, column: Option<usize>| {
            let (row, column) = (row?, column?);
            (row < rows && column < columns).then(|| heatmap[row * columns + column])
        };
        let x = towards(
            at(Some(row), column.checked_sub(1)),
            at(Some(row), Some(column + 1)),
        );
        let y = towards(
            at(row.checked_sub(1), Some(column)),
            at(Some(row + 1), Some(column)),
        );
        // The middle of a pixel of the heatmap.
        let middle = |place: usize, shift: f32| (place as f32 + 0.5 + shift) * stride;
        [middle(column, x), middle(row, y), heatmap[highest]]
    });
    decoded.collect()
}

/// Crops of several persons.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonBatch {
    /// Normalised colours, shape (n, 3, rows, columns).
    pub images: Vec<f32>,
    /// Targets, shape (n, keypoints, rows / stride, columns / stride).
    pub heatmaps: Vec<f32>,
    /// For each keypoint: does it count?
    pub counts: Vec<Vec<bool>>,
    /// Places of the crops in their images.
    pub maps: Vec<CropMap>,
}

impl PersonBatch {
    /// Puts persons together.
    #[must_use]
    pub fn stack(persons: &[PreparedPerson]) -> Self {
        Self {
            counts: persons.iter().map(|person| person.counts.clone()).collect(),
            maps: persons.iter().map(|person| person.map).collect(),
            images: joined(persons, |person| &person.image),
            heatmaps: joined(persons, |person| &person.heatmaps),
        }
    }
}

fn joined(persons: &[PreparedPerson], part: fn(&PreparedPerson) -> &[f32]) -> Vec<f32> {
    let parts: Vec<&[f32]> = persons.iter().map(part).collect();
    parts.concat()
}

/// The persons of a split to learn from: no crowds, at least one labelled keypoint, and a box that
/// is not empty.
///
/// # Errors
/// An image whose objects cannot be read.
pub fn persons(data: &dyn ObjectData, split: Split) -> Result<Vec<Person>, DataError> {
    let outlines = outlines(data, split, data.len(split))?;
    let of_scene = |(scene, outline): (usize, &Scene)| {
        let objects = outline.objects.iter().enumerate();
        let learnt = objects.filter(|(_, object)| is_learnt(object));
        let persons = learnt.map(|(object, _)| Person { scene, object });
        persons.collect::<Vec<_>>()
    };
    Ok(outlines.iter().enumerate().flat_map(of_scene).collect())
}

fn is_learnt(object: &Object) -> bool {
    let [x1, y1, x2, y2] = object.corners;
    let points = object.keypoints.as_deref();
    let labelled = points.is_some_and(|points| points.iter().any(|point| point[2] > 0.0));
    labelled && !object.crowd && x2 > x1 && y2 > y1
}

/// An endless stream of training batches of persons, see [`Loader`].
pub type PersonLoader = Loader<PersonBatch>;

impl PersonLoader {
    /// Starts the threads, if there are any.
    ///
    /// # Errors
    /// No persons, a setting outside its range, no threads left.
    pub fn persons(
        data: Arc<dyn ObjectData>,
        persons: Arc<[Person]>,
        (size, augmentation): (PersonSize, PersonAugmentation),
        (batch, workers): (usize, usize),
        seed: u64,
    ) -> Result<Self, DataError> {
        augmentation.check()?;
        let recipe = Recipe {
            len: persons.len(),
            batch,
            workers,
            prefetch: 2 * workers,
            seed,
        };
        let mirrored = data
            .skeleton()
            .and_then(|skeleton| skeleton.mirrored.clone());
        let prepare = move |index: usize, rng: &mut ChaCha8Rng| {
            let Person { scene, object } = persons[index];
            let scene = data.scene(Split::Train, scene)?;
            Ok(PreparedPerson::varied(
                &scene,
                object,
                (size, mirrored.as_deref()),
                &augmentation,
                rng,
            ))
        };
        let stack = |persons: Vec<PreparedPerson>| Ok(PersonBatch::stack(&persons));
        Self::with(Split::Train, recipe, prepare, stack)
    }
}

#[cfg(test)]
mod tests;
