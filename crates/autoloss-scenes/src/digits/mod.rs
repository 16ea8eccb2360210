//! The embedded default data set: scenes composed from handwritten digits.

pub mod asset;
mod scene;

use serde::{Deserialize, Serialize};

use autoloss_metrics::coco::Mask;

use crate::range::{self, MAX_SCENES};
use asset::Sources;
use autoloss_data::{
    DataError, Example, Object, ObjectData, Purpose, Scene, SegmentationData, Skeleton, Split,
    in_split, stream,
};

/// Settings of the scenes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DigitsSettings {
    /// Seed of the scenes. Scenes of different seeds share the digits alone.
    pub seed: u64,
    /// Number of training scenes.
    pub train: usize,
    /// Number of validation scenes.
    pub val: usize,
    /// Rows and columns of a scene, 16 to 1024.
    pub size: usize,
}

impl Default for DigitsSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            train: 2000,
            val: 200,
            size: 64,
        }
    }
}

/// Scenes of handwritten digits on varied backgrounds: class 0 is the
/// background, class d + 1 the ink of digit d; no pixel is ignored.
///
/// Scene i of a split is a pure function of the seed, the size, the split and
/// i, made on demand. No two splits share a digit. Search scene i is
/// training scene i with other digits of the same classes, see [`Divided`](autoloss_data::Divided).
pub struct Digits {
    settings: DigitsSettings,
    classes: Vec<String>,
    sources: &'static Sources,
}

impl Digits {
    /// The data set of these settings.
    ///
    /// # Errors
    /// A size outside its range.
    pub fn new(settings: DigitsSettings) -> Result<Self, DataError> {
        range::check([
            ("digits.size", settings.size, 16, 1024),
            ("digits.train", settings.train, 1, MAX_SCENES),
            ("digits.val", settings.val, 1, MAX_SCENES),
        ])?;
        let digits = (0..10).map(|digit| digit.to_string());
        Ok(Self {
            settings,
            classes: std::iter::once("background".to_owned())
                .chain(digits)
                .collect(),
            sources: Sources::embedded(),
        })
    }

    fn compose(&self, split: Split, index: usize) -> Result<scene::Composed, DataError> {
        in_split(split, index, SegmentationData::len(self, split))?;
        let purpose = match split {
            Split::Train | Split::Search => Purpose::TrainScene,
            Split::Val => Purpose::ValScene,
        };
        let mut rng = stream(self.settings.seed, purpose, index as u64);
        Ok(scene::compose(
            self.sources,
            split,
            self.settings.size,
            &mut rng,
        ))
    }
}

/// Picture of a single digit by a writer of the training scenes, and the digit: a pure function of the seed, the
/// index and the size.
pub fn single_digit(seed: u64, index: u64, size: usize) -> (Example, u8) {
    let mut rng = stream(seed, Purpose::SingleDigit, index);
    let (image, digit) = scene::single(Sources::embedded(), size, SINGLE_HEIGHT, &mut rng);
    let example = Example {
        image,
        labels: vec![0; size * size],
        width: size,
        height: size,
        name: format!("digit {index}"),
    };
    (example, digit)
}

/// Height of a single digit as a share of its picture.
const SINGLE_HEIGHT: std::ops::Range<f32> = 0.5..0.9;

impl SegmentationData for Digits {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn background(&self) -> Option<u8> {
        Some(0)
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train | Split::Search => self.settings.train,
            Split::Val => self.settings.val,
        }
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let scene = self.compose(split, index)?;
        Ok(Example {
            image: scene.image,
            labels: scene.labels,
            width: self.settings.size,
            height: self.settings.size,
            name: format!("{split} scene {index}"),
        })
    }
}

impl ObjectData for Digits {
    /// The digits, without a background.
    fn class_names(&self) -> &[String] {
        &self.classes[1..]
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        None
    }

    fn warnings(&self) -> &[String] {
        &[]
    }

    fn dropped(&self, _split: Split) -> &[String] {
        &[]
    }

    fn len(&self, split: Split) -> usize {
        SegmentationData::len(self, split)
    }

    /// The mask of a digit is its visible ink; its box is the box of the mask.
    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let scene = self.compose(split, index)?;
        let size = self.settings.size;
        let digits = scene.digits.iter().zip(1..);
        let objects = digits.filter_map(|(digit, owner)| {
            let ink: Vec<u8> = scene.owners.iter().map(|o| u8::from(*o == owner)).collect();
            object(usize::from(*digit), &ink, size)
        });
        Ok(Scene {
            objects: objects.collect(),
            image: scene.image,
            width: size,
            height: size,
            name: format!("{split} scene {index}"),
            id: index as i64,
        })
    }
}

/// Digits with fewer visible pixels are no objects.
const LEAST_INK: u32 = 12;

fn object(class: usize, ink: &[u8], size: usize) -> Option<Object> {
    let side = u32::try_from(size).ok()?;
    let mask = Mask::from_bitmap(ink, side, side).ok()?;
    if mask.area() < LEAST_INK {
        return None;
    }
    let [x, y, width, height] = mask.bbox();
    #[expect(clippy::cast_possible_truncation, reason = "at most 1024 pixels")]
    let corners = [x, y, x + width, y + height].map(|pixels| pixels as f32);
    Some(Object {
        class,
        corners,
        area: f64::from(mask.area()),
        crowd: false,
        mask: Some(mask),
        keypoints: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use autoloss_data::{Cached, check};
    use std::sync::Arc;

    fn digits(seed: u64, size: usize) -> Digits {
        let (train, val) = (60, 60);
        Digits::new(DigitsSettings {
            seed,
            train,
            val,
            size,
        })
        .unwrap()
    }

    #[test]
    fn scenes_are_functions_of_seed_split_and_index() {
        let (one, two) = (digits(1, 32), digits(2, 32));
        let backwards: Vec<Example> = (0..20)
            .rev()
            .map(|i| one.example(Split::Train, i).unwrap())
            .collect();
        for i in 0..20 {
            let scene = one.example(Split::Train, i).unwrap();
            assert_eq!(scene, digits(1, 32).example(Split::Train, i).unwrap());
            assert_eq!(scene, backwards[19 - i]);
            assert_ne!(scene.image, one.example(Split::Val, i).unwrap().image);
            assert_ne!(scene.image, two.example(Split::Train, i).unwrap().image);
            assert_ne!(scene.image, one.example(Split::Train, i + 1).unwrap().image);
        }
    }

    #[test]
    fn search_scenes_are_training_scenes_with_other_digits() {
        let data = digits(1, 32);
        let classes = |split, index| -> Vec<usize> {
            let objects = data.scene(split, index).unwrap().objects;
            objects.iter().map(|object| object.class).collect()
        };
        let mut alike = 0;
        for i in 0..60 {
            let images = [Split::Train, Split::Search].map(|s| data.example(s, i).unwrap().image);
            assert_ne!(images[0], images[1]);
            alike += usize::from(classes(Split::Train, i) == classes(Split::Search, i));
        }
        // In the others a digit is hidden by the next one in one of the two forms.
        assert!(alike >= 50, "{alike} of 60 scenes have the same classes");
    }

    /// The bytes of some scenes as one number, by the hash FNV-1a.
    fn fingerprint(seed: u64, size: usize) -> u64 {
        let data = digits(seed, size);
        let places = [Split::Train, Split::Val].into_iter();
        let places = places.flat_map(|split| (0..20).map(move |index| (split, index)));
        let scenes = places.map(|(split, index)| data.example(split, index).unwrap());
        let bytes = scenes
            .flat_map(|scene| [scene.image, scene.labels])
            .flatten();
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn scenes_stay_what_they_were() {
        // Recorded before scenes kept their objects: results of earlier runs hold for these bytes.
        assert_eq!(fingerprint(0, 64), 7_120_580_075_859_199_356);
    }

    #[test]
    fn objects_are_the_ink_of_their_digits() {
        let data = digits(5, 64);
        assert_eq!(ObjectData::class_names(&data)[3], "3");
        let mut count = 0;
        for index in 0..60 {
            let labels = data.example(Split::Val, index).unwrap().labels;
            let scene = data.scene(Split::Val, index).unwrap();
            let mut covered = vec![0; 64 * 64];
            for object in &scene.objects {
                let bitmap = object.mask.as_ref().unwrap().to_bitmap();
                let [x1, y1, x2, y2] = object.corners.map(|c| c as usize);
                for (at, _) in bitmap.iter().enumerate().filter(|(_, ink)| **ink == 1) {
                    assert_eq!(usize::from(labels[at]), object.class + 1);
                    assert!((x1..x2).contains(&(at % 64)) && (y1..y2).contains(&(at / 64)));
                    covered[at] += 1;
                }
            }
            assert!(covered.iter().all(|times| *times <= 1));
            count += scene.objects.len();
        }
        assert!((100..240).contains(&count), "{count} objects");
    }

    #[test]
    fn scenes_show_digits_of_all_classes_on_much_background() {
        let data = digits(3, 64);
        let names = SegmentationData::class_names(&data);
        assert_eq!((names.len(), names[10].as_str()), (11, "9"));
        assert_eq!(data.background(), Some(0));
        for split in [Split::Train, Split::Val] {
            let mut pixels = [0usize; 256];
            for i in 0..60 {
                let scene = data.example(split, i).unwrap();
                assert_eq!((scene.width, scene.height), (64, 64));
                assert_eq!(
                    (scene.image.len(), scene.labels.len()),
                    (64 * 64 * 3, 64 * 64)
                );
                let inked = scene.labels.iter().filter(|&&label| label > 0).count();
                assert!(inked > 20, "{split} scene {i} has {inked} pixels of ink");
                scene
                    .labels
                    .iter()
                    .for_each(|&label| pixels[usize::from(label)] += 1);
            }
            let total: usize = pixels.iter().sum();
            assert_eq!(pixels[11..], [0; 245]);
            assert!(
                (total * 6 / 10..total * 95 / 100).contains(&pixels[0]),
                "{pixels:?}"
            );
            assert!(
                pixels[1..11]
                    .iter()
                    .all(|&count| count * 200 > total - pixels[0]),
                "{pixels:?}"
            );
        }
    }

    #[test]
    fn digits_stand_out_from_the_background() {
        let data = digits(4, 64);
        let grey = |scene: &Example, at: usize| -> f64 {
            scene.image[3 * at..3 * at + 3]
                .iter()
                .map(|&byte| f64::from(byte))
                .sum::<f64>()
                / 3.0
        };
        let mut clear = 0;
        for i in 0..60 {
            let scene = data.example(Split::Train, i).unwrap();
            // Mean difference between an inked pixel and the one left of it across an edge.
            let edges: Vec<f64> = (1..64 * 64)
                .filter(|at| at % 64 != 0 && (scene.labels[*at] > 0) != (scene.labels[at - 1] > 0))
                .map(|at| (grey(&scene, at) - grey(&scene, at - 1)).abs())
                .collect();
            clear += usize::from(edges.iter().sum::<f64>() / edges.len() as f64 > 15.0);
        }
        assert!(clear >= 50, "{clear} of 60 scenes are clear");
    }

    #[test]
    fn other_sizes_work_and_impossible_ones_are_named() {
        for size in [16, 33, 128] {
            let scene = digits(1, size).example(Split::Val, 0).unwrap();
            assert_eq!(scene.labels.len(), size * size);
        }
        let settings = DigitsSettings {
            size: 8,
            ..DigitsSettings::default()
        };
        assert_eq!(
            message(Digits::new(settings).map(|_| ())),
            "setting digits.size: 8 given, expected 16 to 1024"
        );
        assert_eq!(
            message(digits(1, 16).example(Split::Val, 60)),
            "the val split has 60 examples, there is no example 60 (counted from 0)"
        );
    }

    #[test]
    fn the_check_and_the_cache_take_scenes_too() {
        let data = Arc::new(digits(1, 16));
        let cached = Cached::new(data.clone(), 1 << 20);
        check(&cached).unwrap();
        let (kept, made) = (
            cached.example(Split::Val, 7).unwrap(),
            data.example(Split::Val, 7).unwrap(),
        );
        assert_eq!(kept, made);
    }
}
