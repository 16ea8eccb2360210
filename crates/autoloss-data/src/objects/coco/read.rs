//! From annotation files and pictures to a data set.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoloss_metrics::coco::{AnnotationFile, Annotations, CocoError, Kind, Region, Target};

use super::data::{CocoData, ImageEntry, Part};
use super::layout::{Layout, Place, layout};
use super::pictures::Pictures;
use crate::error::DataError;
use crate::objects::pixels::keypoint_from_coco;
use crate::objects::scene::Object;
use crate::objects::skeleton::Skeleton;

impl CocoData {
    /// Opens a data set: reads the annotations, and decodes each picture once.
    ///
    /// `kind` asks for masks or keypoints beside the boxes; `sigmas` replaces the keypoints' sigmas. Objects of images
    /// or categories that are not listed are left out. Boxes stay as stated, even empty ones and those beyond the image.
    /// Class k is the category with the k-th smallest id of both splits.
    ///
    /// # Errors
    /// Annotations that are missing or cannot be read, no images or categories, two images of one id,
    /// pictures that are missing, damaged or of another size, masks of another size than their
    /// image, a category of two names, a split without objects.
    pub fn open(dir: &Path, kind: Kind, sigmas: Option<&[f64]>) -> Result<Self, DataError> {
        let Layout { train, val } = layout(dir, kind)?;
        let mut warnings = Vec::new();
        if val.is_none() {
            warnings.push(format!(
                "{} is both training and validation set, as there is no other file for one of them: the numbers say nothing of other images",
                train.annotations.display()
            ));
        }
        let train = File::read(dir, train, kind, sigmas)?;
        let val = val
            .map(|place| File::read(dir, place, kind, sigmas))
            .transpose()?;
        let classes = Classes::of(&train, val.as_ref(), &mut warnings)?;
        let skeleton = match kind {
            Kind::Keypoints => Some(skeleton(&train, val.as_ref(), &mut warnings)?),
            Kind::Box | Kind::Mask => None,
        };
        let mut part = |file: File| {
            let name = file.path.display().to_string();
            let said = file.annotations.notes.iter().chain(&file.pictures.warnings);
            warnings.extend(said.map(|note| format!("{name}: {note}")));
            file.part(&classes).map(Arc::new)
        };
        let train = part(train)?;
        let val = val.map(part).transpose()?;
        Ok(Self {
            classes: classes.names,
            skeleton,
            warnings,
            val: val.unwrap_or_else(|| Arc::clone(&train)),
            train,
        })
    }
}

/// A file of annotations with its pictures.
struct File {
    path: PathBuf,
    annotations: Annotations,
    pictures: Pictures,
}

impl File {
    fn read(
        dir: &Path,
        place: Place,
        kind: Kind,
        sigmas: Option<&[f64]>,
    ) -> Result<Self, DataError> {
        let path = &place.annotations;
        let json = fs::read(path).map_err(|source| DataError::Read {
            path: path.clone(),
            source,
        })?;
        let wrong = |reason: String| DataError::Layout {
            path: path.clone(),
            reason,
        };
        let unread = |error: CocoError| match error {
            CocoError::Sigmas(reason) => DataError::Setting {
                name: "task.sigmas",
                reason,
            },
            other => wrong(other.to_string()),
        };
        let mut file = AnnotationFile::read(&json, kind).map_err(unread)?;
        if file.images.is_empty() {
            return Err(wrong("it has no images, expected at least one".to_owned()));
        }
        if file.categories.is_empty() {
            return Err(wrong(
                "it has no categories, expected at least one".to_owned(),
            ));
        }
        let ids = file.images.iter().map(|image| image.id);
        check_ids("images", ids).map_err(wrong)?;
        let ids = file.categories.iter().map(|category| category.id);
        check_ids("categories", ids).map_err(wrong)?;
        let pictures = Pictures::find(dir, &place, &mut file)?;
        let annotations = file.annotations(sigmas).map_err(unread)?;
        Ok(Self {
            path: place.annotations,
            annotations,
            pictures,
        })
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::Layout {
            path: self.path.clone(),
            reason,
        }
    }

    /// The split of this file.
    fn part(self, classes: &Classes) -> Result<Part, DataError> {
        let kind = self.annotations.kind;
        let (mut objects, mut counts) = (HashMap::<i64, Vec<Object>>::new(), Counts::default());
        let entries = self.annotations.images.iter().zip(&self.pictures.sizes);
        let sizes: HashMap<i64, [usize; 2]> = entries
            .map(|(image, picture)| (image.id, [picture.width, picture.height]))
            .collect();
        let number = classes.numbers(&self.annotations);
        for target in &self.annotations.targets {
            let (Some(&class), Some(&size)) =
                (number.get(&target.category_id), sizes.get(&target.image_id))
            else {
                continue;
            };
            let object = object(target, class);
            if self.pictures.unturned.contains(&target.image_id) && is_beyond(&object, size) {
                return Err(self.wrong(format!(
                    "the boxes of image {} are those of its picture before it is turned by its EXIF orientation: turn the picture, or the boxes",
                    self.annotations.texts.show(target.image_id)
                )));
            }
            counts.add(&object, size, kind);
            objects.entry(target.image_id).or_default().push(object);
        }
        if counts.used == 0 {
            return Err(self.wrong(counts.nothing()));
        }
        let entries = self.annotations.images.into_iter().zip(self.pictures.paths);
        let images = entries
            .zip(self.pictures.sizes)
            .map(|((image, path), picture)| ImageEntry {
                id: image.id,
                name: image.file_name,
                path,
                height: picture.height,
                width: picture.width,
            });
        Ok(Part {
            images: images.collect(),
            objects,
            dropped: counts.dropped(),
        })
    }
}

/// Checks that no id occurs twice.
fn check_ids(list: &str, mut ids: impl Iterator<Item = i64>) -> Result<(), String> {
    let mut seen = HashSet::new();
    match ids.find(|id| !seen.insert(*id)) {
        Some(id) => Err(format!("two {list} have the id {id}")),
        None => Ok(()),
    }
}

/// Numbers of annotations of a split: those that a network learns from, and the others by reason.
#[derive(Default)]
struct Counts {
    used: usize,
    crowds: usize,
    empty: usize,
    unlabelled: usize,
}

impl Counts {
    fn add(&mut self, object: &Object, size: [usize; 2], kind: Kind) {
        let labelled = |points: &Vec<[f32; 3]>| points.iter().any(|point| point[2] > 0.0);
        if object.crowd {
            self.crowds += 1;
        } else if is_empty(object, size) {
            self.empty += 1;
        } else if kind == Kind::Keypoints && !object.keypoints.as_ref().is_some_and(labelled) {
            self.unlabelled += 1;
        } else {
            self.used += 1;
        }
    }

    /// Phrases with the numbers of annotations that no network learns from, one for each reason but crowds.
    fn dropped(&self) -> Vec<String> {
        said(&[
            (
                self.empty,
                "with a box or mask without area inside the image",
            ),
            (self.unlabelled, "without labelled keypoints"),
        ])
    }

    /// The error for a split without an object to learn from or to find.
    fn nothing(&self) -> String {
        let mut reasons = said(&[(self.crowds, "crowds (`iscrowd` 1)")]);
        reasons.extend(self.dropped());
        let reasons = match reasons.is_empty() {
            true => "there are no annotations that count".to_owned(),
            false => format!("of its annotations are {}", reasons.join(", ")),
        };
        format!("no object to learn from or to find: {reasons}; expected at least one")
    }
}

/// The reasons with a number above 0, each with its number.
fn said(reasons: &[(usize, &str)]) -> Vec<String> {
    let counted = reasons.iter().filter(|(count, _)| *count > 0);
    let phrases = counted.map(|(count, reason)| format!("{count} {reason}"));
    phrases.collect()
}

/// True if no part of a box or mask lies in the image.
fn is_empty(object: &Object, [width, height]: [usize; 2]) -> bool {
    let [x1, y1, x2, y2] = object.corners;
    let (width, height) = (width as f32, height as f32);
    // A box with NaN is empty.
    let filled = x2.min(width) > x1.max(0.0) && y2.min(height) > y1.max(0.0);
    !filled || object.mask.as_ref().is_some_and(|mask| mask.area() == 0)
}

/// True if a box ends more than a pixel beyond the image.
fn is_beyond(object: &Object, [width, height]: [usize; 2]) -> bool {
    object.corners[2] > width as f32 + 1.0 || object.corners[3] > height as f32 + 1.0
}

#[expect(clippy::cast_possible_truncation, reason = "pixels fit f32")]
fn object(target: &Target, class: usize) -> Object {
    let (mut mask, mut keypoints) = (None, None);
    let of_region = match &target.region {
        Region::Box(bbox) => *bbox,
        Region::Mask(found) => {
            mask = Some(found.clone());
            found.bbox()
        }
        Region::Keypoints { points, bbox } => {
            keypoints = Some(points.iter().copied().map(keypoint_from_coco).collect());
            *bbox
        }
    };
    let [x, y, width, height] = target.bbox.unwrap_or(of_region);
    Object {
        class,
        corners: [x, y, x + width, y + height].map(|number| number as f32),
        area: target.area,
        crowd: target.crowd,
        mask,
        keypoints: keypoints.filter(|points: &Vec<_>| !points.is_empty()),
    }
}

/// An id of a category that is the same in every file: texts come last.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn of(annotations: &Annotations, id: i64) -> Self {
        match annotations.texts.is_text(id) {
            true => Self::Text(annotations.texts.show(id).into_owned()),
            false => Self::Number(id),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The classes of all splits, in the order of their ids.
struct Classes {
    keys: Vec<Key>,
    names: Vec<String>,
}

impl Classes {
    /// The categories of both files: one id has one name, and one name one id.
    fn of(train: &File, val: Option<&File>, warnings: &mut Vec<String>) -> Result<Self, DataError> {
        let mut all = listed(train);
        for (key, name) in val.map(listed).unwrap_or_default() {
            let Some(val) = val else { break };
            let other = all.iter().find(|(k, n)| (**k == key) != (**n == name));
            if let Some((other_key, other_name)) = other {
                return Err(val.wrong(format!(
                    "category {} is `{name}`, but category {} is `{other_name}` in {}: expected one name for an id in both sets, and one id for a name",
                    key.show(),
                    other_key.show(),
                    train.path.display()
                )));
            }
            if let Entry::Vacant(place) = all.entry(key) {
                warnings.push(alone(&name, place.key(), "validation"));
                place.insert(name);
            }
        }
        if let Some(val) = val {
            let there = listed(val);
            let missing = all.iter().filter(|(key, _)| !there.contains_key(*key));
            warnings.extend(missing.map(|(key, name)| alone(name, key, "training")));
        }
        let (keys, names) = all.into_iter().unzip();
        Ok(Self { keys, names })
    }

    /// The class of each category of a file.
    fn numbers(&self, annotations: &Annotations) -> HashMap<i64, usize> {
        let ids = annotations.categories.iter().map(|category| category.id);
        let class = |id| Some((id, self.keys.binary_search(&Key::of(annotations, id)).ok()?));
        ids.filter_map(class).collect()
    }
}

fn listed(file: &File) -> BTreeMap<Key, String> {
    let categories = file.annotations.categories.iter();
    let named = |category: &autoloss_metrics::coco::Category| {
        (
            Key::of(&file.annotations, category.id),
            category.name.clone(),
        )
    };
    categories.map(named).collect()
}

fn alone(name: &str, key: &Key, set: &str) -> String {
    format!(
        "category `{name}` (id {}) is listed in the {set} set alone",
        key.show()
    )
}

/// The keypoints of all categories that have some.
fn skeleton(
    train: &File,
    val: Option<&File>,
    warnings: &mut Vec<String>,
) -> Result<Skeleton, DataError> {
    let mut found: Option<(Skeleton, &str)> = None;
    for file in [Some(train), val].into_iter().flatten() {
        let categories = file.annotations.categories.iter();
        for category in categories.filter(|category| !category.sigmas.is_empty()) {
            let (skeleton, warning) = Skeleton::of_category(category);
            match &found {
                None => {
                    warnings.extend(warning);
                    found = Some((skeleton, &category.name));
                }
                Some((first, name))
                    if first.count() != skeleton.count() || first.mirrored != skeleton.mirrored =>
                {
                    return Err(file.wrong(format!(
                        "category `{}` has {} keypoints, category `{name}` {}: expected the same keypoints for all",
                        category.name,
                        skeleton.count(),
                        first.count()
                    )));
                }
                Some(_) => {}
            }
        }
    }
    let none = || train.wrong("no category and no annotation has keypoints".to_owned());
    found.map(|(skeleton, _)| skeleton).ok_or_else(none)
}
