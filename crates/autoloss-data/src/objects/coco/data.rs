//! A data set in COCO's format, once it is read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{DataError, in_split};
use crate::files::read_rgb;
use crate::objects::scene::{Object, ObjectData, Scene};
use crate::objects::skeleton::Skeleton;
use crate::split::Split;

/// A data set in COCO's format.
pub struct CocoData {
    pub(super) classes: Vec<String>,
    pub(super) skeleton: Option<Skeleton>,
    pub(super) warnings: Vec<String>,
    pub(super) train: Arc<Part>,
    pub(super) val: Arc<Part>,
}

/// A split: its images and their objects.
pub(super) struct Part {
    pub(super) images: Vec<ImageEntry>,
    pub(super) objects: HashMap<i64, Vec<Object>>,
    /// Phrases with the numbers of objects that no network learns from, one for each reason.
    pub(super) dropped: Vec<String>,
}

/// An image of a split.
pub(super) struct ImageEntry {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl CocoData {
    fn part(&self, split: Split) -> &Part {
        match split {
            // `Divided` holds search examples out of the training images.
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
