//! Data sets with their decoded examples kept in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{DataError, in_split};
use crate::example::{Example, SegmentationData};
use crate::objects::{Object, ObjectData, Scene, Skeleton};
use crate::split::Split;

/// Kept examples of a split.
struct Kept<T> {
    slots: Vec<OnceLock<T>>,
}

impl<T: Clone> Kept<T> {
    fn new(count: usize) -> Self {
        Self {
            slots: (0..count).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The kept item, or a new one from `make`, which is kept if it fits the `free` bytes.
    fn get(
        &self,
        (split, index): (Split, usize),
        free: &AtomicUsize,
        make: impl FnOnce() -> Result<T, DataError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T, DataError> {
        in_split(split, index, self.slots.len())?;
        let slot = &self.slots[index];
        if let Some(item) = slot.get() {
            return Ok(item.clone());
        }
        let item = make()?;
        let bytes = bytes(&item);
        let reserve = |free: usize| free.checked_sub(bytes);
        let reserved = free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve);
        if reserved.is_ok() && slot.set(item.clone()).is_err() {
            free.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(item)
    }
}

/// Kept examples of all splits, within one number of bytes.
struct Splits<T> {
    train: Kept<T>,
    search: Kept<T>,
    val: Kept<T>,
    free_bytes: AtomicUsize,
}

impl<T: Clone> Splits<T> {
    fn new(len: impl Fn(Split) -> usize, limit_bytes: usize) -> Self {
        Self {
            train: Kept::new(len(Split::Train)),
            search: Kept::new(len(Split::Search)),
            val: Kept::new(len(Split::Val)),
            free_bytes: AtomicUsize::new(limit_bytes),
        }
    }

    fn get(
        &self,
        split: Split,
        index: usize,
        make: impl FnOnce() -> Result<T, DataError>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T, DataError> {
        let kept = match split {
            Split::Train => &self.train,
            Split::Search => &self.search,
            Split::Val => &self.val,
        };
        kept.get((split, index), &self.free_bytes, make, bytes)
    }
}

/// A data set whose examples are kept once decoded, up to a number of bytes.
///
/// The first examples stay: every epoch visits all examples once, so that replacing an old one by a new one would
/// gain nothing. One cache may serve any number of trainings at once.
pub struct Cached {
    inner: Arc<dyn SegmentationData>,
    kept: Splits<Example>,
}

impl Cached {
    /// Wraps a data set; at most `limit_bytes` of images, labels and names are kept.
    pub fn new(inner: Arc<dyn SegmentationData>, limit_bytes: usize) -> Self {
        Self {
            kept: Splits::new(|split| inner.len(split), limit_bytes),
            inner,
        }
    }
}

/// A data set whose images with objects are kept once decoded, as in [`Cached`].
pub struct CachedScenes {
    inner: Arc<dyn ObjectData>,
    kept: Splits<Scene>,
}

impl CachedScenes {
    /// Wraps a data set; at most `limit_bytes` of images, masks and names are kept.
    pub fn new(inner: Arc<dyn ObjectData>, limit_bytes: usize) -> Self {
        Self {
            kept: Splits::new(|split| inner.len(split), limit_bytes),
            inner,
        }
    }
}

impl ObjectData for CachedScenes {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        self.inner.skeleton()
    }

    fn warnings(&self) -> &[String] {
        self.inner.warnings()
    }

    fn dropped(&self, split: Split) -> &[String] {
        self.inner.dropped(split)
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let make = || self.inner.scene(split, index);
        let of_object = |object: &Object| {
            let runs = object.mask.as_ref().map_or(0, |mask| mask.runs().len());
            let points = object.keypoints.as_ref().map_or(0, Vec::len);
            4 * runs + size_of::<Object>() + points * size_of::<[f32; 3]>()
        };
        let bytes = |scene: &Scene| {
            let objects: usize = scene.objects.iter().map(of_object).sum();
            scene.image.len() + scene.name.len() + objects
        };
        self.kept.get(split, index, make, bytes)
    }

    fn outline(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        self.inner.outline(split, index)
    }
}

impl SegmentationData for Cached {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn ignore(&self) -> u8 {
        self.inner.ignore()
    }

    fn background(&self) -> Option<u8> {
        self.inner.background()
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let make = || self.inner.example(split, index);
        let bytes =
            |example: &Example| example.image.len() + example.labels.len() + example.name.len();
        self.kept.get(split, index, make, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Memory, message};

    /// A data set that counts the examples it makes.
    struct Counted(Memory, AtomicUsize);

    impl SegmentationData for Counted {
        fn class_names(&self) -> &[String] {
            self.0.class_names()
        }
        fn background(&self) -> Option<u8> {
            self.0.background()
        }
        fn len(&self, split: Split) -> usize {
            self.0.len(split)
        }
        fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.example(split, index)
        }
    }

    /// Number of examples made by the inner data set in two passes over six examples.
    fn made(limit_bytes: usize) -> usize {
        let inner = Arc::new(Counted(Memory::new(6), AtomicUsize::new(0)));
        let cached = Cached::new(inner.clone(), limit_bytes);
        for _ in 0..2 {
            for index in 0..6 {
                let expected = inner.0.example(Split::Train, index).unwrap();
                assert_eq!(cached.example(Split::Train, index).unwrap(), expected);
            }
        }
        inner.1.load(Ordering::Relaxed)
    }

    #[test]
    fn examples_are_made_once_within_the_limit() {
        let one = 12 * 10 * 4 + "number 0".len();
        assert_eq!(made(6 * one), 6);
        assert_eq!(made(2 * one), 10);
        assert_eq!(made(one - 1), 12);
    }

    #[test]
    fn errors_are_handed_on_and_not_kept() {
        let mut memory = Memory::new(2);
        memory.broken = Some(1);
        let cached = Cached::new(Arc::new(memory), 1 << 20);
        for _ in 0..2 {
            assert_eq!(
                message(cached.example(Split::Train, 1)),
                "number 1: is broken"
            );
        }
        assert_eq!(
            message(cached.example(Split::Train, 2)),
            "the train split has 2 examples, there is no example 2 (counted from 0)"
        );
    }
}
