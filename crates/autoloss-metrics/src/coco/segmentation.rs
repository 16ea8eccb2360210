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
    /// A mask, or what is wrong with it.
    Mask(Result<Mask, MaskError>),
}

impl Segmentation {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, CocoError> {
        if reader.peek()? == Peek::Object {
            return Ok(Self::Mask(read_runs(reader)?));
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
            Self::Mask(mask) => mask,
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

/// Reads an object of `size` and `counts`.
fn read_runs(reader: &mut Reader) -> Result<Result<Mask, MaskError>, CocoError> {
    let name = |text: &str| match text {
        "size" => Field::Size,
        "counts" => Field::Counts,
        _ => Field::Other,
    };
    let (mut size, mut runs) = (None, None);
    reader.object(name, |reader, field| {
        match field {
            Field::Size => size = Some(read_counts(reader)?),
            Field::Counts if reader.peek()? == Peek::Array => {
                runs = Some(Ok(read_counts(reader)?));
            }
            Field::Counts => runs = Some(reader.text(decode)?),
            Field::Other => reader.skip()?,
        }
        Ok(())
    })?;
    match (size.as_deref(), runs) {
        (Some(&[height, width]), Some(runs)) => {
            Ok(runs.and_then(|runs| Mask::from_runs(runs, height, width)))
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
