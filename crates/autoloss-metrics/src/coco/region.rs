//! Boxes, masks and sets of keypoints.

use super::mask::Mask;

/// Regions that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Boxes, by intersection over union.
    Box,
    /// Masks, by intersection over union.
    Mask,
    /// Keypoints, by object keypoint similarity.
    Keypoints,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Box => "box",
            Self::Mask => "mask",
            Self::Keypoints => "set of keypoints",
        })
    }
}

/// A box: x and y of its upper left corner, width, height.
pub type BBox = [f64; 4];

/// Region of a target or a prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum Region {
    /// A box.
    Box(BBox),
    /// A mask.
    Mask(Mask),
    /// Keypoints.
    Keypoints {
        /// x, y and visibility of each; a visibility of 0 means that the keypoint is not labelled.
        points: Vec<[f64; 3]>,
        /// The box around the object.
        bbox: BBox,
    },
}

impl Region {
    /// The kind of the region.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Box(_) => Kind::Box,
            Self::Mask(_) => Kind::Mask,
            Self::Keypoints { .. } => Kind::Keypoints,
        }
    }
}
