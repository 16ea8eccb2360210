//! Reading of images from disk.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::error::DataError;

/// A JPEG or PNG file as (RGB bytes, width, height), turned as its EXIF orientation says.
pub(super) fn read_rgb(path: &Path) -> Result<(Vec<u8>, usize, usize), DataError> {
    let (decoded, _) = decode(path)?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    Ok((decoded.into_rgb8().into_raw(), width, height))
}

/// The size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Columns of the turned picture.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// True if its EXIF orientation exchanges rows and columns.
    pub(super) turned: bool,
}

/// Size of a picture, which is decoded completely so that damage shows.
pub(super) fn inspect(path: &Path) -> Result<Picture, DataError> {
    let (decoded, orientation) = decode(path)?;
    Ok(Picture {
        width: decoded.width() as usize,
        height: decoded.height() as usize,
        turned: matches!(
            orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        ),
    })
}

/// A JPEG or PNG file, turned as its EXIF orientation says, with that orientation. The content decides the format,
/// since endings of file names may be wrong.
fn decode(path: &Path) -> Result<(DynamicImage, Orientation), DataError> {
    let unreadable = |source| DataError::Read {
        path: path.to_owned(),
        source,
    };
    let undecodable = |reason: String| DataError::Decode {
        path: path.to_owned(),
        reason,
    };
    let bytes = fs::read(path).map_err(unreadable)?;
    let reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(unreadable)?;
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_is_complete(&bytes) {
        return Err(undecodable("the JPEG data ends early".to_owned()));
    }
    let turned = || {
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut decoded = DynamicImage::from_decoder(decoder)?;
        decoded.apply_orientation(orientation);
        Ok((decoded, orientation))
    };
    turned().map_err(|error: image::ImageError| undecodable(error.to_string()))
}

/// True if the segments of a JPEG file lead to its end marker. The decoder does not notice a shortened file: it fills
/// the lost part with grey.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const START: u8 = 0xD8;
    const END: u8 = 0xD9;
    // Byte stuffing and restart markers, which occur inside compressed data.
    let goes_on = |marker: u8| marker == 0x00 || (0xD0..=0xD7).contains(&marker);
    let mut at = 0;
    while let Some(pair) = bytes.get(at..at + 2) {
        match (pair[0], pair[1]) {
            (0xFF, END) => return true,
            (0xFF, START) => at += 2,
            // A marker may be preceded by any number of 0xFF.
            (0xFF, 0xFF) => at += 1,
            (0xFF, marker) if !goes_on(marker) => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_marker_of_a_jpeg_is_found_past_embedded_pictures() {
        let start = [0xFF, 0xD8];
        // A segment of 6 bytes that holds an end marker, then a scan with stuffing and a restart.
        let segment = [0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        let scan = [0xFF, 0xDA, 0, 3, 7, 1, 0xFF, 0, 2, 0xFF, 0xD3, 5];
        let unended = [&start[..], &segment, &scan].concat();
        let ended = [&unended[..], &[0xFF, 0xFF, 0xD9]].concat();
        assert!(jpeg_is_complete(&ended));
        assert!(jpeg_is_complete(&[&ended[..], b"more"].concat()));
        for kept in 0..ended.len() {
            assert!(!jpeg_is_complete(&ended[..kept]), "{kept} bytes kept");
        }
    }
}
