//! Data sets for the tests of the tasks.

use std::sync::Arc;

use autoloss_data::{DataError, Example, ObjectData, Scene, SegmentationData, Skeleton, Split};

/// A data set that refuses to give the examples of a split.
pub(crate) struct Refusing<D: ?Sized> {
    pub(crate) inner: Arc<D>,
    pub(crate) split: Split,
}

impl<D: ?Sized> Refusing<D> {
    fn allows(&self, split: Split) -> Result<(), DataError> {
        if split != self.split {
            return Ok(());
        }
        Err(DataError::Setting {
            name: "split",
            reason: format!("the {split} split is refused"),
        })
    }
}

impl SegmentationData for Refusing<dyn SegmentationData> {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn background(&self) -> Option<u8> {
        self.inner.background()
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        self.allows(split)?;
        self.inner.example(split, index)
    }
}

impl ObjectData for Refusing<dyn ObjectData> {
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
        self.allows(split)?;
        self.inner.scene(split, index)
    }
}
