//! Data sets of images with objects in them: boxes, masks and keypoints.

mod batch;
mod coco;
mod person;
mod skeleton;

use autoloss_metrics::coco::Mask;
use rayon::prelude::*;

pub use batch::{PreparedScene, SceneBatch, SceneLoader, SceneSize};
pub use coco::CocoData;
pub use person::{
    CropMap, Person, PersonAugmentation, PersonBatch, PersonLoader, PersonSize, PreparedPerson,
    decode_heatmaps, persons,
};
pub use skeleton::Skeleton;

use super::{DataError, Split};

/// A box in pixels: x and y of its upper left corner, x and y of its lower right one.
pub type Corners = [f32; 4];

/// x, y and visibility (0: not labelled, 1: hidden, 2: visible) of a person's keypoints, in the order of
/// the data set's [`Skeleton`]. A pixel reaches from its column and row to the next, as it does for boxes; COCO's own
/// keypoints are columns and rows, which stand for the middle of their pixel.
pub type Keypoints = Vec<[f32; 3]>;

/// The place that COCO's column and row of a keypoint stand for: the middle of that pixel. Without
/// this a mirrored image would have its keypoints a pixel aside.
#[expect(clippy::cast_possible_truncation, reason = "pixels fit f32")]
pub(crate) fn keypoint_from_coco([x, y, visibility]: [f64; 3]) -> [f32; 3] {
    let middle = if visibility > 0.0 { 0.5 } else { 0.0 };
    [x + middle, y + middle, visibility].map(|number| number as f32)
}

/// The inverse of [`keypoint_from_coco`].
pub fn keypoint_to_coco([x, y, visibility]: [f32; 3]) -> [f64; 3] {
    let middle = if visibility > 0.0 { 0.5 } else { 0.0 };
    [
        f64::from(x) - middle,
        f64::from(y) - middle,
        f64::from(visibility),
    ]
}

/// The rows or columns from `low` up to `high` that lie in an image with `size` of them.
#[must_use]
pub fn within(low: f32, high: f32, size: usize) -> (usize, usize) {
    // Casting to an unsigned number cuts negative ones off at 0.
    let end = (high.ceil() as usize).min(size);
    ((low.floor() as usize).min(end), end)
}

/// An object in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Position of its class in [`ObjectData::class_names`].
    pub class: usize,
    /// Its box, in pixels of the image, as the data set states it: it may be empty or reach beyond
    /// the image.
    pub corners: Corners,
    /// Its area in pixels of the image, as the data set states it.
    pub area: f64,
    /// Whether it stands for any number of objects: no network learns from it, and predictions in
    /// it do not count.
    pub crowd: bool,
    /// Its mask, of the image's size, where the data set has one.
    pub mask: Option<Mask>,
    /// Its keypoints, where the data set has some.
    pub keypoints: Option<Keypoints>,
}

/// An image with the objects in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Red, green, blue bytes; shape (height, width, 3).
    pub image: Vec<u8>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What the data set calls this image.
    pub name: String,
    /// The image's id in the data set.
    pub id: i64,
    /// The objects.
    pub objects: Vec<Object>,
}

/// A data set of images with objects.
pub trait ObjectData: Send + Sync {
    /// Names of the classes of objects; there is none for the background.
    fn class_names(&self) -> &[String];

    /// The keypoints of its objects, if they have any.
    fn skeleton(&self) -> Option<&Skeleton>;

    /// Sentences that a person should know before a run: values that were assumed, boxes that look
    /// wrong.
    fn warnings(&self) -> &[String];

    /// Numbers of dropped objects of a split with the reasons: a phrase a reason.
    fn dropped(&self, split: Split) -> &[String];

    /// Number of images of a split.
    fn len(&self, split: Split) -> usize;

    /// An image with its objects.
    ///
    /// # Errors
    /// A file that is missing, cannot be decoded or has another size than the annotations say; an
    /// index beyond the split.
    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError>;

    /// An image's objects: its scene, with `image` empty. A data set that knows them without
    /// reading the image says so here.
    ///
    /// # Errors
    /// As for [`Self::scene`], but for what is wrong with the image if it is not read.
    fn outline(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let scene = self.scene(split, index)?;
        Ok(Scene {
            image: Vec::new(),
            ..scene
        })
    }
}

/// The outlines of the first `count` images of a split, made on rayon's threads.
///
/// # Errors
/// The first image whose objects cannot be read.
pub fn outlines(
    data: &dyn ObjectData,
    split: Split,
    count: usize,
) -> Result<Vec<Scene>, DataError> {
    // All are made, so that the first error is the one that is told.
    let outlines: Vec<Result<Scene, DataError>> = (0..count)
        .into_par_iter()
        .map(|index| data.outline(split, index))
        .collect();
    outlines.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_at_the_border() {
        assert_eq!(within(-3.0, 5.5, 16), (0, 6));
        assert_eq!(within(20.0, 30.0, 16), (16, 16));
    }

    #[test]
    fn a_mirrored_keypoint_is_in_the_mirrored_pixel() {
        for column in [0.0, 5.0, 63.0] {
            let [x, y, visibility] = keypoint_from_coco([column, 7.0, 2.0]);
            let mirrored = keypoint_to_coco([64.0 - x, y, visibility]);
            assert_eq!(mirrored, [63.0 - column, 7.0, 2.0]);
        }
        assert_eq!(keypoint_from_coco([0.0; 3]), [0.0; 3]);
        assert_eq!(keypoint_to_coco([0.0; 3]), [0.0; 3]);
    }
}
