//! The embedded default data set: scenes composed from handwritten digits.

pub mod asset;
mod scene;

use serde::{Deserialize, Serialize};

use super::{DataError, Example, Purpose, SegmentationData, Split, in_split, stream};
use asset::Sources;

/// Which scenes there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DigitsSettings {
    /// Scenes of another seed share nothing but the digits.
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
/// background, class d + 1 the ink of digit d, no pixel is ignored.
///
/// Scene i of a split is a pure function of the seed, the size, the split and
/// i, made when it is asked for. Validation scenes are composed from digits
/// that no training scene holds.
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
        if !(16..=1024).contains(&settings.size) {
            return Err(DataError::Setting {
                name: "digits.size",
                reason: format!("{} given, expected 16 to 1024", settings.size),
            });
        }
        let digits = (0..10).map(|digit| digit.to_string());
        Ok(Self {
            settings,
            classes: std::iter::once("background".to_owned())
                .chain(digits)
                .collect(),
            sources: Sources::embedded(),
        })
    }
}

impl SegmentationData for Digits {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn background(&self) -> Option<u8> {
        Some(0)
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.settings.train,
            Split::Val => self.settings.val,
        }
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        in_split(split, index, self.len(split))?;
        let purpose = match split {
            Split::Train => Purpose::TrainScene,
            Split::Val => Purpose::ValScene,
        };
        let mut rng = stream(self.settings.seed, purpose, index as u64);
        let size = self.settings.size;
        let (image, labels) = scene::compose(self.sources, split, size, &mut rng);
        Ok(Example {
            image,
            labels,
            width: size,
            height: size,
            name: format!("{split} scene {index}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::message;
    use super::super::{Cached, check};
    use super::*;
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
    fn scenes_show_digits_of_all_classes_on_much_background() {
        let data = digits(3, 64);
        assert_eq!(data.class_names().len(), 11);
        assert_eq!(data.class_names()[10], "9");
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
