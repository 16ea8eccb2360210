//! The field `segmentation`, in its three forms.

use jiter::Peek;

use super::annotations::Sizes;
use super::error::{CocoError, Item, MaskError};
use super::json::Reader;
use super::mask::{Mask, decode};

/// A segmentation as a file has it.
#[derive(Debug, Clone)]
pub(super) enum Segmentation {
    /// Polygons, which need the size of the image to become a mask.
    Polygons(Vec<Vec<f64>>),
    /// A mask from a list of runs, or what is wrong with it.
    Runs(Result<Mask, MaskError>),
    /// A mask from COCO's compressed form, or what is wrong with it.
    Compressed(Result<Mask, MaskError>),
}

impl Segmentation {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, CocoError> {
        if reader.peek()? == Peek::Object {
            return read_mask(reader);
        }
        let mut polygons = Vec::new();
        reader.list(|reader| {
            polygons.push(reader.numbers()?);
            Ok(())
        })?;
        Ok(Self::Polygons(polygons))
    }

    /// The mask, drawn on the image where it is polygons.
    pub(super) fn into_mask(
        self,
        image: i64,
        sizes: &Sizes,
        item: Item,
    ) -> Result<Mask, CocoError> {
        let mask = match self {
            Self::Runs(mask) | Self::Compressed(mask) => mask,
            Self::Polygons(polygons) => match sizes.get(&image) {
                Some(&Some((height, width))) => Mask::from_polygons(&polygons, height, width),
                Some(None) => return Err(CocoError::UnknownSize { item, image }),
                None => return Err(CocoError::UnknownImage { item, image }),
            },
        };
        mask.map_err(|problem| CocoError::Mask { item, problem })
    }
}

/// What a segmentation must be.
pub(super) const MASK: &str = "polygons or a mask";

#[derive(Clone, Copy)]
enum Field {
    Size,
    Counts,
    Other,
}

/// The field `counts`, in its two forms.
enum Counts {
    Runs(Vec<u32>),
    Compressed(Result<Vec<u32>, MaskError>),
}

/// Reads an object of `size` and `counts`.
fn read_mask(reader: &mut Reader) -> Result<Segmentation, CocoError> {
    let name = |text: &str| match text {
        "size" => Field::Size,
        "counts" => Field::Counts,
        _ => Field::Other,
    };
    let (mut size, mut counts) = (None, None);
    reader.object(name, |reader, field| {
        match field {
            Field::Size => size = Some(read_counts(reader)?),
            Field::Counts if reader.peek()? == Peek::Array => {
                counts = Some(Counts::Runs(read_counts(reader)?));
            }
            Field::Counts => counts = Some(Counts::Compressed(reader.text(decode)?)),
            Field::Other => reader.skip()?,
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
        _ => Err(reader.fail(
            "expected `size`, a height and a width, and `counts` in a segmentation".to_owned(),
        )),
    }
}

fn read_counts(reader: &mut Reader) -> Result<Vec<u32>, CocoError> {
    let mut counts = Vec::new();
    reader.list(|reader| {
        counts.push(reader.count()?);
        Ok(())
    })?;
    Ok(counts)
}
