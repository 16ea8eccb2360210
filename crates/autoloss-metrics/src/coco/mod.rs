//! Average precision and recall of detections, masks and keypoints, as COCO
//! defines them and pycocotools computes them.
//!
//! Targets and predictions are plain structs, which [`Annotations`] and
//! [`Results`] read from COCO's JSON files; [`evaluate()`] makes a [`Summary`] of
//! them.
//!
//! ```
//! use autoloss_metrics::coco::{Annotations, Kind, Results, evaluate};
//!
//! let target = br#"{
//!     "images": [{"id": 7}],
//!     "categories": [{"id": 1, "name": "cat"}],
//!     "annotations": [{
//!         "id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0,
//!         "area": 1200, "bbox": [10, 10, 40, 30]
//!     }]
//! }"#;
//! let results = br#"[
//!     {"image_id": 7, "category_id": 1, "score": 0.9, "bbox": [10, 10, 40, 24]}
//! ]"#;
//! let annotations = Annotations::from_json(target, Kind::Box)?;
//! let results = Results::from_json(results, &annotations)?;
//! let summary = evaluate(&annotations, &results)?;
//! // An intersection over union of 0.8 reaches seven of the ten thresholds.
//! assert!((summary.get("AP").unwrap() - 0.7).abs() < 1e-9);
//! // A mean over 101 recalls, to the last bit that of pycocotools.
//! assert_eq!(summary.get("AP50"), Some(0.999_999_999_999_999_7));
//! # Ok::<(), autoloss_metrics::coco::CocoError>(())
//! ```
//!
//! The numbers are those of pycocotools, and so is every decision on odd input:
//!
//! - a score of NaN ranks last; predictions of equal score keep the order of the
//!   images' ids and, in an image, of the list;
//! - targets of images or categories that are not listed do not count, nor do
//!   predictions of such categories; predictions of other images are an error;
//! - a target's `ignore` has no effect, only `iscrowd` and, for keypoints,
//!   `num_keypoints` 0;
//! - boxes may have any size and place: only the area that overlaps counts;
//! - a mean over nothing, where the target holds nothing to find, is −1.
//!
//! Where pycocotools stops with an exception or does not end, there is an error
//! that names the entry: so results without boxes must hold compressed masks. An
//! empty list of results is allowed and finds nothing.
//!
//! Four decisions differ, and [`Annotations::notes`] tells where they matter:
//!
//! - every target counts once, whatever its id: pycocotools takes a match with the
//!   id 0 for none, and the last of several targets of one id for all of them;
//! - a field that may be missing is assumed: `iscrowd` is 0, `area` that of the box
//!   or of the mask, `num_keypoints` is counted; `keypoints` may be empty;
//! - a mask of another size than its image is an error;
//! - a category may have any number of keypoints: 17 have COCO's sigmas, others have
//!   [`keypoints::DEFAULT_SIGMA`], unless sigmas are given.
//!
//! Polygons whose outlines cross more than 2²⁰ columns of pixels are an error.

mod accumulate;
mod annotations;
mod context;
mod error;
mod evaluate;
mod fields;
mod file;
mod ids;
mod json;
pub mod keypoints;
mod limits;
mod mask;
mod matching;
mod notes;
mod overlap;
mod region;
mod results;
mod rules;
mod segmentation;
mod summary;
#[cfg(test)]
mod tests;

pub use annotations::{Annotations, Category, Image, Target};
pub use error::{CocoError, Item};
pub use evaluate::{evaluate, evaluate_most};
pub use file::AnnotationFile;
pub use ids::TextIds;
pub use mask::{Mask, MaskError};
pub use region::{BBox, Kind, Region};
pub use results::{Prediction, Results};
pub use rules::Row;
pub use summary::{CategoryScore, Summary};
