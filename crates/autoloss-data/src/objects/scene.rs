//! Images with objects, and data sets of them.

use autoloss_metrics::coco::Mask;
use rayon::prelude::*;

use crate::error::DataError;
use crate::objects::skeleton::Skeleton;
use crate::split::Split;

/// A box in pixels: x and y of its upper left corner, x and y of its lower right one.
pub type Corners = [f32; 4];

/// x, y and visibility (0: not labelled, 1: hidden, 2: visible) of a person's keypoints, in the order of the data set's
/// [`Skeleton`]. A pixel reaches from its column and row to the next, as for boxes.
pub type Keypoints = Vec<[f32; 3]>;

/// An object in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Position of its class in [`ObjectData::class_names`].
    pub class: usize,
    /// Its box as the data set states it, in pixels of the image. The box may be empty or reach beyond the image.
    pub corners: Corners,
    /// Its area in pixels of the image, as the data set states it.
    pub area: f64,
    /// True for a crowd, which stands for any number of objects: networks do not learn from it, and predictions
    /// inside it do not count.
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
    /// Name of the image in the data set.
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

    /// Sentences on findings that a person should know before a run: assumed values, implausible boxes.
    fn warnings(&self) -> &[String];

    /// Phrases with the number of dropped objects of a split, one for each reason.
    fn dropped(&self, split: Split) -> &[String];

    /// Number of images of a split.
    fn len(&self, split: Split) -> usize;

    /// An image with its objects.
    ///
    /// # Errors
    /// A file that is missing, cannot be decoded or has another size than the annotations say; an
    /// index beyond the split.
    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError>;

    /// An image's scene with `image` empty. Data sets that know the objects without reading the image override this.
    ///
    /// # Errors
    /// As for [`Self::scene`], without errors of an image that is not read.
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
    // All are made before any error is returned, so that it is the first one in order.
    let outlines: Vec<Result<Scene, DataError>> = (0..count)
        .into_par_iter()
        .map(|index| data.outline(split, index))
        .collect();
    outlines.into_iter().collect()
}
