//! Predictions, and their reading from COCO's result files.

use std::collections::HashMap;

use jiter::Peek;

use super::annotations::Annotations;
use super::context::{Context, sizes};
use super::error::{CocoError, Item};
use super::fields::{BOX, BoxNumbers, WHOLE, box_area, need, points};
use super::ids::RawId;
use super::json::Reader;
use super::mask::Mask;
use super::notes::{Notes, suspicious_boxes};
use super::region::{BBox, Kind, Region};
use super::segmentation::{MASK, Segmentation};

/// A predicted object.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Id of the image.
    pub image_id: i64,
    /// Id of the category; predictions of categories that the target does not have do not count.
    pub category_id: i64,
    /// Confidence; the higher, the earlier the prediction is matched.
    pub score: f64,
    /// Area in pixels; a prediction outside of a range of area does not count as wrong
    /// there.
    pub area: f64,
    /// Predicted region.
    pub region: Region,
}

impl Prediction {
    /// The prediction of a box: x and y of the upper left corner, width, height.
    #[must_use]
    pub fn of_box(image_id: i64, category_id: i64, score: f64, bbox: BBox) -> Self {
        Self {
            image_id,
            category_id,
            score,
            area: box_area(bbox),
            region: Region::Box(bbox),
        }
    }

    /// The prediction of a mask.
    #[must_use]
    pub fn of_mask(image_id: i64, category_id: i64, score: f64, mask: Mask) -> Self {
        Self {
            image_id,
            category_id,
            score,
            area: f64::from(mask.area()),
            region: Region::Mask(mask),
        }
    }

    /// The prediction of keypoints: x, y and visibility each, of which the visibility does not matter.
    #[must_use]
    pub fn of_keypoints(
        image_id: i64,
        category_id: i64,
        score: f64,
        points: Vec<[f64; 3]>,
    ) -> Self {
        let axis = |axis: usize| points.iter().map(move |point| point[axis]);
        let bbox = around(axis(0), axis(1));
        Self {
            image_id,
            category_id,
            score,
            area: box_area(bbox),
            region: Region::Keypoints { points, bbox },
        }
    }
}

/// The smallest box around points; NaN if a coordinate is.
fn around(x: impl IntoIterator<Item = f64>, y: impl IntoIterator<Item = f64>) -> BBox {
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(low, high), value| match value.is_nan() || low.is_nan() {
                true => (f64::NAN, f64::NAN),
                false => (low.min(value), high.max(value)),
            },
        )
    };
    let (left, right) = range(&mut x.into_iter());
    let (top, bottom) = range(&mut y.into_iter());
    [left, top, right - left, bottom - top]
}

/// The predictions for a set of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    /// The predictions.
    pub predictions: Vec<Prediction>,
    /// Number of further predictions, of categories that the target does not have.
    pub of_no_category: usize,
    /// Notes for people: predictions that do not count, boxes that look wrong. One sentence each.
    pub notes: Vec<String>,
}

impl From<Vec<Prediction>> for Results {
    fn from(predictions: Vec<Prediction>) -> Self {
        Self {
            predictions,
            ..Self::default()
        }
    }
}

impl Results {
    /// Reads a result file of COCO's format for these annotations.
    ///
    /// As in pycocotools, the first entry decides on the area of all: it is the area
    /// of `bbox` if the first entry has one, else of the `segmentation`, else of the
    /// box around the `keypoints`. Missing boxes and masks are made from other
    /// fields: the box of a mask or of keypoints, a box as a mask. A segmentation
    /// that the area is taken from must be a compressed mask.
    ///
    /// # Errors
    /// Text that is no JSON, fields that are missing or of another type, masks
    /// that cannot be read or should be compressed, images that are not among
    /// the annotations'.
    pub fn from_json(json: &[u8], annotations: &Annotations) -> Result<Self, CocoError> {
        let odd_sizes = HashMap::new();
        let categories = annotations.categories.iter();
        let context = Context {
            kind: annotations.kind,
            sizes: sizes(&annotations.images),
            odd_sizes: &odd_sizes,
            texts: &annotations.texts,
            points: categories.map(|c| (c.id, c.sigmas.len())).collect(),
        };
        read(json, &context).map_err(|error| error.inside("results"))
    }
}

fn read(json: &[u8], context: &Context<'_>) -> Result<Results, CocoError> {
    let mut results = Results::default();
    let mut notes = Notes::new(context.texts);
    let mut reader = Reader::new(json)?;
    let Some(source) = Source::of_first(&mut reader.fork())? else {
        reader.list(Reader::skip)?;
        reader.finish()?;
        return Ok(results);
    };
    let mut index = 0;
    reader.list(|reader| {
        let entry = ResultEntry::read(reader, index, context.kind, source)?;
        let category = context.texts.number(&entry.category);
        match entry.prediction(Item::Result(index), source, context)? {
            Some(prediction) => results.predictions.push(prediction),
            None => {
                results.of_no_category += 1;
                notes.of_no_category(category.unwrap_or(i64::MAX));
            }
        }
        index += 1;
        Ok(())
    })?;
    reader.finish()?;
    notes.not_counted("predictions", context.points.keys().copied());
    let boxes = results.predictions.iter().filter_map(|prediction| {
        let Region::Box(bbox) = prediction.region else {
            return None;
        };
        let size = context.sizes.get(&prediction.image_id).copied().flatten();
        Some((bbox, size))
    });
    notes.add(suspicious_boxes("predictions", boxes));
    results.notes = notes.said();
    Ok(results)
}

/// Field that the area of predictions is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Box,
    Mask,
    Keypoints,
}

impl Source {
    /// The source by the first entry; none if there is no entry.
    fn of_first(reader: &mut Reader) -> Result<Option<Self>, CocoError> {
        let mut source = None;
        let mut first = true;
        reader.list(|reader| {
            if !std::mem::take(&mut first) {
                return reader.skip();
            }
            source = Some(Self::of_entry(reader)?);
            Ok(())
        })?;
        Ok(source)
    }

    fn of_entry(reader: &mut Reader) -> Result<Self, CocoError> {
        let fields = ["caption", "bbox", "segmentation", "keypoints"];
        let (mut caption, mut bbox, mut mask, mut keypoints) = (false, false, false, false);
        reader.object(&fields, |reader, field| {
            match field {
                "caption" => caption = true,
                // An empty list is no box.
                "bbox" if reader.peek()? == Peek::Array => {
                    bbox = false;
                    return reader.list(|reader| {
                        bbox = true;
                        reader.skip()
                    });
                }
                "bbox" => bbox = true,
                "segmentation" => mask = true,
                _ => keypoints = true,
            }
            reader.skip()
        })?;
        match (caption, bbox, mask, keypoints) {
            (true, ..) => Err(CocoError::Captions),
            (_, true, ..) => Ok(Self::Box),
            (_, _, true, _) => Ok(Self::Mask),
            (.., true) => Ok(Self::Keypoints),
            _ => Err(CocoError::MissingField {
                item: Item::Result(0),
                field: "bbox",
                expected: "`bbox`, `segmentation` or `keypoints`",
            }),
        }
    }
}

/// An entry of the results, with the fields that are needed.
struct ResultEntry {
    image: RawId,
    category: RawId,
    score: f64,
    bbox: Option<BoxNumbers>,
    segmentation: Option<Segmentation>,
    keypoints: Option<Vec<f64>>,
}

impl ResultEntry {
    fn read(
        reader: &mut Reader,
        index: usize,
        kind: Kind,
        source: Source,
    ) -> Result<Self, CocoError> {
        let mut fields = vec!["image_id", "category_id", "score"];
        let regions = [
            ("bbox", kind == Kind::Box || source == Source::Box),
            ("segmentation", kind == Kind::Mask || source == Source::Mask),
            (
                "keypoints",
                kind == Kind::Keypoints || source == Source::Keypoints,
            ),
        ];
        fields.extend(
            regions
                .iter()
                .filter(|(_, needed)| *needed)
                .map(|(field, _)| field),
        );
        let (mut image, mut category, mut score) = (None, None, None);
        let (mut bbox, mut segmentation, mut keypoints) = (None, None, None);
        reader.object(&fields, |reader, field| {
            match field {
                "image_id" => image = Some(reader.id()?),
                "category_id" => category = Some(reader.id()?),
                "score" => score = Some(reader.number()?),
                "bbox" => bbox = Some(BoxNumbers::read(reader)?),
                "segmentation" => segmentation = Some(Segmentation::read(reader)?),
                _ => keypoints = Some(reader.numbers()?),
            }
            Ok(())
        })?;
        let item = Item::Result(index);
        Ok(Self {
            image: need(image, item, "image_id", WHOLE)?,
            category: need(category, item, "category_id", WHOLE)?,
            score: need(score, item, "score", "a number")?,
            bbox,
            segmentation,
            keypoints,
        })
    }

    /// The prediction, if the target has its category.
    fn prediction(
        mut self,
        item: Item,
        source: Source,
        context: &Context<'_>,
    ) -> Result<Option<Prediction>, CocoError> {
        let known = context.texts.number(&self.image);
        let Some(image) = known.filter(|image| context.sizes.contains_key(image)) else {
            let image = self.image.show();
            return Err(CocoError::UnknownImage { item, image });
        };
        let (area, from) = self.area(item, source, (image, context))?;
        let category = context.texts.number(&self.category);
        let category = category.and_then(|id| Some((id, *context.points.get(&id)?)));
        let Some((category, count)) = category else {
            return Ok(None);
        };
        let region = match (context.kind, from) {
            (Kind::Box, Region::Mask(mask)) => Region::Box(match self.bbox {
                Some(own) => own.four(item)?,
                None => mask.bbox(),
            }),
            (Kind::Mask, Region::Box(bbox)) => Region::Mask(match source {
                Source::Box if self.segmentation.is_none() => {
                    as_polygon(bbox).into_mask(image, context, item)?
                }
                _ => self.mask(item, (image, context))?,
            }),
            (Kind::Box | Kind::Mask, from) => from,
            (Kind::Keypoints, _) => {
                let numbers = self.numbers(item)?;
                Region::Keypoints {
                    points: points(numbers, count, item)?,
                    bbox: around_keypoints(numbers, item)?,
                }
            }
        };
        Ok(Some(Prediction {
            image_id: image,
            category_id: category,
            score: self.score,
            area,
            region,
        }))
    }

    /// The area, and the region that it is the area of.
    fn area(
        &mut self,
        item: Item,
        source: Source,
        context: (i64, &Context<'_>),
    ) -> Result<(f64, Region), CocoError> {
        let bbox = match source {
            Source::Box => need(self.bbox, item, "bbox", BOX)?.four(item)?,
            Source::Keypoints => around_keypoints(self.numbers(item)?, item)?,
            Source::Mask => {
                if !matches!(&self.segmentation, None | Some(Segmentation::Compressed(_))) {
                    return Err(CocoError::Uncompressed { item });
                }
                let mask = self.mask(item, context)?;
                return Ok((f64::from(mask.area()), Region::Mask(mask)));
            }
        };
        Ok((box_area(bbox), Region::Box(bbox)))
    }

    /// The mask, which is taken out of the entry.
    fn mask(
        &mut self,
        item: Item,
        (image, context): (i64, &Context<'_>),
    ) -> Result<Mask, CocoError> {
        let segmentation = need(self.segmentation.take(), item, "segmentation", MASK)?;
        segmentation.into_mask(image, context, item)
    }

    fn numbers(&self, item: Item) -> Result<&[f64], CocoError> {
        need(self.keypoints.as_deref(), item, "keypoints", POINTS)
    }
}

/// Form of keypoints.
const POINTS: &str = "x, y and visibility of each keypoint";

/// The smallest box around any number of keypoints.
fn around_keypoints(numbers: &[f64], item: Item) -> Result<BBox, CocoError> {
    if numbers.len() < 2 {
        // Without any, there is no box.
        return Err(CocoError::MissingField {
            item,
            field: "keypoints",
            expected: POINTS,
        });
    }
    let every = |from: usize| numbers.iter().skip(from).step_by(3).copied();
    Ok(around(every(0), every(1)))
}

/// The outline of a box.
fn as_polygon([x, y, width, height]: BBox) -> Segmentation {
    let (right, bottom) = (x + width, y + height);
    Segmentation::Polygons(vec![vec![x, y, x, bottom, right, bottom, right, y]])
}
