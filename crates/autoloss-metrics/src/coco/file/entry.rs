//! Entries of `annotations`.

use crate::coco::annotations::Target;
use crate::coco::context::Context;
use crate::coco::error::{CocoError, Item};
use crate::coco::fields::{BOX, BoxNumbers, WHOLE, box_area, need, points};
use crate::coco::ids::RawId;
use crate::coco::json::Reader;
use crate::coco::region::{BBox, Kind, Region};
use crate::coco::segmentation::{MASK, Segmentation};

/// An entry of `annotations`.
pub(super) struct AnnotationEntry {
    pub(super) id: Option<RawId>,
    pub(super) image: RawId,
    pub(super) category: RawId,
    area: Option<f64>,
    crowd: Option<bool>,
    bbox: Option<BoxNumbers>,
    segmentation: Option<Segmentation>,
    pub(super) keypoints: Option<Vec<f64>>,
    num_keypoints: Option<f64>,
}

/// An entry whose image and category are listed.
pub(super) struct Counted {
    /// Place in the list.
    pub(super) index: usize,
    pub(super) image: i64,
    pub(super) category: i64,
}

impl AnnotationEntry {
    /// Reads the fields that the comparison of `kind` needs.
    pub(super) fn read(reader: &mut Reader, index: usize, kind: Kind) -> Result<Self, CocoError> {
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

    /// The target; `index` is the entry's place in the list.
    pub(super) fn target(
        &self,
        index: usize,
        (image_id, category_id): (i64, i64),
        context: &Context<'_>,
    ) -> Result<Target, CocoError> {
        let item = item(index, self.id.as_ref());
        let stated = || need(self.bbox, item, "bbox", BOX)?.four(item);
        let bbox = self.bbox.and_then(|numbers| numbers.four(item).ok());
        let mut ignored = false;
        let (region, of_region) = match context.kind {
            Kind::Box => (Region::Box(stated()?), box_area(stated()?)),
            Kind::Mask => {
                // A copy: several threads read the file at once.
                let segmentation = need(self.segmentation.clone(), item, "segmentation", MASK)?;
                let mask = segmentation.into_mask(image_id, context, item)?;
                let area = f64::from(mask.area());
                (Region::Mask(mask), area)
            }
            Kind::Keypoints => {
                let count = context.points.get(&category_id).copied().unwrap_or(0);
                let (points, labelled) = self.points(count, item)?;
                ignored = labelled == 0.0;
                let bbox = match self.bbox {
                    Some(_) => stated()?,
                    None => around_labelled(&points),
                };
                (Region::Keypoints { points, bbox }, box_area(bbox))
            }
        };
        Ok(Target {
            image_id,
            category_id,
            area: self.area.unwrap_or(of_region),
            crowd: self.crowd.unwrap_or(false),
            ignored,
            bbox,
            region,
        })
    }

    /// `count` keypoints, and the number of labelled ones. An entry without keypoints has no labelled one, whatever
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

    /// Whether each field that can be assumed is missing, in the order of [`Notes::assumed`].
    ///
    /// [`Notes::assumed`]: crate::coco::notes::Notes::assumed
    pub(super) fn missing(&self) -> [bool; 6] {
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

/// The entry in errors.
pub(super) fn item(index: usize, id: Option<&RawId>) -> Item {
    let id = match id {
        Some(RawId::Number(id)) => Some(*id),
        _ => None,
    };
    Item::Annotation { index, id }
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
