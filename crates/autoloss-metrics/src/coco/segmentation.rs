//! The field `segmentation`: polygons, a list of runs, or a compressed mask.

use jiter::Peek;

use super::context::Context;
use super::error::{CocoError, Item};
use super::json::Reader;
use super::mask::compressed::decode;
use super::mask::{Mask, MaskError};
use super::region::Kind;

/// A segmentation in a file.
#[derive(Debug, Clone)]
pub(super) enum Segmentation {
    /// Polygons, which need the size of the image to become a mask.
    Polygons(Vec<Vec<f64>>),
    /// A mask from a list of runs, or the fault of the list.
    Runs(Result<Mask, MaskError>),
    /// A mask from COCO's compressed form, or the fault of the text.
    Compressed(Result<Mask, MaskError>),
}

impl Segmentation {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, CocoError> {
        if reader.peek()? == Peek::Object {
            return read_mask(reader);
        }
        let polygons = reader.entries(|reader, _| reader.numbers())?;
        Ok(Self::Polygons(polygons))
    }

    /// The mask of an image, on which polygons are drawn.
    pub(super) fn into_mask(
        self,
        image: i64,
        context: &Context<'_>,
        item: Item,
    ) -> Result<Mask, CocoError> {
        let mask = match self {
            Self::Runs(mask) | Self::Compressed(mask) => mask,
            Self::Polygons(polygons) => {
                let (height, width) = context.size(image, item)?;
                Mask::from_polygons(&polygons, height, width)
            }
        };
        let mask = mask.map_err(|problem| CocoError::Mask { item, problem })?;
        // Of predicted boxes, masks may give the area alone: their size does not matter.
        if context.kind == Kind::Mask {
            context.check_size((mask.height(), mask.width()), image, item)?;
        }
        Ok(mask)
    }
}

/// Form of a segmentation.
pub(super) const MASK: &str = "polygons or a mask";

/// The field `counts`: a list of runs, or a text.
enum Counts {
    Runs(Vec<u32>),
    Compressed(Result<Vec<u32>, MaskError>),
}

/// Reads an object of `size` and `counts`.
fn read_mask(reader: &mut Reader) -> Result<Segmentation, CocoError> {
    let (mut size, mut counts) = (None, None);
    reader.object(&["size", "counts"], |reader, field| {
        match field {
            "size" => size = Some(read_counts(reader)?),
            _ if reader.peek()? == Peek::Array => {
                counts = Some(Counts::Runs(read_counts(reader)?));
            }
            _ => counts = Some(Counts::Compressed(reader.text(decode)?)),
        }
        Ok(())
    })?;
    match (size.as_deref(), counts) {
        (Some(&[height, width]), Some(counts)) => {
            let mask = |runs| Mask::from_runs(runs, height, width);
            Ok(match counts {
                Counts::Runs(runs) => Segmentation::Runs(mask(runs)),
                Counts::Compressed(runs) => Segmentation::Compressed(runs.and_then(mask)),
            })
        }
        _ => Err(CocoError::json(
            "expected `size`, a height and a width, and `counts`".to_owned(),
        )),
    }
}

fn read_counts(reader: &mut Reader) -> Result<Vec<u32>, CocoError> {
    reader.entries(|reader, _| reader.count())
}
