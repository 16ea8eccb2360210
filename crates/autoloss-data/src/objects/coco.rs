//! Data sets in the folder layouts of COCO, Roboflow and Label Studio.
//!
//! COCO's is `annotations/instances_train2017.json` and so on (or `person_keypoints_…`), and a folder
//! of images named as the file, such as `train2017`. Of several years the last one counts; the images
//! may also be in another folder whose name begins with `train`, in a folder of `images`, or in
//! `images` itself. Roboflow's is `train/_annotations.coco.json` and `valid/_annotations.coco.json`
//! beside their pictures, Label Studio's `result.json` and `images`.
//!
//! A folder with one annotation file is both training and validation set: enough to try things out.

mod layout;
mod pictures;
mod read;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoloss_metrics::coco::Kind;

use super::super::files::read_rgb;
use super::super::{DataError, Split, in_split};
use super::{Object, ObjectData, Scene, Skeleton};

/// A data set in COCO's format.
pub struct CocoData {
    classes: Vec<String>,
    skeleton: Option<Skeleton>,
    warnings: Vec<String>,
    train: Arc<Part>,
    val: Arc<Part>,
}

/// A split: its images and what is in them.
struct Part {
    images: Vec<ImageEntry>,
    objects: HashMap<i64, Vec<Object>>,
    /// Objects that no network learns from, and why; how many annotations do not count.
    dropped: Vec<String>,
}

/// An image of a split.
struct ImageEntry {
    id: i64,
    name: String,
    path: PathBuf,
    height: usize,
    width: usize,
}

impl CocoData {
    /// Opens the data set: reads the annotations once, and of each picture its size and its end.
    ///
    /// `kind` is what is wanted besides the boxes: masks, keypoints, or nothing more; `sigmas` are
    /// those of the keypoints, if they are given. Objects of images or categories that are not listed
    /// are left out; boxes stay as they are stated, empty ones and those beyond the image as well.
    /// Class k is the category of the k-th smallest id of both splits.
    ///
    /// # Errors
    /// Annotations that are missing or cannot be read, no images or categories, two images of one id,
    /// pictures that are missing, damaged or of another size, masks of another size than their
    /// image's, a category of two names, a split without anything to find.
    pub fn open(dir: &Path, kind: Kind, sigmas: Option<&[f64]>) -> Result<Self, DataError> {
        read::open(dir, kind, sigmas)
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            // Search examples are training images that are held out, see [`super::super::Divided`].
            Split::Train | Split::Search => &self.train,
            Split::Val => &self.val,
        }
    }
}

impl ObjectData for CocoData {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        self.skeleton.as_ref()
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn dropped(&self, split: Split) -> &[String] {
        &self.part(split).dropped
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Search => 0,
            Split::Train | Split::Val => self.part(split).images.len(),
        }
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let scene = self.outline(split, index)?;
        let part = self.part(split);
        let entry = &part.images[index];
        let (image, width, height) = read_rgb(&entry.path)?;
        if (width, height) != (entry.width, entry.height) {
            return Err(DataError::Layout {
                path: entry.path.clone(),
                reason: format!(
                    "is {width}x{height}, but was {}x{} when the data set was opened",
                    entry.width, entry.height
                ),
            });
        }
        Ok(Scene { image, ..scene })
    }

    fn outline(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let part = self.part(split);
        in_split(split, index, self.len(split))?;
        let entry = &part.images[index];
        Ok(Scene {
            image: Vec::new(),
            width: entry.width,
            height: entry.height,
            name: entry.name.clone(),
            id: entry.id,
            objects: part.objects.get(&entry.id).cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
