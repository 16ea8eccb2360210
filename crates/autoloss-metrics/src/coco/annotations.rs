//! Images, categories and the objects to be found.

use super::ids::TextIds;
use super::region::{BBox, Kind, Region};

/// Images with the objects to be found in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotations {
    /// Kind of the regions of all targets.
    pub kind: Kind,
    /// The images; images without targets count, too.
    pub images: Vec<Image>,
    /// The categories.
    pub categories: Vec<Category>,
    /// The objects to be found; those of images and categories that are not listed do not count.
    pub targets: Vec<Target>,
    /// Ids that are texts in the file.
    pub texts: TextIds,
    /// Notes for people: values that were assumed, targets that were left out, boxes that look wrong. One
    /// sentence each.
    pub notes: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Id; images of one id are one image.
    pub id: i64,
    /// `file_name` in the file; empty if there is none.
    pub file_name: String,
    /// Height and width in pixels, if they are known; only polygons need them.
    pub size: Option<(u32, u32)>,
}

/// A category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Category {
    /// Id; categories of one id are one category.
    pub id: i64,
    /// Name for people.
    pub name: String,
    /// Names of the keypoints; empty if they are not given.
    pub keypoints: Vec<String>,
    /// Pairs of keypoints that are joined in pictures, counted from 0.
    pub skeleton: Vec<[usize; 2]>,
    /// Sigma of each keypoint of the targets: the annotators' spread as a share of the object's size. Only
    /// keypoints need them.
    pub sigmas: Vec<f64>,
}

/// An object to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Id of the image.
    pub image_id: i64,
    /// Id of the category.
    pub category_id: i64,
    /// Area in pixels, which decides on the ranges of area.
    pub area: f64,
    /// Whether the target is a crowd, which need not be found and in which any
    /// number of predictions may lie.
    pub crowd: bool,
    /// Whether the target need not be found, such as an object without labelled
    /// keypoints.
    pub ignored: bool,
    /// Box, where the file states one, whatever kind is compared.
    pub bbox: Option<BBox>,
    /// Region that predictions are compared with.
    pub region: Region,
}

impl Annotations {
    /// Annotations without images, categories and targets.
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
}
