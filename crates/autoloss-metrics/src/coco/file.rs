//! Reading COCO's annotation files.

use std::collections::HashMap;

use rayon::prelude::*;

use super::annotations::{Annotations, Category, Image, Target};
use super::error::{CocoError, Item};
use super::ids::{RawId, TextIds};
use super::json::Reader;
use super::notes::{Notes, look_of_boxes};
use super::segmentation::{MASK, Segmentation};
use super::{BBox, Kind, Shape, keypoints};

/// An annotation file, of which the images may still be given sizes: those of their pictures where
/// the file has none.
///
/// What other programs read is read, too: a value that may be missing is assumed, and
/// [`Annotations::notes`] says so.
pub struct AnnotationFile {
    kind: Kind,
    /// The images, in the order of the file.
    pub images: Vec<Image>,
    /// The categories, in the order of the file.
    pub categories: Vec<Category>,
    entries: Vec<Entry>,
    texts: TextIds,
    /// What the file states as sizes that are none.
    odd_sizes: HashMap<i64, String>,
}

/// An entry of `annotations`.
struct Entry {
    id: Option<RawId>,
    image: RawId,
    category: RawId,
    area: Option<f64>,
    crowd: Option<bool>,
    bbox: Option<BoxNumbers>,
    segmentation: Option<Segmentation>,
    keypoints: Option<Vec<f64>>,
    num_keypoints: Option<f64>,
}

impl AnnotationFile {
    /// Reads a file, and of its annotations only what `kind` needs.
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
                _ => entries = Some(reader.entries(|r, index| Entry::read(r, index, kind))?),
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
        entries: Vec<Entry>,
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

    /// The targets. `sigmas` are those of every category with keypoints; without, they are COCO's
    /// where there are 17 keypoints, else [`keypoints::DEFAULT_SIGMA`].
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
        // All are made, so that the first error is the one that is told.
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
        notes.add(look_of_boxes("annotations", boxes));
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
        let images = Listed::new(self.images.iter().map(|image| image.id));
        let categories = Listed::new(self.categories.iter().map(|category| category.id));
        let mut counted = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let number = |id| self.texts.number(id).unwrap_or_default();
            let (image, category) = (number(&entry.image), number(&entry.category));
            match (images.has(image), categories.has(category)) {
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
        notes.off_by_one("annotations", known);
        notes.ids(counted.iter().map(|c| self.entries[c.index].id.as_ref()));
        counted
    }
}

/// Gives each category its sigmas, as many as its targets have keypoints.
fn number_keypoints(
    categories: &mut [Category],
    entries: &[Entry],
    counted: &[Counted],
    sigmas: Option<&[f64]>,
    notes: &mut Notes<'_>,
) -> Result<(), CocoError> {
    let mut first: HashMap<i64, usize> = HashMap::new();
    for &Counted {
        index, category, ..
    } in counted
    {
        let points = entries[index].keypoints.as_ref();
        let points = points.map_or(0, |numbers| numbers.len() / 3);
        if points > 0 {
            first.entry(category).or_insert(points);
        }
    }
    if let (true, Some(entry)) = (first.is_empty(), counted.first())
        && categories
            .iter()
            .all(|category| category.keypoints.is_empty())
    {
        let item = item(entry.index, entries[entry.index].id.as_ref());
        need(
            None::<()>,
            item,
            "keypoints",
            "x, y and visibility of each keypoint",
        )?;
    }
    for category in categories {
        let named = category.keypoints.len();
        let points = first.get(&category.id).copied().unwrap_or(named);
        if points != named {
            notes.other_names(&category.name, named, points);
            category.keypoints.clear();
            category.skeleton.clear();
        }
        category
            .skeleton
            .retain(|pair| pair.iter().all(|place| *place < points));
        category.sigmas = match sigmas {
            Some(sigmas) if points > 0 => of_number(sigmas, points, &category.name)?,
            _ => {
                notes.default_sigmas(category, points);
                keypoints::sigmas(points)
            }
        };
    }
    Ok(())
}

/// The sigmas that were given, if there is one for each keypoint.
fn of_number(sigmas: &[f64], points: usize, category: &str) -> Result<Vec<f64>, CocoError> {
    if sigmas.len() != points {
        return Err(CocoError::Sigmas(format!(
            "{} sigmas given, but category `{category}` has {points} keypoints: expected one sigma for each",
            sigmas.len()
        )));
    }
    if let Some(sigma) = sigmas
        .iter()
        .find(|sigma| !(**sigma > 0.0 && sigma.is_finite()))
    {
        return Err(CocoError::Sigmas(format!(
            "a sigma of {sigma}: expected numbers above 0, such as 0.026"
        )));
    }
    Ok(sigmas.to_vec())
}

/// An entry whose image and category are listed.
struct Counted {
    index: usize,
    image: i64,
    category: i64,
}

/// The ids of a list.
struct Listed {
    sorted: Vec<i64>,
}

impl Listed {
    fn new(ids: impl Iterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = ids.collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    fn has(&self, id: i64) -> bool {
        self.sorted.binary_search(&id).is_ok()
    }
}

/// Height and width of each image, where they are known.
pub(super) type Sizes = HashMap<i64, Option<(u32, u32)>>;

pub(super) fn sizes(images: &[Image]) -> Sizes {
    images.iter().map(|image| (image.id, image.size)).collect()
}

/// What entries are made targets with.
pub(super) struct Context<'a> {
    pub(super) kind: Kind,
    pub(super) sizes: Sizes,
    pub(super) odd_sizes: &'a HashMap<i64, String>,
    pub(super) texts: &'a TextIds,
    /// Number of keypoints of each category.
    pub(super) points: HashMap<i64, usize>,
}

impl Context<'_> {
    /// The size of an image, needed for a polygon.
    pub(super) fn size(&self, image: i64, item: Item) -> Result<(u32, u32), CocoError> {
        let unknown = || CocoError::UnknownSize {
            item,
            image: self.texts.show(image).into_owned(),
            stated: self.odd_sizes.get(&image).cloned().unwrap_or_else(no_size),
        };
        self.sizes
            .get(&image)
            .copied()
            .flatten()
            .ok_or_else(unknown)
    }

    /// Fails if a mask has another size than its image.
    pub(super) fn check_size(
        &self,
        mask: (u32, u32),
        image: i64,
        item: Item,
    ) -> Result<(), CocoError> {
        match self.sizes.get(&image) {
            Some(&Some(size)) if size != mask => Err(CocoError::MaskSize {
                item,
                image: self.texts.show(image).into_owned(),
                mask,
                size,
            }),
            _ => Ok(()),
        }
    }
}

fn no_size() -> String {
    "no `height` and `width`".to_owned()
}

/// An entry of `images`.
struct RawImage {
    id: RawId,
    file_name: String,
    height: Option<f64>,
    width: Option<f64>,
}

impl RawImage {
    fn read(reader: &mut Reader, index: usize) -> Result<Self, CocoError> {
        let (mut id, mut file_name) = (None, String::new());
        let (mut height, mut width) = (None, None);
        reader.object(&["id", "file_name", "height", "width"], |reader, field| {
            match field {
                "id" => id = Some(reader.id()?),
                "file_name" => file_name = reader.text(str::to_owned)?,
                "height" => height = Some(reader.number()?),
                _ => width = Some(reader.number()?),
            }
            Ok(())
        })?;
        Ok(Self {
            id: need(id, Item::Image(index), "id", WHOLE)?,
            file_name,
            height,
            width,
        })
    }

    /// Height and width, if both are numbers of pixels.
    fn size(&self) -> Option<(u32, u32)> {
        side(self.height?).zip(side(self.width?))
    }

    /// What is there instead of a size.
    fn stated(&self) -> String {
        let of = |name, value: Option<f64>| match value {
            Some(value) => format!("`{name}` {value}"),
            None => format!("no `{name}`"),
        };
        match (self.height, self.width) {
            (None, None) => no_size(),
            (height, width) => format!("{} and {}", of("height", height), of("width", width)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked before"
)]
fn side(value: f64) -> Option<u32> {
    let fits = value.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&value);
    fits.then_some(value as u32)
}

/// An entry of `categories`.
struct RawCategory {
    id: RawId,
    name: String,
    keypoints: Vec<String>,
    skeleton: Vec<[usize; 2]>,
}

impl RawCategory {
    fn read(reader: &mut Reader, index: usize) -> Result<Self, CocoError> {
        let (mut id, mut name) = (None, String::new());
        let (mut keypoints, mut skeleton) = (Vec::new(), Vec::new());
        reader.object(&["id", "name", "keypoints", "skeleton"], |reader, field| {
            match field {
                "id" => id = Some(reader.id()?),
                "name" => name = reader.text(str::to_owned)?,
                "keypoints" => keypoints = reader.entries(|r, _| r.text(str::to_owned))?,
                _ => skeleton = reader.entries(|r, _| r.numbers())?,
            }
            Ok(())
        })?;
        Ok(Self {
            id: need(id, Item::Category(index), "id", WHOLE)?,
            name,
            keypoints,
            skeleton: skeleton.iter().filter_map(|pair| joined(pair)).collect(),
        })
    }
}

/// A pair of a skeleton, which counts from 1.
fn joined(pair: &[f64]) -> Option<[usize; 2]> {
    let [a, b] = pair else { return None };
    let place = |value: f64| side(value).map(|value| value as usize - 1);
    Some([place(*a)?, place(*b)?])
}

/// A field that must be there.
pub(super) fn need<T>(
    value: Option<T>,
    item: Item,
    field: &'static str,
    expected: &'static str,
) -> Result<T, CocoError> {
    value.ok_or(CocoError::MissingField {
        item,
        field,
        expected,
    })
}

/// What an id must be.
pub(super) const WHOLE: &str = "a whole number or a text";

impl Entry {
    fn read(reader: &mut Reader, index: usize, kind: Kind) -> Result<Self, CocoError> {
        let fields: &[&str] = match kind {
            Kind::Box => &["id", "image_id", "category_id", "area", "iscrowd", "bbox"],
            Kind::Mask => &[
                "id",
                "image_id",
                "category_id",
                "area",
                "iscrowd",
                "bbox",
                "segmentation",
            ],
            Kind::Keypoints => &[
                "id",
                "image_id",
                "category_id",
                "area",
                "iscrowd",
                "bbox",
                "keypoints",
                "num_keypoints",
            ],
        };
        let (mut id, mut image, mut category) = (None, None, None);
        let (mut area, mut crowd) = (None, None);
        let (mut bbox, mut segmentation, mut keypoints, mut num_keypoints) =
            (None, None, None, None);
        reader.object(fields, |reader, field| {
            match field {
                "id" => id = Some(reader.id()?),
                "image_id" => image = Some(reader.id()?),
                "category_id" => category = Some(reader.id()?),
                "area" => area = Some(reader.number()?),
                "iscrowd" => crowd = Some(reader.flag()?),
                "bbox" => bbox = Some(BoxNumbers::read(reader)?),
                "segmentation" => segmentation = Some(Segmentation::read(reader)?),
                "keypoints" => keypoints = Some(reader.numbers()?),
                _ => num_keypoints = Some(reader.number()?),
            }
            Ok(())
        })?;
        let item = item(index, id.as_ref());
        Ok(Self {
            image: need(image, item, "image_id", WHOLE)?,
            category: need(category, item, "category_id", WHOLE)?,
            id,
            area,
            crowd,
            bbox,
            segmentation,
            keypoints,
            num_keypoints,
        })
    }

    fn target(
        &self,
        index: usize,
        (image_id, category_id): (i64, i64),
        context: &Context<'_>,
    ) -> Result<Target, CocoError> {
        let item = item(index, self.id.as_ref());
        let stated = || need(self.bbox, item, "bbox", BOX)?.four(item);
        let bbox = self.bbox.and_then(|numbers| numbers.four(item).ok());
        let mut ignored = false;
        let (shape, of_shape) = match context.kind {
            Kind::Box => (Shape::Box(stated()?), box_area(stated()?)),
            Kind::Mask => {
                // A copy: the file may be read by several threads at once.
                let segmentation = need(self.segmentation.clone(), item, "segmentation", MASK)?;
                let mask = segmentation.into_mask(image_id, context, item)?;
                let area = f64::from(mask.area());
                (Shape::Mask(mask), area)
            }
            Kind::Keypoints => {
                let count = context.points.get(&category_id).copied().unwrap_or(0);
                let (points, labelled) = self.points(count, item)?;
                ignored = labelled == 0.0;
                let bbox = match self.bbox {
                    Some(_) => stated()?,
                    None => around_labelled(&points),
                };
                (Shape::Keypoints { points, bbox }, box_area(bbox))
            }
        };
        Ok(Target {
            image_id,
            category_id,
            area: self.area.unwrap_or(of_shape),
            crowd: self.crowd.unwrap_or(false),
            ignored,
            bbox,
            shape,
        })
    }

    /// `count` keypoints and how many are labelled; an entry without any has none that is labelled, whatever
    /// its `num_keypoints`.
    fn points(&self, count: usize, item: Item) -> Result<(Vec<[f64; 3]>, f64), CocoError> {
        let numbers = self.keypoints.as_deref().unwrap_or_default();
        if numbers.is_empty() {
            return Ok((vec![[0.0; 3]; count], 0.0));
        }
        let points = points(numbers, count, item)?;
        let labelled = points.iter().filter(|point| point[2] > 0.0).count() as f64;
        Ok((points, self.num_keypoints.unwrap_or(labelled)))
    }

    /// The fields that are missing and were assumed.
    fn missing(&self) -> [bool; 6] {
        [
            self.id.is_none(),
            self.crowd.is_none(),
            self.area.is_none(),
            self.bbox.is_none(),
            self.keypoints.as_deref().unwrap_or_default().is_empty(),
            self.num_keypoints.is_none(),
        ]
    }
}

fn item(index: usize, id: Option<&RawId>) -> Item {
    let id = match id {
        Some(RawId::Number(id)) => Some(*id),
        _ => None,
    };
    Item::Annotation { index, id }
}

/// What a box must be.
pub(super) const BOX: &str = "x, y, width and height";

pub(super) fn box_area([_, _, width, height]: BBox) -> f64 {
    width * height
}

/// The numbers of a box, of which there may be too few or too many.
#[derive(Clone, Copy)]
pub(super) struct BoxNumbers {
    first: BBox,
    count: usize,
}

impl BoxNumbers {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, CocoError> {
        let mut numbers = Self {
            first: [0.0; 4],
            count: 0,
        };
        reader.list(|reader| {
            let number = reader.number()?;
            if let Some(place) = numbers.first.get_mut(numbers.count) {
                *place = number;
            }
            numbers.count += 1;
            Ok(())
        })?;
        Ok(numbers)
    }

    pub(super) fn four(self, item: Item) -> Result<BBox, CocoError> {
        match self.count {
            4 => Ok(self.first),
            found => Err(CocoError::Length {
                item,
                field: "bbox",
                found,
                expected: 4,
            }),
        }
    }
}

/// x, y and visibility in turn as `count` keypoints; as many as there are if `count` is 0.
pub(super) fn points(
    numbers: &[f64],
    count: usize,
    item: Item,
) -> Result<Vec<[f64; 3]>, CocoError> {
    let (points, rest) = numbers.as_chunks::<3>();
    if rest.is_empty() && (count == 0 || points.len() == count) {
        return Ok(points.to_vec());
    }
    Err(CocoError::Length {
        item,
        field: "keypoints",
        found: numbers.len(),
        expected: 3 * count.max(points.len()),
    })
}

/// The smallest box around the labelled keypoints.
fn around_labelled(points: &[[f64; 3]]) -> BBox {
    let labelled = || points.iter().filter(|point| point[2] > 0.0);
    let range = |axis: usize| {
        let values = labelled().map(|point| point[axis]);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        (low, (high - low).max(0.0))
    };
    if labelled().next().is_none() {
        return [0.0; 4];
    }
    let ((x, width), (y, height)) = (range(0), range(1));
    [x, y, width, height]
}
