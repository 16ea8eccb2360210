//! Fields that annotations and results share.

use super::error::{CocoError, Item};
use super::json::Reader;
use super::region::BBox;

/// The value of a field; fails if the field is missing.
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

/// Form of an id.
pub(super) const WHOLE: &str = "a whole number or a text";

/// Form of a box.
pub(super) const BOX: &str = "x, y, width and height";

/// Area of a box.
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
    /// Reads all numbers of a list and keeps the first four.
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

    /// The box, if there are four numbers.
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

/// Numbers in the order x, y, visibility as `count` keypoints, or as any number of them if `count` is 0.
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
