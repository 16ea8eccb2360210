//! Data sets in COCO's folder layout: `annotations/instances_train2017.json` and so on (or
//! `person_keypoints_…`), and a folder of images named as the file, such as `train2017`. Of several
//! years the last one counts; the images may also be in another folder whose name begins with
//! `train`, in a folder of `images`, or in `images` itself.
//!
//! A folder with one annotation file and its pictures in `images` is both training and validation
//! set: enough to try things out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoloss_metrics::coco::{Annotations, Kind, Mask, Shape, Target};
use serde::Deserialize;

use super::super::files::read_rgb;
use super::super::{DataError, Split, in_split};
use super::{Object, ObjectData, Scene, keypoint_from_coco};

/// How many missing images are told by name.
const TOLD: usize = 5;

/// A data set in COCO's folder layout.
pub struct CocoData {
    classes: Vec<String>,
    train: Arc<Part>,
    val: Arc<Part>,
}

/// A split: its images and what is in them.
struct Part {
    folder: PathBuf,
    images: Vec<ImageEntry>,
    objects: HashMap<i64, Vec<Object>>,
}

/// An entry of the list `images`.
#[derive(Deserialize)]
struct ImageEntry {
    id: i64,
    file_name: String,
    height: usize,
    width: usize,
}

#[derive(Deserialize)]
struct ImageList {
    images: Vec<ImageEntry>,
}

impl CocoData {
    /// Opens the data set: reads the annotations once and sees that every image is there.
    ///
    /// `kind` is what is wanted besides the boxes: masks, keypoints, or nothing more.
    /// Objects of images or categories that are not listed are left out; boxes stay as they are
    /// stated, empty ones and those beyond the image as well. Class k is the category of the
    /// k-th smallest id.
    ///
    /// # Errors
    /// Annotations that are missing or cannot be read, no images or categories, two entries of one
    /// id, images that are missing, masks of another size than their image's, categories that
    /// differ between the splits.
    pub fn open(dir: &Path, kind: Kind) -> Result<Self, DataError> {
        let [train, val] = layout(dir, kind)?;
        let same = train.annotations == val.annotations;
        let (classes, train) = read(train, kind)?;
        let val = match same {
            true => Arc::clone(&train),
            false => {
                let annotations = val.annotations.clone();
                let (other, val) = read(val, kind)?;
                if other != classes {
                    return Err(DataError::Layout {
                        path: annotations,
                        reason: "other categories than those of the training set".to_owned(),
                    });
                }
                val
            }
        };
        Ok(Self {
            classes: classes.into_iter().map(|(_, name)| name).collect(),
            train,
            val,
        })
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        }
    }
}

impl ObjectData for CocoData {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).images.len()
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let scene = self.outline(split, index)?;
        let part = self.part(split);
        let entry = &part.images[index];
        let path = part.folder.join(&entry.file_name);
        let (image, width, height) = read_rgb(&path)?;
        if (width, height) != (entry.width, entry.height) {
            return Err(DataError::Layout {
                path,
                reason: format!(
                    "is {width}x{height}, but {}x{} by its annotations (width x height)",
                    entry.width, entry.height
                ),
            });
        }
        Ok(Scene { image, ..scene })
    }

    fn outline(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        let part = self.part(split);
        in_split(split, index, part.images.len())?;
        let entry = &part.images[index];
        Ok(Scene {
            image: Vec::new(),
            width: entry.width,
            height: entry.height,
            name: entry.file_name.clone(),
            id: entry.id,
            objects: part.objects.get(&entry.id).cloned().unwrap_or_default(),
        })
    }
}

/// Where a split is.
struct Place {
    annotations: PathBuf,
    images: PathBuf,
}

/// Where the training and the validation set are.
fn layout(dir: &Path, kind: Kind) -> Result<[Place; 2], DataError> {
    let folder = dir.join("annotations");
    let mut names = entries(&folder)?;
    names.retain_mut(|name| match name.strip_suffix(".json") {
        Some(stem) => {
            *name = stem.to_owned();
            true
        }
        None => false,
    });
    let prefix = match kind {
        Kind::Keypoints => "person_keypoints_",
        Kind::Box | Kind::Mask => "instances_",
    };
    let file = |name: &str| folder.join(format!("{name}.json"));
    if let (Some(train), Some(val)) = (
        of_split(&names, prefix, "train"),
        of_split(&names, prefix, "val"),
    ) {
        let place = |part: &str, split: &str| {
            let mut folders = vec![part.to_owned(), format!("images/{part}")];
            let others = entries(dir)?.into_iter().rev();
            folders.extend(others.filter(|name| name.starts_with(split)));
            folders.push("images".to_owned());
            Ok(Place {
                annotations: file(&format!("{prefix}{part}")),
                images: first_folder(dir, &folders),
            })
        };
        return Ok([place(train, "train")?, place(val, "val")?]);
    }
    let only = only(&names, kind).map_err(|found| DataError::Layout {
        path: folder.clone(),
        reason: format!(
            "expected {prefix}train2017.json and {prefix}val2017.json (or of another year), or one file whose name holds `{}`; found {found}",
            prefix.trim_end_matches('_')
        ),
    })?;
    let mut folders = vec!["images".to_owned()];
    folders.extend(only.strip_prefix(prefix).map(str::to_owned));
    Ok([(); 2].map(|()| Place {
        annotations: file(only),
        images: first_folder(dir, &folders),
    }))
}

/// The names in a folder, in their order.
fn entries(folder: &Path) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names: Result<Vec<String>, _> = entries.map(|entry| entry.map(name)).collect();
    let mut names = names.map_err(unreadable)?;
    names.sort();
    Ok(names)
}

/// What follows the prefix in the name of a split's file, such as `train2017`: of several years the
/// last one, before files of another kind of name.
fn of_split<'n>(names: &'n [String], prefix: &str, split: &str) -> Option<&'n str> {
    let parts = names.iter().filter_map(|name| name.strip_prefix(prefix));
    let parts = parts.filter(|part| part.starts_with(split));
    let is_year = |part: &str| part[split.len()..].bytes().all(|b| b.is_ascii_digit());
    parts.max_by_key(|part| (is_year(part), *part))
}

/// The only file of a kind, or what was found instead.
fn only(names: &[String], kind: Kind) -> Result<&String, String> {
    let words: &[&str] = match kind {
        Kind::Keypoints => &["keypoints"],
        // A file of keypoints has boxes and masks, too.
        Kind::Box | Kind::Mask => &["instances", "keypoints"],
    };
    for word in words {
        let found: Vec<&String> = names.iter().filter(|name| name.contains(word)).collect();
        match found[..] {
            [] => {}
            [only] => return Ok(only),
            _ => {
                let found: Vec<String> = found.iter().map(|name| format!("{name}.json")).collect();
                return Err(found.join(", "));
            }
        }
    }
    Err("none".to_owned())
}

/// The first folder that is there, or else the first one.
fn first_folder(dir: &Path, names: &[String]) -> PathBuf {
    let mut folders = names.iter().map(|name| dir.join(name));
    folders
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| dir.join(&names[0]))
}

/// (id, name) of each category, in the order of their ids.
type Categories = Vec<(i64, String)>;

/// The categories (id, name) in the order of their ids, and a split.
fn read(place: Place, kind: Kind) -> Result<(Categories, Arc<Part>), DataError> {
    let path = &place.annotations;
    let json = fs::read(path).map_err(|source| DataError::Read {
        path: path.clone(),
        source,
    })?;
    let wrong = |reason: String| DataError::Decode {
        path: path.clone(),
        reason,
    };
    let images: ImageList = serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
    let images = images.images;
    check_images(&images, &place)?;
    let of_kind = |kind| Annotations::from_json(&json, kind).map_err(|e| wrong(e.to_string()));
    let boxes = of_kind(Kind::Box)?;
    let categories = sorted_categories(&boxes).map_err(wrong)?;
    if let Some(id) = repeated(boxes.targets.iter().map(|target| target.id)) {
        return Err(wrong(format!("two annotations have the id {id}")));
    }
    let mut more: HashMap<i64, Target> = match kind {
        Kind::Box => HashMap::new(),
        kind => of_kind(kind)?
            .targets
            .into_iter()
            .map(|t| (t.id, t))
            .collect(),
    };
    let sizes: HashMap<i64, &ImageEntry> = images.iter().map(|image| (image.id, image)).collect();
    let mut objects: HashMap<i64, Vec<Object>> = HashMap::new();
    for target in &boxes.targets {
        let class = categories.binary_search_by_key(&target.category_id, |(id, _)| *id);
        let (Ok(class), Some(image)) = (class, sizes.get(&target.image_id)) else {
            continue;
        };
        let object = object(target, class, more.remove(&target.id));
        if let Some(mask) = object.as_ref().and_then(|object| object.mask.as_ref()) {
            check_mask(mask, image).map_err(|problem| {
                wrong(format!("the annotation of id {}: {problem}", target.id))
            })?;
        }
        objects.entry(target.image_id).or_default().extend(object);
    }
    let part = Part {
        folder: place.images,
        images,
        objects,
    };
    Ok((categories, Arc::new(part)))
}

fn sorted_categories(annotations: &Annotations) -> Result<Vec<(i64, String)>, String> {
    let categories = annotations.categories.iter();
    if let Some(id) = repeated(categories.clone().map(|category| category.id)) {
        return Err(format!("two categories have the id {id}"));
    }
    let mut categories: Vec<(i64, String)> = categories
        .map(|category| (category.id, category.name.clone()))
        .collect();
    if categories.is_empty() {
        return Err("it has no categories, expected at least one".to_owned());
    }
    categories.sort();
    Ok(categories)
}

/// The first id that came before.
fn repeated(mut ids: impl Iterator<Item = i64>) -> Option<i64> {
    let mut seen = HashSet::new();
    ids.find(|id| !seen.insert(*id))
}

/// A mask drawn from polygons fits; one that is stored may not.
fn check_mask(mask: &Mask, image: &ImageEntry) -> Result<(), String> {
    let (height, width) = (mask.height() as usize, mask.width() as usize);
    if (height, width) == (image.height, image.width) {
        return Ok(());
    }
    Err(format!(
        "its mask is {width}x{height}, its image {} {}x{} (width x height)",
        image.file_name, image.width, image.height
    ))
}

#[expect(clippy::cast_possible_truncation, reason = "pixels fit f32")]
fn object(target: &Target, class: usize, more: Option<Target>) -> Option<Object> {
    let Shape::Box([x, y, width, height]) = target.shape else {
        return None;
    };
    let (mut mask, mut keypoints) = (None, None);
    match more.map(|more| more.shape) {
        Some(Shape::Mask(found)) => mask = Some(found),
        Some(Shape::Keypoints { points, .. }) => {
            keypoints = Some(Box::new(points.map(keypoint_from_coco)));
        }
        _ => {}
    }
    Some(Object {
        class,
        corners: [x, y, x + width, y + height].map(|number| number as f32),
        area: target.area,
        crowd: target.crowd,
        mask,
        keypoints,
    })
}

/// At least one image, no id twice, and every file there.
fn check_images(images: &[ImageEntry], place: &Place) -> Result<(), DataError> {
    let wrong = |reason: String| DataError::Decode {
        path: place.annotations.clone(),
        reason,
    };
    if images.is_empty() {
        return Err(wrong("it has no images, expected at least one".to_owned()));
    }
    if let Some(id) = repeated(images.iter().map(|image| image.id)) {
        return Err(wrong(format!("two images have the id {id}")));
    }
    let missing: Vec<&str> = images
        .iter()
        .map(|entry| entry.file_name.as_str())
        .filter(|name| !place.images.join(name).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named = missing[..missing.len().min(TOLD)].join(", ");
    let more = if missing.len() > TOLD { ", …" } else { "" };
    Err(DataError::Layout {
        path: place.images.clone(),
        reason: format!(
            "{} of {} images that {} names are missing: {named}{more}",
            missing.len(),
            images.len(),
            place.annotations.display()
        ),
    })
}

#[cfg(test)]
#[path = "coco_tests.rs"]
mod tests;
