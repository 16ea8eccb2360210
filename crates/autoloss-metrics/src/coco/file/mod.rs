//! Reading of COCO's annotation files.

mod entry;
mod lists;
mod sigmas;

use std::collections::HashMap;

use rayon::prelude::*;

use super::annotations::{Annotations, Category, Image, Target};
use super::context::{Context, sizes};
use super::error::CocoError;
use super::ids::{Ids, RawId, TextIds};
use super::json::Reader;
use super::notes::{Notes, suspicious_boxes};
use super::region::Kind;
use entry::{AnnotationEntry, Counted};
use lists::{RawCategory, RawImage};
use sigmas::number_keypoints;

/// An annotation file whose images may still be given sizes, such as those of the pictures where the file
/// has none.
///
/// Files that other programs read are read, too: a value that may be missing is assumed, and
/// [`Annotations::notes`] tells so.
pub struct AnnotationFile {
    kind: Kind,
    /// The images, in the order of the file.
    pub images: Vec<Image>,
    /// The categories, in the order of the file.
    pub categories: Vec<Category>,
    entries: Vec<AnnotationEntry>,
    texts: TextIds,
    /// Sizes that the file states and that are none, in words.
    odd_sizes: HashMap<i64, String>,
}

impl AnnotationFile {
    /// Reads a file, and of its annotations only the fields that `kind` needs.
    ///
    /// # Errors
    /// Text that is no JSON, a list that is missing, a value of another type.
    pub fn read(json: &[u8], kind: Kind) -> Result<Self, CocoError> {
        let (mut images, mut categories, mut entries) = (None, None, None);
        let mut reader = Reader::new(json)?;
        reader.object(&["images", "categories", "annotations"], |reader, field| {
            match field {
                "images" => images = Some(reader.entries(RawImage::read)?),
                "categories" => categories = Some(reader.entries(RawCategory::read)?),
                _ => {
                    let read = |r: &mut Reader, index: usize| AnnotationEntry::read(r, index, kind);
                    entries = Some(reader.entries(read)?);
                }
            }
            Ok(())
        })?;
        reader.finish()?;
        let images = images.ok_or(CocoError::MissingList("images"))?;
        let categories = categories.ok_or(CocoError::MissingList("categories"))?;
        let entries = entries.ok_or(CocoError::MissingList("annotations"))?;
        Ok(Self::new(kind, images, categories, entries))
    }

    fn new(
        kind: Kind,
        images: Vec<RawImage>,
        categories: Vec<RawCategory>,
        entries: Vec<AnnotationEntry>,
    ) -> Self {
        let ids = images.iter().map(|image| &image.id);
        let ids = ids.chain(categories.iter().map(|category| &category.id));
        let of_entries = entries
            .iter()
            .flat_map(|entry| [&entry.image, &entry.category]);
        let texts = TextIds::new(ids.chain(of_entries));
        let number = |id: &RawId| texts.number(id).unwrap_or_default();
        let mut odd_sizes = HashMap::new();
        let image = |image: RawImage| {
            let id = number(&image.id);
            let size = image.size();
            if size.is_none() {
                odd_sizes.insert(id, image.stated());
            }
            Image {
                id,
                file_name: image.file_name,
                size,
            }
        };
        let images = images.into_iter().map(image).collect();
        let category = |category: RawCategory| Category {
            id: number(&category.id),
            name: category.name,
            keypoints: category.keypoints,
            skeleton: category.skeleton,
            sigmas: Vec::new(),
        };
        let categories = categories.into_iter().map(category).collect();
        Self {
            kind,
            images,
            categories,
            entries,
            texts,
            odd_sizes,
        }
    }

    /// The annotations, with targets. `sigmas` are those of every category with keypoints; without, they are
    /// COCO's for 17 keypoints, else [`DEFAULT_SIGMA`](super::keypoints::DEFAULT_SIGMA).
    ///
    /// Polygons are drawn on rayon's threads.
    ///
    /// # Errors
    /// Fields that are missing, masks that cannot be read or have another size than their image,
    /// keypoints of different numbers in a category, sigmas of another number. Targets of images and
    /// categories that are not listed may lack fields.
    pub fn annotations(mut self, sigmas: Option<&[f64]>) -> Result<Annotations, CocoError> {
        let mut notes = Notes::new(&self.texts);
        let counted = self.counted(&mut notes);
        if self.kind == Kind::Keypoints {
            let (categories, entries) = (&mut self.categories, &self.entries);
            number_keypoints(categories, entries, &counted, sigmas, &mut notes)?;
        }
        let context = Context {
            kind: self.kind,
            sizes: sizes(&self.images),
            odd_sizes: &self.odd_sizes,
            texts: &self.texts,
            points: self
                .categories
                .iter()
                .map(|c| (c.id, c.sigmas.len()))
                .collect(),
        };
        // All are made, so that the error is always that of the first wrong entry.
        let made: Vec<Result<Target, CocoError>> = counted
            .par_iter()
            .map(
                |&Counted {
                     index,
                     image,
                     category,
                 }| {
                    self.entries[index].target(index, (image, category), &context)
                },
            )
            .collect();
        let targets = made.into_iter().collect::<Result<Vec<Target>, _>>()?;
        notes.assumed(
            self.kind,
            counted.iter().map(|c| self.entries[c.index].missing()),
        );
        let boxes = targets.iter().filter_map(|target| {
            let size = context.sizes.get(&target.image_id).copied().flatten();
            Some((target.bbox?, size))
        });
        notes.add(suspicious_boxes("annotations", boxes));
        let notes = notes.said();
        Ok(Annotations {
            kind: self.kind,
            images: self.images,
            categories: self.categories,
            targets,
            texts: self.texts,
            notes,
        })
    }

    /// The entries of images and categories that are listed.
    fn counted(&self, notes: &mut Notes<'_>) -> Vec<Counted> {
        let images = Ids::new(self.images.iter().map(|image| image.id));
        let categories = Ids::new(self.categories.iter().map(|category| category.id));
        let mut counted = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let number = |id| self.texts.number(id).unwrap_or_default();
            let (image, category) = (number(&entry.image), number(&entry.category));
            match (images.contains(image), categories.contains(category)) {
                (true, true) => counted.push(Counted {
                    index,
                    image,
                    category,
                }),
                (false, _) => notes.of_no_image(image),
                (true, false) => notes.of_no_category(category),
            }
        }
        let known = self.categories.iter().map(|category| category.id);
        notes.not_counted("annotations", known);
        notes.ids(counted.iter().map(|c| self.entries[c.index].id.as_ref()));
        counted
    }
}

impl Annotations {
    /// Reads an annotation file of COCO's format: only the fields that the
    /// comparison of `kind` needs.
    ///
    /// Polygons are drawn on rayon's threads.
    ///
    /// # Errors
    /// As for [`AnnotationFile::read`] and [`AnnotationFile::annotations`].
    pub fn from_json(json: &[u8], kind: Kind) -> Result<Self, CocoError> {
        AnnotationFile::read(json, kind)?.annotations(None)
    }
}
