//! Keeping decoded examples in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::{DataError, Example, SegmentationData, Split, in_split};

/// A data set whose examples are kept once decoded, up to a number of bytes.
///
/// Examples that came first stay: every epoch visits all examples once, so
/// putting out an old one for a new one would gain nothing. One cache may serve
/// any number of trainings at once.
pub struct Cached {
    inner: Arc<dyn SegmentationData>,
    train: Vec<OnceLock<Example>>,
    val: Vec<OnceLock<Example>>,
    free_bytes: AtomicUsize,
}

impl Cached {
    /// Wraps a data set; at most `limit_bytes` of images, labels and names are kept.
    pub fn new(inner: Arc<dyn SegmentationData>, limit_bytes: usize) -> Self {
        let slots = |split| (0..inner.len(split)).map(|_| OnceLock::new()).collect();
        Self {
            train: slots(Split::Train),
            val: slots(Split::Val),
            inner,
            free_bytes: AtomicUsize::new(limit_bytes),
        }
    }

    fn slots(&self, split: Split) -> &[OnceLock<Example>] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        }
    }

    /// Keeps the example if the limit allows it and no other thread was first.
    fn keep(&self, slot: &OnceLock<Example>, example: &Example) {
        let bytes = example.image.len() + example.labels.len() + example.name.len();
        let reserve = |free: usize| free.checked_sub(bytes);
        let reserved = self
            .free_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve);
        if reserved.is_ok() && slot.set(example.clone()).is_err() {
            self.free_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
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

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let slots = self.slots(split);
        in_split(split, index, slots.len())?;
        if let Some(example) = slots[index].get() {
            return Ok(example.clone());
        }
        let example = self.inner.example(split, index)?;
        self.keep(&slots[index], &example);
        Ok(example)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Memory, message};
    use super::*;

    /// Counts how often examples are made.
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

    /// How often the inner data set was asked in two passes over six examples.
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
