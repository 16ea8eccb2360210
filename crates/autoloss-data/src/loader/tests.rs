//! Tests of [`super`].

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::cached::Cached;
use crate::example::Example;
use crate::testing::{Memory, message};
use proptest::prelude::*;

fn settings(batch: usize, workers: usize, prefetch: usize) -> LoaderSettings {
    LoaderSettings {
        batch,
        crop: (8, 9),
        augmentation: Augmentation::default(),
        workers,
        prefetch,
    }
}

fn batches(
    data: Memory,
    settings: LoaderSettings,
    seed: u64,
    count: usize,
) -> Vec<Result<Batch, String>> {
    let loader = Loader::new(Arc::new(data), Split::Train, settings, seed).unwrap();
    loader
        .take(count)
        .map(|batch| batch.map_err(|error| error.to_string()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_do_not_depend_on_the_workers(
        len in 1usize..9, batch in 1usize..6, workers in 1usize..5, prefetch in 0usize..9,
        broken in prop::option::of(0usize..9), seed in any::<u64>(),
    ) {
        let data = || Memory { broken, ..Memory::new(len) };
        let alone = batches(data(), settings(batch, 0, 0), seed, 12);
        let together = batches(data(), settings(batch, workers, prefetch), seed, 12);
        prop_assert_eq!(alone, together);
    }

    #[test]
    fn every_epoch_visits_every_example_once(len in 1usize..40, seed in any::<u64>()) {
        let mut order = EpochOrder::default();
        for epoch in 0..4 {
            let mut seen = order.of(seed, epoch, len).to_vec();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}

#[test]
fn epochs_are_shuffled_anew_and_seeds_differ() {
    let order = |seed, epoch| EpochOrder::default().of(seed, epoch, 30).to_vec();
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
    let first = |seed| batches(Memory::new(8), settings(4, 0, 0), seed, 1);
    assert_ne!(first(1), first(2));
}

#[test]
fn a_batch_has_its_shape() {
    let batch = batches(Memory::new(3), settings(5, 2, 2), 1, 1)
        .remove(0)
        .unwrap();
    assert_eq!((batch.n, batch.h, batch.w), (5, 8, 9));
    assert_eq!(
        (batch.images.len(), batch.labels.len()),
        (5 * 3 * 72, 5 * 72)
    );
}

#[test]
fn errors_come_in_their_turn_and_do_not_end_the_stream() {
    for workers in [0, 3] {
        let data = Memory {
            broken: Some(2),
            ..Memory::new(6)
        };
        let made = batches(data, settings(1, workers, 4), 5, 12);
        let failed: Vec<usize> = (0..12).filter(|&i| made[i].is_err()).collect();
        let mut order = EpochOrder::default();
        let expected: Vec<usize> = (0..12)
            .filter(|&i| order.of(5, i as u64 / 6, 6)[i % 6] == 2)
            .collect();
        assert_eq!(failed, expected);
        assert_eq!(made[failed[0]], Err("number 2: is broken".to_owned()));
    }
}

/// Slow to give examples, and counts them.
struct Slow(Memory, AtomicUsize);

impl SegmentationData for Slow {
    fn class_names(&self) -> &[String] {
        self.0.class_names()
    }
    fn background(&self) -> Option<u8> {
        None
    }
    fn len(&self, split: Split) -> usize {
        self.0.len(split)
    }
    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        thread::sleep(Duration::from_millis(2));
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.example(split, index)
    }
}

#[test]
fn dropping_the_loader_ends_its_threads_and_no_batch_is_made_in_advance_beyond_the_limit() {
    let data = Arc::new(Slow(Memory::new(4), AtomicUsize::new(0)));
    let mut loader = Loader::new(data.clone(), Split::Train, settings(1, 2, 3), 1).unwrap();
    for taken in 1..=5 {
        loader.next().unwrap().unwrap();
        assert!(data.1.load(Ordering::Relaxed) <= taken + 3);
    }
    drop(loader);
    // The threads held the other references.
    assert_eq!(Arc::strong_count(&data), 1);

    let many = Loader::new(data.clone(), Split::Train, settings(1, 2, 100_000), 1).unwrap();
    drop(many);
    assert_eq!(Arc::strong_count(&data), 1);
}

/// Breaks its word.
struct Panics(Memory);

impl SegmentationData for Panics {
    fn class_names(&self) -> &[String] {
        self.0.class_names()
    }
    fn background(&self) -> Option<u8> {
        None
    }
    fn len(&self, split: Split) -> usize {
        self.0.len(split)
    }
    fn example(&self, _: Split, _: usize) -> Result<Example, DataError> {
        panic!("a broken invariant")
    }
}

#[test]
fn a_panic_in_a_worker_reaches_the_caller() {
    let caught = catch_unwind(|| {
        let data = Arc::new(Panics(Memory::new(2)));
        Loader::new(data, Split::Train, settings(1, 1, 1), 1)
            .unwrap()
            .next()
    });
    assert!(caught.is_err());
}

#[test]
fn one_cache_serves_several_loaders() {
    let data: Arc<dyn SegmentationData> = Arc::new(Cached::new(Arc::new(Memory::new(7)), 1 << 20));
    let alone = batches(Memory::new(7), settings(3, 0, 0), 9, 10);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let loader = Loader::new(data.clone(), Split::Train, settings(3, 2, 2), 9).unwrap();
                let made: Vec<_> = loader
                    .take(10)
                    .map(|x| x.map_err(|e| e.to_string()))
                    .collect();
                assert_eq!(made, alone);
            });
        }
    });
}

#[test]
fn settings_that_cannot_work_are_named() {
    let refuse = |len: usize, settings: LoaderSettings| {
        let loader = Loader::new(Arc::new(Memory::new(len)), Split::Train, settings, 1);
        loader.err().unwrap().to_string()
    };
    assert_eq!(
        refuse(1, settings(0, 1, 1)),
        "setting batch: 0 given, expected at least 1"
    );
    let crop = LoaderSettings {
        crop: (8, 0),
        ..settings(1, 1, 1)
    };
    assert_eq!(
        refuse(1, crop),
        "setting crop: 0 given, expected at least 1"
    );
    assert_eq!(
        refuse(0, settings(1, 1, 1)),
        "setting data: the train split is empty, expected at least one example"
    );
    let mut wild = settings(1, 1, 1);
    wild.augmentation.contrast = 2.0;
    assert_eq!(
        refuse(1, wild),
        "setting augmentation.contrast: 2 given, expected 0 to 1"
    );
}

#[test]
fn only_examples_of_one_size_are_stacked() {
    let whole = |width, height| Prepared::whole(&crate::testing::numbered(0, width, height));
    assert_eq!(
        message(Batch::stack(&[whole(3, 2), whole(4, 2)])),
        "setting batch: one example is 3x2 and another 4x2 (width x height): resize them to one size"
    );
    assert_eq!(
        message(Batch::stack(&[])),
        "setting batch: no examples given, expected at least 1"
    );
    let batch = Batch::stack(&[whole(3, 2), whole(3, 2)]).unwrap();
    assert_eq!(batch.images[18..], batch.images[..18]);
}

#[test]
fn batches_are_the_same_after_a_skip() {
    for workers in [0, 2] {
        let loader = || {
            let data = Arc::new(Memory::new(7));
            Loader::new(data, Split::Train, settings(2, workers, 3), 5).unwrap()
        };
        let images = |loader: Loader, count| -> Vec<Vec<f32>> {
            loader
                .take(count)
                .map(|batch| batch.unwrap().images)
                .collect()
        };
        let all = images(loader(), 14);
        for skipped in [0, 1, 3, 10] {
            let mut later = loader();
            later.skip_to(skipped as u64);
            let got = images(later, 4);
            assert_eq!(
                got,
                all[skipped..skipped + 4],
                "{workers} workers, {skipped} passed over"
            );
        }
    }
}
