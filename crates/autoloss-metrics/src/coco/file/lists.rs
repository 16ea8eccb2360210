//! Entries of `images` and `categories`.

use crate::coco::context::no_size;
use crate::coco::error::{CocoError, Item};
use crate::coco::fields::{WHOLE, need};
use crate::coco::ids::RawId;
use crate::coco::json::Reader;

/// An entry of `images`.
pub(super) struct RawImage {
    pub(super) id: RawId,
    pub(super) file_name: String,
    height: Option<f64>,
    width: Option<f64>,
}

impl RawImage {
    pub(super) fn read(reader: &mut Reader, index: usize) -> Result<Self, CocoError> {
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
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        side(self.height?).zip(side(self.width?))
    }

    /// The numbers that are stated instead of a size, in words.
    pub(super) fn stated(&self) -> String {
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

/// A number of pixels, if it is a whole number from 1 on.
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
pub(super) struct RawCategory {
    pub(super) id: RawId,
    pub(super) name: String,
    pub(super) keypoints: Vec<String>,
    pub(super) skeleton: Vec<[usize; 2]>,
}

impl RawCategory {
    pub(super) fn read(reader: &mut Reader, index: usize) -> Result<Self, CocoError> {
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

/// A pair of a skeleton counted from 0, of the file's numbers from 1 on.
fn joined(pair: &[f64]) -> Option<[usize; 2]> {
    let [a, b] = pair else { return None };
    let place = |value: f64| side(value).map(|value| value as usize - 1);
    Some([place(*a)?, place(*b)?])
}
