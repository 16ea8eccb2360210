//! Facts on images and categories, for entries that become targets or predictions.

use std::collections::HashMap;

use super::annotations::Image;
use super::error::{CocoError, Item};
use super::ids::TextIds;
use super::region::Kind;

/// Height and width of each image, where they are known.
pub(super) type Sizes = HashMap<i64, Option<(u32, u32)>>;

/// The sizes of images, by their ids.
pub(super) fn sizes(images: &[Image]) -> Sizes {
    images.iter().map(|image| (image.id, image.size)).collect()
}

/// Facts that entries are read with.
pub(super) struct Context<'a> {
    pub(super) kind: Kind,
    pub(super) sizes: Sizes,
    /// Sizes that the file states and that are none, in words.
    pub(super) odd_sizes: &'a HashMap<i64, String>,
    pub(super) texts: &'a TextIds,
    /// Number of keypoints of each category.
    pub(super) points: HashMap<i64, usize>,
}

impl Context<'_> {
    /// The size of an image, which polygons need.
    pub(super) fn size(&self, image: i64, item: Item) -> Result<(u32, u32), CocoError> {
        let unknown = || CocoError::UnknownSize {
            item,
            image: self.texts.show(image).into_owned(),
            stated: self.odd_sizes.get(&image).cloned().unwrap_or_else(no_size),
        };
        self.sizes
            .get(&image)
            .copied()
            .flatten()
            .ok_or_else(unknown)
    }

    /// Fails if a mask has another size than its image.
    pub(super) fn check_size(
        &self,
        mask: (u32, u32),
        image: i64,
        item: Item,
    ) -> Result<(), CocoError> {
        match self.sizes.get(&image) {
            Some(&Some(size)) if size != mask => Err(CocoError::MaskSize {
                item,
                image: self.texts.show(image).into_owned(),
                mask,
                size,
            }),
            _ => Ok(()),
        }
    }
}

/// A size that is not stated, in words.
pub(super) fn no_size() -> String {
    "no `height` and `width`".to_owned()
}
