//! The embedded data set for pose: scenes of articulated human figures.

mod body;
mod draw;
mod pose;
mod postures;
mod scene;
#[cfg(test)]
mod tests;
mod vector;

use serde::{Deserialize, Serialize};

use autoloss_data::{DataError, ObjectData, Purpose, Scene, Skeleton, Split, in_split, stream};

use crate::range::{self, MAX_SCENES};

/// Settings of the scenes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FiguresSettings {
    /// Seed of the scenes.
    pub seed: u64,
    /// Number of training scenes.
    pub train: usize,
    /// Number of validation scenes.
    pub val: usize,
    /// Rows and columns of a scene, 32 to 1024.
    pub size: usize,
}

impl Default for FiguresSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            train: 2000,
            val: 200,
            size: 96,
        }
    }
}

/// Scenes of one to three people with COCO's 17 keypoints, in many poses, clothes and sizes, seen
/// from the front, turned aside or from behind, partly hidden or beyond the border.
///
/// Scene i of a split is a pure function of the seed, the size, the split and i, made on demand.
///
/// The mask of a figure is its visible part; its box is the box of the mask. A pixel covers the square
/// from its column and row to the next; boxes and keypoints are measured in this grid. "Left" is the
/// person's left. A keypoint in the image is visible (2) if its pixel shows its
/// part of the body or clothes over it, and hidden (1) behind anything else. It is
/// not labelled (0, at 0, 0) if it is outside the image, or of the face and on the far side of the
/// head. Figures of fewer than 30 visible pixels, or without a labelled keypoint, are no objects.
pub struct Figures {
    settings: FiguresSettings,
    classes: Vec<String>,
    skeleton: Skeleton,
}

impl Figures {
    /// The data set of these settings.
    ///
    /// # Errors
    /// A size outside its range.
    pub fn new(settings: FiguresSettings) -> Result<Self, DataError> {
        range::check([
            ("figures.size", settings.size, 32, 1024),
            ("figures.train", settings.train, 1, MAX_SCENES),
            ("figures.val", settings.val, 1, MAX_SCENES),
        ])?;
        Ok(Self {
            settings,
            classes: vec!["person".to_owned()],
            skeleton: Skeleton::person(),
        })
    }
}

impl ObjectData for Figures {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        Some(&self.skeleton)
    }

    fn warnings(&self) -> &[String] {
        &[]
    }

    fn dropped(&self, _split: Split) -> &[String] {
        &[]
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.settings.train,
            Split::Search => 0,
            Split::Val => self.settings.val,
        }
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        in_split(split, index, self.len(split))?;
        let purpose = match split {
            Split::Train | Split::Search => Purpose::FigureTrain,
            Split::Val => Purpose::FigureVal,
        };
        let mut rng = stream(self.settings.seed, purpose, index as u64);
        let size = self.settings.size;
        let (image, objects) = scene::compose(size, &mut rng);
        Ok(Scene {
            image,
            width: size,
            height: size,
            name: format!("{split} scene {index}"),
            id: index as i64,
            objects,
        })
    }
}
