//! Label maps: PNG files whose pixels are class numbers, or colours that stand for classes.

mod colours;
mod decode;
mod table;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use png::{BitDepth, ColorType};

pub use colours::ColourMap;
pub use table::LabelTable;

use crate::error::DataError;
use crate::example::IGNORE;
use decode::{Decoded, Pixels, decode};

/// The class of each pixel of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Class of each pixel; shape (height, width).
    pub labels: Vec<u8>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Reader of label files, the same for training and scoring.
///
/// Labels are grey values (1 to 16 bits), palette indices, or the common value of red, green and blue.
/// With a colour map, colours and the palette's colours stand for classes instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelReader {
    /// Table from numbers in the files to labels.
    pub table: LabelTable,
    /// Classes of colours.
    pub colours: Option<ColourMap>,
}

impl LabelReader {
    /// Reads a label map with labels below `classes`, or 255 for ignored pixels.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, a number or a colour that has no such label; the first
    /// pixel of its kind is named.
    pub fn read(&self, path: impl AsRef<Path>, classes: usize) -> Result<LabelMap, DataError> {
        self.read_or(path.as_ref(), classes, None)
    }

    /// Reads a predicted label map. Numbers without a class become 255.
    ///
    /// # Errors
    /// As [`Self::read`], except for numbers.
    pub fn read_prediction(
        &self,
        path: impl AsRef<Path>,
        classes: usize,
    ) -> Result<LabelMap, DataError> {
        self.read_or(path.as_ref(), classes, Some(IGNORE))
    }

    /// Reads a label map; `other` is the label of numbers without one.
    fn read_or(
        &self,
        path: &Path,
        classes: usize,
        other: Option<u8>,
    ) -> Result<LabelMap, DataError> {
        let Decoded {
            pixels,
            width,
            height,
        } = decode(path)?;
        let place = |at: usize| (at % width, at / width);
        let of_colours = |colours: &mut dyn Iterator<Item = [u8; 3]>| {
            let labels = colours.enumerate().map(|(at, colour)| {
                let label = self.colours.as_ref().and_then(|map| map.label(colour));
                label.ok_or_else(|| self.unknown_colour(path, colour, place(at)))
            });
            labels.collect::<Result<Vec<u8>, DataError>>()
        };
        let labels = match pixels {
            Pixels::Colours(colours) if self.colours.is_some() => {
                of_colours(&mut colours.into_iter())?
            }
            Pixels::Numbers(numbers, Some(palette)) if self.colours.is_some() => {
                let black = [0; 3];
                let of = |number: u16| palette.get(usize::from(number)).copied().unwrap_or(black);
                of_colours(&mut numbers.into_iter().map(of))?
            }
            Pixels::Numbers(numbers, _) => {
                self.of_numbers(path, &numbers, width, classes, other)?
            }
            Pixels::Colours(colours) => {
                let mixed = |[r, g, b]: &[u8; 3]| r != g || g != b;
                if let Some(at) = colours.iter().position(mixed) {
                    return Err(self.unknown_colour(path, colours[at], place(at)));
                }
                let numbers: Vec<u16> = colours.iter().map(|colour| colour[0].into()).collect();
                self.of_numbers(path, &numbers, width, classes, other)?
            }
        };
        Ok(LabelMap {
            labels,
            width,
            height,
        })
    }

    fn of_numbers(
        &self,
        path: &Path,
        numbers: &[u16],
        width: usize,
        classes: usize,
        other: Option<u8>,
    ) -> Result<Vec<u8>, DataError> {
        let largest = numbers.iter().copied().max().unwrap_or(0);
        let labels: Vec<Option<u8>> = (0..=largest)
            .map(|number| self.table.label(number, classes).or(other))
            .collect();
        let label = |(at, number): (usize, &u16)| {
            labels[usize::from(*number)].ok_or_else(|| DataError::LabelOutOfRange {
                path: path.to_owned(),
                label: *number,
                column: at % width,
                row: at / width,
                expected: self.table.expected(classes),
            })
        };
        numbers.iter().enumerate().map(label).collect()
    }

    fn unknown_colour(
        &self,
        path: &Path,
        colour: [u8; 3],
        (column, row): (usize, usize),
    ) -> DataError {
        let expected = match &self.colours {
            Some(map) => format!("expected one of those in {}", map.path().display()),
            None => "expected the number of a class: name the classes of colours with --colors FILE (lines \
                     NAME R G B, or CVAT's labelmap.txt), or save the numbers as grey or palette PNG"
                .to_owned(),
        };
        DataError::UnknownColour {
            path: path.to_owned(),
            colour: colours::text(colour),
            column,
            row,
            expected,
        }
    }
}

/// Writes a label map as an 8-bit grey PNG.
///
/// # Errors
/// A file that cannot be written, or labels whose number is not width × height.
pub fn write_label_map(path: impl AsRef<Path>, map: &LabelMap) -> Result<(), DataError> {
    let path = path.as_ref();
    let failed = |source: io::Error| DataError::Write {
        path: path.to_owned(),
        source,
    };
    let size = |n: usize| {
        u32::try_from(n).map_err(|_| failed(io::Error::other(format!("{n} pixels are too many"))))
    };
    let (width, height) = (size(map.width)?, size(map.height)?);
    let file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let encoded = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&map.labels)?;
        writer.finish()
    });
    encoded.map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{message, write_palette, write_png, write_text};
    use proptest::prelude::*;
    use std::fs;
    use tempfile::tempdir;

    fn read(path: &Path) -> Result<LabelMap, DataError> {
        LabelReader::default().read(path, 255)
    }

    /// Samples of `bits` bits packed into bytes. Each line begins a new byte.
    fn pack(samples: &[u16], width: usize, bits: usize) -> Vec<u8> {
        if bits == 16 {
            return samples.iter().flat_map(|v| v.to_be_bytes()).collect();
        }
        let byte = |group: &[u16]| {
            let shifted = group.iter().enumerate();
            shifted.fold(0, |byte, (i, v)| byte | (*v as u8) << (8 - bits * (i + 1)))
        };
        let rows = samples.chunks(width);
        rows.flat_map(|row| row.chunks(8 / bits).map(byte))
            .collect()
    }

    const DEPTHS: [(usize, BitDepth); 5] = [
        (1, BitDepth::One),
        (2, BitDepth::Two),
        (4, BitDepth::Four),
        (8, BitDepth::Eight),
        (16, BitDepth::Sixteen),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_is_read(width in 1usize..40, height in 1usize..40, seed in any::<u64>()) {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.png");
            let labels = (0..width * height).map(|i| (seed.rotate_left(i as u32 * 7) ^ i as u64) as u8).collect();
            let map = LabelMap { labels, width, height };
            write_label_map(&path, &map).unwrap();
            prop_assert_eq!(read(&path).unwrap(), map);
        }

        #[test]
        fn numbers_of_any_depth_are_labels(
            (width, height) in (1usize..40, 1usize..12),
            depth in 0usize..5,
            palette in any::<bool>(),
        ) {
            let (bits, depth) = DEPTHS[depth];
            prop_assume!(!palette || bits < 16);
            let numbers: Vec<u16> = (0..width * height).map(|i| (i * 7 % (1 << bits.min(7))) as u16).collect();
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.png");
            let colour = if palette { ColorType::Indexed } else { ColorType::Grayscale };
            write_png(&path, (width, height), colour, depth, &pack(&numbers, width, bits));
            let labels = numbers.iter().map(|n| *n as u8).collect();
            prop_assert_eq!(read(&path).unwrap(), LabelMap { labels, width, height });
        }
    }

    #[test]
    fn equal_colours_and_alpha_channels_are_numbers() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.png");
        for (colour, bytes) in [
            (ColorType::Rgb, &[3, 3, 3, 255, 255, 255][..]),
            (ColorType::Rgba, &[3, 3, 3, 0, 255, 255, 255, 9]),
            (ColorType::GrayscaleAlpha, &[3, 0, 255, 7]),
        ] {
            write_png(&path, (2, 1), colour, BitDepth::Eight, bytes);
            assert_eq!(read(&path).unwrap().labels, [3, 255], "{colour:?}");
        }
    }

    #[test]
    fn colours_are_classes_where_a_map_says_so() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.png");
        let bytes = [9, 9, 9, 0, 0, 7, 224, 224, 192];
        write_png(&path, (3, 1), ColorType::Rgb, BitDepth::Eight, &bytes);
        let said = message(read(&path));
        assert!(
            said.contains(
                "has the colour 0,0,7 at column 1, row 0: expected the number of a class"
            ) && said.contains("--colors FILE"),
            "{said}"
        );
        let map = dir.path().join("map.txt");
        write_text(&map, "car 0 0 7\nsky 9 9 9\n");
        let reader = LabelReader {
            colours: Some(ColourMap::read(&map).unwrap()),
            ..LabelReader::default()
        };
        assert_eq!(reader.read(&path, 2).unwrap().labels, [1, 0, 255]);
        // The palette's colours count, not its indices; grey values stay numbers.
        write_palette(&path, (3, 1), &[[9, 9, 9], [0, 0, 7]], &[0, 1, 1]);
        assert_eq!(reader.read(&path, 2).unwrap().labels, [1, 0, 0]);
        write_png(
            &path,
            (2, 1),
            ColorType::Grayscale,
            BitDepth::Eight,
            &[0, 1],
        );
        assert_eq!(reader.read(&path, 2).unwrap().labels, [0, 1]);
        write_png(&path, (1, 1), ColorType::Rgb, BitDepth::Eight, &[1, 1, 1]);
        let said = message(reader.read(&path, 2));
        assert!(
            said.contains("colour 1,1,1 at column 0, row 0: expected one of those in"),
            "{said}"
        );
    }

    #[test]
    fn numbers_without_a_class_are_named_or_predicted_wrongly() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("x.png");
        let numbers = [0, 255, 1, 2, 300, 9];
        write_png(
            &path,
            (3, 2),
            ColorType::Grayscale,
            BitDepth::Sixteen,
            &pack(&numbers, 3, 16),
        );
        let reader = LabelReader::default();
        assert_eq!(
            message(reader.read(&path, 3)),
            format!(
                "{} has label 300 at column 1, row 1: expected 0 to 2, or 255 for ignored pixels",
                path.display()
            )
        );
        assert_eq!(
            reader.read_prediction(&path, 2).unwrap().labels,
            [0, 255, 1, 255, 255, 255]
        );
        let reader = LabelReader {
            table: "300=2,9=ignore,2=0".parse().unwrap(),
            colours: None,
        };
        assert_eq!(
            reader.read(&path, 3).unwrap().labels,
            [0, 255, 1, 0, 2, 255]
        );
        let said = message(reader.read(&path, 2));
        assert!(
            said.ends_with("label 300 at column 1, row 1: expected 0 to 1, or 255 for ignored pixels, after the label map 2=0,9=ignore,300=2"),
            "{said}"
        );
        write_png(&path, (1, 1), ColorType::Rgb, BitDepth::Sixteen, &[0; 6]);
        let said = message(reader.read(&path, 2));
        assert!(
            said.contains("holds colours of 16 bits, expected labels"),
            "{said}"
        );
    }

    #[test]
    fn damaged_and_missing_files_are_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.png");
        let shown = path.display();
        assert_eq!(
            message(read(&path)),
            format!("cannot read {shown}: No such file or directory (os error 2)")
        );
        let noise = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        let map = LabelMap {
            labels: noise.collect(),
            width: 64,
            height: 64,
        };
        write_label_map(&path, &map).unwrap();
        let whole = fs::read(&path).unwrap();
        for kept in [0, 4, 20, whole.len() / 2] {
            fs::write(&path, &whole[..kept]).unwrap();
            let text = message(read(&path));
            assert!(
                text.starts_with(&format!("cannot decode {shown}: ")),
                "{kept}: {text}"
            );
        }
        fs::write(&path, "not a picture at all").unwrap();
        let text = message(read(&path));
        assert!(
            text.starts_with(&format!("cannot decode {shown}: ")),
            "{text}"
        );
    }

    #[test]
    fn writing_to_nowhere_and_wrong_lengths_are_errors() {
        let dir = tempdir().unwrap();
        let nowhere = dir.path().join("none/a.png");
        let map = LabelMap {
            labels: vec![0; 3],
            width: 2,
            height: 2,
        };
        let text = message(write_label_map(&nowhere, &map));
        assert!(
            text.starts_with(&format!("cannot write {}: ", nowhere.display())),
            "{text}"
        );
        let path = dir.path().join("a.png");
        let text = message(write_label_map(&path, &map));
        assert!(
            text.starts_with(&format!("cannot write {}: ", path.display())),
            "{text}"
        );
    }
}
