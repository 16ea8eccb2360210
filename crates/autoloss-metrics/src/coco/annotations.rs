//! Targets, and reading them from COCO's annotation files.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::error::{CocoError, Item};
use super::json::Reader;
use super::segmentation::{MASK, Segmentation};
use super::{BBox, Kind, Shape, keypoints};

/// What is to be found in a set of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotations {
    /// What is compared; all shapes are of this kind.
    pub kind: Kind,
    /// The images; one without targets counts, too.
    pub images: Vec<Image>,
    /// The categories.
    pub categories: Vec<Category>,
    /// What is to be found; of other images and categories it does not count.
    pub targets: Vec<Target>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id; one id is one image.
    pub id: i64,
    /// Its height and width in pixels, if they are known; only polygons need them.
    pub size: Option<(u32, u32)>,
}

/// A category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its id; one id is one category.
    pub id: i64,
    /// Its name, for the reader.
    pub name: String,
}

/// An object to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its id. As in pycocotools, a match with the target of id 0 does not count:
    /// begin with 1.
    pub id: i64,
    /// The image it is in.
    pub image_id: i64,
    /// Its category.
    pub category_id: i64,
    /// Its area in pixels, which decides on the ranges of area it is in.
    pub area: f64,
    /// Whether it is a crowd: need not be found, and any number of predictions
    /// may lie in it.
    pub crowd: bool,
    /// Whether it need not be found, as an object without labelled keypoints.
    pub ignored: bool,
    /// Where it is.
    pub shape: Shape,
}

impl Annotations {
    /// Reads an annotation file of COCO's format, and of it only what the
    /// comparison of `kind` needs.
    ///
    /// Polygons are drawn on rayon's threads.
    ///
    /// # Errors
    /// Text that is no JSON, fields that are missing or of another type, masks
    /// that cannot be read. Targets that do not count may lack fields.
    pub fn from_json(json: &[u8], kind: Kind) -> Result<Self, CocoError> {
        let file = File::read(json, kind)?;
        let images = file.images.ok_or(CocoError::MissingList("images"))?;
        let categories = file
            .categories
            .ok_or(CocoError::MissingList("categories"))?;
        let sizes = sizes(&images);
        let known: HashSet<i64> = categories.iter().map(|category| category.id).collect();
        let counts = |entry: &Entry| {
            sizes.contains_key(&entry.image_id) && known.contains(&entry.category_id)
        };
        let last: HashMap<i64, usize> = file.targets.iter().map(|e| e.id).zip(0..).collect();
        let mut listed: Vec<&Entry> = file.targets.iter().filter(|entry| counts(entry)).collect();
        // An id may bring a target of another image here: then this order matters.
        listed.sort_by_key(|entry| entry.image_id);
        // A mask of another image cannot be drawn; other shapes just do not count.
        let counted: Vec<usize> = listed
            .iter()
            .map(|entry| last[&entry.id])
            .filter(|&index| kind == Kind::Mask || counts(&file.targets[index]))
            .collect();
        let target = |&index: &usize| file.targets[index].target(index, kind, &sizes);
        // All are made, so that the first error is the one that is told.
        let made: Vec<Result<Target, CocoError>> = counted.par_iter().map(target).collect();
        let targets = made.into_iter().collect::<Result<_, _>>()?;
        Ok(Self {
            kind,
            images,
            categories,
            targets,
        })
    }
}

/// Height and width of each image, where they are known.
pub(super) type Sizes = HashMap<i64, Option<(u32, u32)>>;

pub(super) fn sizes(images: &[Image]) -> Sizes {
    images.iter().map(|image| (image.id, image.size)).collect()
}

/// The lists of an annotation file; the last one of a name counts.
struct File {
    images: Option<Vec<Image>>,
    categories: Option<Vec<Category>>,
    targets: Vec<Entry>,
}

/// An entry of `annotations`.
struct Entry {
    id: i64,
    image_id: i64,
    category_id: i64,
    area: Option<f64>,
    crowd: Option<bool>,
    bbox: Option<BoxNumbers>,
    segmentation: Option<Segmentation>,
    keypoints: Option<Vec<f64>>,
    num_keypoints: Option<f64>,
}

impl File {
    fn read(json: &[u8], kind: Kind) -> Result<Self, CocoError> {
        enum Field {
            Images,
            Categories,
            Annotations,
            Other,
        }
        let name = |text: &str| match text {
            "images" => Field::Images,
            "categories" => Field::Categories,
            "annotations" => Field::Annotations,
            _ => Field::Other,
        };
        let mut file = Self {
            images: None,
            categories: None,
            targets: Vec::new(),
        };
        let mut reader = Reader::new(json);
        reader.object(name, |reader, field| {
            match field {
                Field::Images => {
                    file.images = Some(entries(reader, |r, i| read_image(r, i, kind))?);
                }
                Field::Categories => file.categories = Some(entries(reader, read_category)?),
                Field::Annotations => {
                    file.targets = entries(reader, |r, i| Entry::read(r, i, kind))?;
                }
                Field::Other => reader.skip()?,
            }
            Ok(())
        })?;
        reader.finish()?;
        Ok(file)
    }
}

/// The entries of a list, each read by `read`.
pub(super) fn entries<T>(
    reader: &mut Reader,
    mut read: impl FnMut(&mut Reader, usize) -> Result<T, CocoError>,
) -> Result<Vec<T>, CocoError> {
    let mut entries = Vec::new();
    reader.list(|reader| {
        entries.push(read(reader, entries.len())?);
        Ok(())
    })?;
    Ok(entries)
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
pub(super) const WHOLE: &str = "a whole number";

fn read_image(reader: &mut Reader, index: usize, kind: Kind) -> Result<Image, CocoError> {
    enum Field {
        Id,
        Height,
        Width,
        Other,
    }
    let name = |text: &str| match text {
        "id" => Field::Id,
        "height" if kind == Kind::Mask => Field::Height,
        "width" if kind == Kind::Mask => Field::Width,
        _ => Field::Other,
    };
    let (mut id, mut height, mut width) = (None, None, None);
    reader.object(name, |reader, field| {
        match field {
            Field::Id => id = Some(reader.integer()?),
            Field::Height => height = Some(reader.count()?),
            Field::Width => width = Some(reader.count()?),
            Field::Other => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(Image {
        id: need(id, Item::Image(index), "id", WHOLE)?,
        size: height.zip(width),
    })
}

fn read_category(reader: &mut Reader, index: usize) -> Result<Category, CocoError> {
    enum Field {
        Id,
        Name,
        Other,
    }
    let field_name = |text: &str| match text {
        "id" => Field::Id,
        "name" => Field::Name,
        _ => Field::Other,
    };
    let (mut id, mut name) = (None, String::new());
    reader.object(field_name, |reader, field| {
        match field {
            Field::Id => id = Some(reader.integer()?),
            Field::Name => name = reader.text(str::to_owned)?,
            Field::Other => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(Category {
        id: need(id, Item::Category(index), "id", WHOLE)?,
        name,
    })
}

impl Entry {
    fn read(reader: &mut Reader, index: usize, kind: Kind) -> Result<Self, CocoError> {
        enum Field {
            Id,
            Image,
            Category,
            Area,
            Crowd,
            Box,
            Segmentation,
            Keypoints,
            NumKeypoints,
            Other,
        }
        let name = |text: &str| match (text, kind) {
            ("id", _) => Field::Id,
            ("image_id", _) => Field::Image,
            ("category_id", _) => Field::Category,
            ("area", _) => Field::Area,
            ("iscrowd", _) => Field::Crowd,
            ("bbox", Kind::Box | Kind::Keypoints) => Field::Box,
            ("segmentation", Kind::Mask) => Field::Segmentation,
            ("keypoints", Kind::Keypoints) => Field::Keypoints,
            ("num_keypoints", Kind::Keypoints) => Field::NumKeypoints,
            _ => Field::Other,
        };
        let (mut id, mut image, mut category) = (None, None, None);
        let (mut area, mut crowd) = (None, None);
        let (mut bbox, mut segmentation, mut keypoints, mut num_keypoints) =
            (None, None, None, None);
        reader.object(name, |reader, field| {
            match field {
                Field::Id => id = Some(reader.integer()?),
                Field::Image => image = Some(reader.integer()?),
                Field::Category => category = Some(reader.integer()?),
                Field::Area => area = Some(reader.number()?),
                Field::Crowd => crowd = Some(reader.flag()?),
                Field::Box => bbox = Some(BoxNumbers::read(reader)?),
                Field::Segmentation => segmentation = Some(Segmentation::read(reader)?),
                Field::Keypoints => keypoints = Some(reader.numbers()?),
                Field::NumKeypoints => num_keypoints = Some(reader.number()?),
                Field::Other => reader.skip()?,
            }
            Ok(())
        })?;
        let item = Item::Annotation { index, id };
        Ok(Self {
            id: need(id, item, "id", WHOLE)?,
            image_id: need(image, item, "image_id", WHOLE)?,
            category_id: need(category, item, "category_id", WHOLE)?,
            area,
            crowd,
            bbox,
            segmentation,
            keypoints,
            num_keypoints,
        })
    }

    fn target(&self, index: usize, kind: Kind, sizes: &Sizes) -> Result<Target, CocoError> {
        let item = Item::Annotation {
            index,
            id: Some(self.id),
        };
        let bbox = || need(self.bbox, item, "bbox", BOX)?.four(item);
        let shape = match kind {
            Kind::Box => Shape::Box(bbox()?),
            Kind::Mask => {
                if !sizes.contains_key(&self.image_id) {
                    let image = self.image_id;
                    return Err(CocoError::UnknownImage { item, image });
                }
                // A copy, since an entry counts as often as its id occurs.
                let segmentation = self.segmentation.clone();
                let segmentation = need(segmentation, item, "segmentation", MASK)?;
                Shape::Mask(segmentation.into_mask(self.image_id, sizes, item)?)
            }
            Kind::Keypoints => {
                let numbers = need(self.keypoints.as_deref(), item, "keypoints", "51 numbers")?;
                Shape::Keypoints {
                    points: points(numbers, item)?,
                    bbox: bbox()?,
                }
            }
        };
        let labelled = match kind {
            Kind::Keypoints => need(self.num_keypoints, item, "num_keypoints", "a number")?,
            Kind::Box | Kind::Mask => 1.0,
        };
        Ok(Target {
            id: self.id,
            image_id: self.image_id,
            category_id: self.category_id,
            area: need(self.area, item, "area", "a number of pixels")?,
            crowd: need(self.crowd, item, "iscrowd", "0 or 1")?,
            ignored: labelled == 0.0,
            shape,
        })
    }
}

/// What a box must be.
pub(super) const BOX: &str = "x, y, width and height";

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

/// The keypoints of a person.
pub(super) fn points(
    numbers: &[f64],
    item: Item,
) -> Result<Box<[[f64; 3]; super::KEYPOINTS]>, CocoError> {
    keypoints(numbers).ok_or(CocoError::Length {
        item,
        field: "keypoints",
        found: numbers.len(),
        expected: 3 * super::KEYPOINTS,
    })
}
