//! Images and label maps in folders: the data set behind every layout of them.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::classes::background;
use crate::error::{DataError, in_split};
use crate::example::{Example, SegmentationData};
use crate::files::read_rgb;
use crate::labels::LabelReader;
use crate::split::Split;

/// An example: an image and its label map.
#[derive(Debug)]
pub(super) struct Pair {
    /// Name of the example.
    pub(super) name: String,
    /// Its files, or the missing one.
    pub(super) place: Result<Place, Missing>,
}

/// The files of an example.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) image: PathBuf,
    pub(super) labels: PathBuf,
    /// Position of the reader of the label map.
    pub(super) reader: usize,
}

/// A missing file that a list names.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

/// Images and label maps in folders.
#[derive(Debug)]
pub struct Pictures {
    pub(super) classes: Vec<String>,
    pub(super) readers: Vec<LabelReader>,
    pub(super) train: Vec<Pair>,
    pub(super) val: Vec<Pair>,
    /// Origin of the two sets, for messages.
    pub(super) sources: [String; 2],
}

impl Pictures {
    fn pairs(&self, split: Split) -> &[Pair] {
        match split {
            Split::Train => &self.train,
            Split::Search => &[],
            Split::Val => &self.val,
        }
    }

    /// Warnings of images that a set has twice, and of validation images in the training set.
    fn repeated(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let images = |pairs: &[Pair]| -> Vec<PathBuf> {
            let places = pairs.iter().filter_map(|pair| pair.place.as_ref().ok());
            places.map(|place| place.image.clone()).collect()
        };
        let [train, val] = [&self.train, &self.val].map(|pairs| images(pairs));
        for (images, source) in [&train, &val].into_iter().zip(&self.sources) {
            let once: HashSet<&PathBuf> = images.iter().collect();
            if once.len() < images.len() {
                let twice = images.len() - once.len();
                let of = images.len();
                warnings.push(format!(
                    "{source}: {twice} of {of} entries name an image again"
                ));
            }
        }
        let known: HashSet<&PathBuf> = train.iter().collect();
        let both = val.iter().filter(|image| known.contains(image)).count();
        if both > 0 {
            warnings.push(format!(
                "{both} of the {} images of {} are in {}, too: scores on them are not those of new images",
                val.len(),
                self.sources[1],
                self.sources[0]
            ));
        }
        warnings
    }
}

impl SegmentationData for Pictures {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn background(&self) -> Option<u8> {
        background(&self.classes)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.repeated();
        for map in self
            .readers
            .iter()
            .filter_map(|reader| reader.colours.as_ref())
        {
            let names: Vec<&str> = map.left_out().collect();
            if !names.is_empty() {
                warnings.push(format!(
                    "{}: pixels of {} are ignored, as they are none of the classes",
                    map.path().display(),
                    names.join(", ")
                ));
            }
        }
        warnings
    }

    fn len(&self, split: Split) -> usize {
        self.pairs(split).len()
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let pairs = self.pairs(split);
        in_split(split, index, pairs.len())?;
        let pair = &pairs[index];
        let place = pair.place.as_ref().map_err(|missing| DataError::Layout {
            path: missing.path.clone(),
            reason: missing.reason.clone(),
        })?;
        let map = self.readers[place.reader].read(&place.labels, self.classes.len())?;
        let (image, width, height) = read_rgb(&place.image)?;
        if (width, height) != (map.width, map.height) {
            return Err(DataError::SizesDiffer {
                image: place.image.clone(),
                image_size: (width, height),
                labels: place.labels.clone(),
                labels_size: (map.width, map.height),
            });
        }
        Ok(Example {
            image,
            labels: map.labels,
            width,
            height,
            name: pair.name.clone(),
        })
    }
}
