//! The pictures that annotations name: search, decoding, sizes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use autoloss_metrics::coco::{AnnotationFile, Image};
use rayon::prelude::*;

use super::layout::{Place, entries};
use crate::error::DataError;
use crate::files::{Picture, inspect};

/// Problems told in full.
const TOLD: usize = 5;

/// Pictures of images, in their order.
pub(super) struct Pictures {
    pub(super) paths: Vec<PathBuf>,
    pub(super) sizes: Vec<Picture>,
    /// Images whose stated size is that of the picture before it is turned.
    pub(super) unturned: HashSet<i64>,
    pub(super) warnings: Vec<String>,
}

impl Pictures {
    /// Finds and decodes all pictures. Images without a stated size get that of their picture.
    pub(super) fn find(
        dir: &Path,
        place: &Place,
        file: &mut AnnotationFile,
    ) -> Result<Self, DataError> {
        let paths = located(dir, place, &file.images)?;
        let read: Vec<Result<Picture, DataError>> =
            paths.par_iter().map(|path| inspect(path)).collect();
        let mut pictures = Self {
            paths,
            sizes: Vec::with_capacity(read.len()),
            unturned: HashSet::new(),
            warnings: Vec::new(),
        };
        let (mut problems, mut without) = (Vec::new(), 0);
        for ((image, path), read) in file.images.iter_mut().zip(&pictures.paths).zip(read) {
            match read.and_then(|picture| fits(image, path, picture)) {
                Ok((picture, fit)) => {
                    without += usize::from(fit == Fit::Unknown);
                    if fit == Fit::Unturned {
                        pictures.unturned.insert(image.id);
                    }
                    image.size = sides(picture);
                    pictures.sizes.push(picture);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(DataError::Unusable {
                total: problems.len(),
                checked: file.images.len(),
                first: problems.into_iter().take(TOLD).collect(),
            });
        }
        pictures.warn(file.images.len(), without);
        Ok(pictures)
    }

    fn warn(&mut self, images: usize, without: usize) {
        let mut seen = HashSet::new();
        let again = self.paths.iter().filter(|path| !seen.insert(*path)).count();
        if again > 0 {
            self.warnings.push(format!(
                "{again} of {images} images have the picture of another image"
            ));
        }
        if without > 0 {
            self.warnings.push(format!(
                "{without} of {images} images have no `height` and `width`: taken from their pictures"
            ));
        }
        if !self.unturned.is_empty() {
            self.warnings.push(format!(
                "{} of {images} pictures are turned by their EXIF orientation, but `height` and `width` are those before: boxes are taken as those of the turned picture",
                self.unturned.len()
            ));
        }
    }
}

/// Fit of a picture to the size that annotations state.
#[derive(PartialEq)]
enum Fit {
    Same,
    /// No size is stated.
    Unknown,
    /// The stated size is that before the picture is turned.
    Unturned,
}

fn fits(image: &Image, path: &Path, picture: Picture) -> Result<(Picture, Fit), DataError> {
    let Some(stated) = image.size else {
        return Ok((picture, Fit::Unknown));
    };
    let Some((height, width)) = sides(picture) else {
        return Err(DataError::Decode {
            path: path.to_owned(),
            reason: "too large".to_owned(),
        });
    };
    if stated == (height, width) {
        return Ok((picture, Fit::Same));
    }
    if picture.turned && stated == (width, height) {
        return Ok((picture, Fit::Unturned));
    }
    Err(DataError::Layout {
        path: path.to_owned(),
        reason: format!(
            "is {width}x{height}, but {}x{} by its annotations (width x height)",
            stated.1, stated.0
        ),
    })
}

/// Height and width.
fn sides(picture: Picture) -> Option<(u32, u32)> {
    let side = |side: usize| u32::try_from(side).ok();
    side(picture.height).zip(side(picture.width))
}

/// The path of each image's picture.
fn located(dir: &Path, place: &Place, images: &[Image]) -> Result<Vec<PathBuf>, DataError> {
    let mut finder = Finder {
        dir,
        folders: &place.folders,
        listed: None,
    };
    let mut missing: Vec<&str> = Vec::new();
    let mut paths = Vec::with_capacity(images.len());
    for (index, image) in images.iter().enumerate() {
        if image.file_name.is_empty() {
            return Err(DataError::Decode {
                path: place.annotations.clone(),
                reason: format!("images[{index}] has no `file_name`: expected that of its picture"),
            });
        }
        match finder.path(&image.file_name)? {
            Some(path) => paths.push(path),
            None => missing.push(&image.file_name),
        }
    }
    if missing.is_empty() {
        return Ok(paths);
    }
    let named = missing[..missing.len().min(TOLD)].join(", ");
    let more = if missing.len() > TOLD { ", …" } else { "" };
    let there = place.folders.iter().find(|folder| folder.is_dir());
    Err(DataError::Layout {
        path: there.unwrap_or(&place.folders[0]).clone(),
        reason: format!(
            "{} of {} images that {} names are missing: {named}{more}",
            missing.len(),
            images.len(),
            place.annotations.display()
        ),
    })
}

/// Finds pictures by the names that annotations have for them.
struct Finder<'a> {
    dir: &'a Path,
    folders: &'a [PathBuf],
    /// Every picture in the folders by its name in small letters; listed at the first use.
    listed: Option<HashMap<String, PathBuf>>,
}

impl Finder<'_> {
    /// The picture of that name, else of its last part, whatever the folders before it and its capitals.
    fn path(&mut self, name: &str) -> Result<Option<PathBuf>, DataError> {
        let name = name.replace('\\', "/");
        let folders = self.folders.iter().map(PathBuf::as_path).chain([self.dir]);
        let found = folders
            .map(|folder| folder.join(&name))
            .find(|path| path.is_file());
        if found.is_some() {
            return Ok(found);
        }
        let listed = match self.listed.take() {
            Some(listed) => listed,
            None => listed(self.folders)?,
        };
        let last = name.rsplit('/').next().unwrap_or(&name).to_lowercase();
        Ok(self.listed.insert(listed).get(&last).cloned())
    }
}

/// The files of folders by their names in small letters, those of the first folder first.
fn listed(folders: &[PathBuf]) -> Result<HashMap<String, PathBuf>, DataError> {
    let mut listed = HashMap::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for name in entries(folder)? {
            let path = folder.join(&name);
            listed.entry(name.to_lowercase()).or_insert(path);
        }
    }
    Ok(listed)
}
