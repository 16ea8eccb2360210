//! What is to be found in a set of images.

use super::error::CocoError;
use super::file::AnnotationFile;
use super::ids::TextIds;
use super::{BBox, Kind, Shape};

/// What is to be found in a set of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotations {
    /// What is compared; all shapes are of this kind.
    pub kind: Kind,
    /// The images; one without targets counts, too.
    pub images: Vec<Image>,
    /// The categories.
    pub categories: Vec<Category>,
    /// What is to be found; of other images and categories it does not count.
    pub targets: Vec<Target>,
    /// Ids that the file has as texts.
    pub texts: TextIds,
    /// What a person should know before the numbers: values that were assumed, targets that were left
    /// out, boxes that look wrong. One sentence each.
    pub notes: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id; one id is one image.
    pub id: i64,
    /// Its `file_name`; empty if there is none.
    pub file_name: String,
    /// Its height and width in pixels, if they are known; only polygons need them.
    pub size: Option<(u32, u32)>,
}

/// A category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Category {
    /// Its id; one id is one category.
    pub id: i64,
    /// Its name, for the reader.
    pub name: String,
    /// The names of its keypoints; empty if they are not given.
    pub keypoints: Vec<String>,
    /// Pairs of keypoints that are joined in pictures, counted from 0.
    pub skeleton: Vec<[usize; 2]>,
    /// Sigma of each keypoint, the annotators' spread as a share of the object's size: as many as its
    /// targets have keypoints. Only keypoints need them.
    pub sigmas: Vec<f64>,
}

/// An object to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The image it is in.
    pub image_id: i64,
    /// Its category.
    pub category_id: i64,
    /// Its area in pixels, which decides on the ranges of area it is in.
    pub area: f64,
    /// Whether it is a crowd: need not be found, and any number of predictions
    /// may lie in it.
    pub crowd: bool,
    /// Whether it need not be found, as an object without labelled keypoints.
    pub ignored: bool,
    /// Its box, where the file states it, whatever is compared.
    pub bbox: Option<BBox>,
    /// Where it is.
    pub shape: Shape,
}

impl Annotations {
    /// No images, categories and targets.
    #[must_use]
    pub fn empty(kind: Kind) -> Self {
        Self {
            kind,
            images: Vec::new(),
            categories: Vec::new(),
            targets: Vec::new(),
            texts: TextIds::default(),
            notes: Vec::new(),
        }
    }

    /// Reads an annotation file of COCO's format, and of it only what the
    /// comparison of `kind` needs.
    ///
    /// Polygons are drawn on rayon's threads.
    ///
    /// # Errors
    /// As for [`AnnotationFile::read`] and [`AnnotationFile::annotations`].
    pub fn from_json(json: &[u8], kind: Kind) -> Result<Self, CocoError> {
        AnnotationFile::read(json, kind)?.annotations(None)
    }
}
