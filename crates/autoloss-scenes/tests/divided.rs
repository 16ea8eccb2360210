//! The embedded scenes divided into training and search set, and loaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use autoloss_data::{
    Augmentation, Divided, Example, HoldOut, Loader, LoaderSettings, ObjectData, Prepared,
    SegmentationData, Split, check, count_labels_of,
};
use autoloss_scenes::{Digits, DigitsSettings, Figures, FiguresSettings};

fn hold_out(share: f64, most: usize, seed: u64) -> HoldOut {
    HoldOut { share, most, seed }
}

/// Digits, divided, and the bytes of the images that are held out.
fn divided() -> (Arc<Divided<dyn SegmentationData>>, BTreeSet<Vec<u8>>) {
    let settings = DigitsSettings {
        train: 30,
        val: 5,
        size: 16,
        ..DigitsSettings::default()
    };
    let digits = Arc::new(Digits::new(settings).unwrap());
    let counts = count_labels_of(&*digits, Split::Train).unwrap();
    let divided = Divided::segmentation(digits.clone(), &counts, hold_out(0.3, 0, 4)).unwrap();
    let summary = divided.summary(&counts, check(&*digits).unwrap()).unwrap();
    for (split, set) in Split::ALL.into_iter().zip(&summary.sets) {
        let mut pixels = vec![0; 11];
        for index in 0..SegmentationData::len(&divided, split) {
            let labels = divided.example(split, index).unwrap().labels;
            labels.iter().for_each(|l| pixels[usize::from(*l)] += 1);
        }
        let told: Vec<u64> = set.classes.iter().map(|class| class.count).collect();
        assert_eq!(
            (told, set.set.as_str()),
            (pixels, split.to_string().as_str())
        );
    }
    let image = |index| divided.example(Split::Search, index).unwrap().image;
    let held = (0..SegmentationData::len(&divided, Split::Search))
        .map(image)
        .collect();
    (Arc::new(divided), held)
}

#[test]
fn the_three_parts_share_no_example() {
    let (data, held) = divided();
    let images = |split| -> BTreeSet<Vec<u8>> {
        let image = |index| data.example(split, index).unwrap().image;
        (0..data.len(split)).map(image).collect()
    };
    let (train, val) = (images(Split::Train), images(Split::Val));
    assert_eq!(train.len() + held.len(), 30);
    assert_eq!(val.len(), 5);
    assert!(held.len() >= 9);
    assert!(train.is_disjoint(&held) && val.is_disjoint(&held) && val.is_disjoint(&train));
    let beyond = data.example(Split::Search, held.len());
    assert!(
        beyond
            .unwrap_err()
            .to_string()
            .starts_with("the search split has")
    );
}

#[test]
fn no_batch_holds_a_search_example() {
    let (data, held) = divided();
    let total = data.len(Split::Train);
    let settings = LoaderSettings {
        batch: 1,
        crop: (16, 16),
        augmentation: Augmentation::none(),
        workers: 0,
        prefetch: 0,
    };
    let prepared = |image: &Vec<u8>| {
        let example = Example {
            image: image.clone(),
            labels: vec![0; 256],
            width: 16,
            height: 16,
            name: String::new(),
        };
        Prepared::whole(&example).image
    };
    let held: Vec<Vec<f32>> = held.iter().map(prepared).collect();
    let loader = Loader::new(data, Split::Train, settings, 0).unwrap();
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for batch in loader.take(total) {
        let images = batch.unwrap().images;
        assert!(!held.contains(&images) && !seen.contains(&images));
        seen.push(images);
    }
    assert_eq!(seen.len(), total);
}

#[test]
fn scenes_are_divided_by_their_objects() {
    let figures = Figures::new(FiguresSettings {
        train: 12,
        val: 3,
        ..FiguresSettings::default()
    });
    let scenes = Divided::objects(Arc::new(figures.unwrap()), hold_out(0.25, 0, 0)).unwrap();
    let len = |split| ObjectData::len(&scenes, split);
    assert_eq!(
        (len(Split::Train), len(Split::Search), len(Split::Val)),
        (9, 3, 3)
    );
    let ids = |split| -> BTreeSet<i64> {
        (0..len(split))
            .map(|i| scenes.scene(split, i).unwrap().id)
            .collect()
    };
    assert!(ids(Split::Train).is_disjoint(&ids(Split::Search)));
}
