//! Label maps: PNG files whose pixels are class numbers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Transformations};

use super::{DataError, IGNORE};

/// Larger images are refused: a damaged header must not claim all memory.
const MAX_PIXELS: u64 = 1 << 28;

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

impl LabelMap {
    /// The error naming the first pixel that is neither below `classes` nor 255.
    pub(super) fn check_range(&self, path: &Path, classes: usize) -> Result<(), DataError> {
        let outside = |&label: &u8| label != IGNORE && usize::from(label) >= classes;
        let Some(at) = self.labels.iter().position(outside) else {
            return Ok(());
        };
        Err(DataError::LabelOutOfRange {
            path: path.to_owned(),
            label: self.labels[at],
            column: at % self.width,
            row: at / self.width,
            largest: classes.saturating_sub(1),
        })
    }
}

/// Reads a PNG label map: 8-bit grey, where the grey value is the label, or a
/// palette of 1, 2, 4 or 8 bits, where the palette index is the label.
///
/// # Errors
/// A file that cannot be read or decoded, or a PNG of another kind. Grey of
/// fewer than 8 bits is refused because programs disagree whether its values
/// stand for themselves or are stretched to 0..255.
pub fn read_label_map(path: impl AsRef<Path>) -> Result<LabelMap, DataError> {
    let path = path.as_ref();
    let file = open(path)?;
    let undecodable = |reason: String| DataError::Decode {
        path: path.to_owned(),
        reason,
    };
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder
        .read_info()
        .map_err(|error| undecodable(error.to_string()))?;

    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    if u64::from(info.width) * u64::from(info.height) > MAX_PIXELS {
        return Err(undecodable(format!(
            "{width}x{height} is larger than {MAX_PIXELS} pixels"
        )));
    }
    let bits = match (info.color_type, info.bit_depth) {
        (ColorType::Grayscale, BitDepth::Eight) => 8,
        (ColorType::Indexed, depth) => depth as usize,
        (colour, depth) => {
            return Err(DataError::NotALabelMap {
                path: path.to_owned(),
                found: format!("{}-bit {}", depth as u8, colour_name(colour)),
            });
        }
    };

    let line = (width * bits).div_ceil(8);
    let mut packed = vec![0; line * height];
    reader
        .next_frame(&mut packed)
        .map_err(|error| undecodable(error.to_string()))?;
    let labels = if bits == 8 {
        packed
    } else {
        unpack(&packed, width, line, bits)
    };
    Ok(LabelMap {
        labels,
        width,
        height,
    })
}

/// Samples of `bits` bits, most significant first, each line starting a byte.
fn unpack(packed: &[u8], width: usize, line: usize, bits: usize) -> Vec<u8> {
    let mask = (1u8 << bits) - 1;
    packed
        .chunks_exact(line)
        .flat_map(|row| {
            (0..width).map(move |x| {
                let bit = x * bits;
                (row[bit / 8] >> (8 - bits - bit % 8)) & mask
            })
        })
        .collect()
}

fn colour_name(colour: ColorType) -> &'static str {
    match colour {
        ColorType::Grayscale => "grey",
        ColorType::Rgb => "RGB colour",
        ColorType::Indexed => "palette",
        ColorType::GrayscaleAlpha => "grey with alpha",
        ColorType::Rgba => "RGB colour with alpha",
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

/// The label maps of two folders that have the same name, as (prediction,
/// target), ordered by name. Files other than `*.png` are passed over.
///
/// # Errors
/// A folder that cannot be read or holds no PNG file; a file without a
/// counterpart in the other folder.
pub fn pair_label_maps(
    pred_dir: impl AsRef<Path>,
    target_dir: impl AsRef<Path>,
) -> Result<Vec<(PathBuf, PathBuf)>, DataError> {
    let (pred_dir, target_dir) = (pred_dir.as_ref(), target_dir.as_ref());
    let predictions = png_files(pred_dir)?;
    let mut targets = png_files(target_dir)?;
    all_named(pred_dir, &predictions, &targets, "prediction", target_dir)?;
    all_named(target_dir, &targets, &predictions, "target", pred_dir)?;
    Ok(predictions
        .into_iter()
        .filter_map(|(name, prediction)| Some((prediction, targets.remove(&name)?)))
        .collect())
}

/// The error when `dir` lacks a file that `wanted` holds.
fn all_named(
    dir: &Path,
    present: &BTreeMap<String, PathBuf>,
    wanted: &BTreeMap<String, PathBuf>,
    what: &str,
    other: &Path,
) -> Result<(), DataError> {
    let missing: Vec<&String> = wanted
        .keys()
        .filter(|name| !present.contains_key(*name))
        .collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    Err(DataError::Layout {
        path: dir.to_owned(),
        reason: format!(
            "{} of {} files of {} have no {what} here, the first is {first}",
            missing.len(),
            wanted.len(),
            other.display()
        ),
    })
}

/// The PNG files right inside a folder, by file name.
fn png_files(dir: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let unreadable = |source: io::Error| DataError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_png = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        if let (true, Some(name)) = (is_png, path.file_name()) {
            files.insert(name.to_string_lossy().into_owned(), path);
        }
    }
    if files.is_empty() {
        return Err(DataError::Layout {
            path: dir.to_owned(),
            reason: "holds no *.png file, expected one label map an image".to_owned(),
        });
    }
    Ok(files)
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{message, write_png, write_rgb};
    use super::*;
    use proptest::prelude::*;
    use tempfile::tempdir;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_is_read(width in 1usize..40, height in 1usize..40, seed in any::<u64>()) {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.png");
            let labels = (0..width * height).map(|i| (seed.rotate_left(i as u32 * 7) ^ i as u64) as u8).collect();
            let map = LabelMap { labels, width, height };
            write_label_map(&path, &map).unwrap();
            prop_assert_eq!(read_label_map(&path).unwrap(), map);
        }

        #[test]
        fn palette_indices_of_any_depth_are_labels(width in 1usize..40, height in 1usize..12, depth in 0usize..4) {
            let (bits, depth) = [(1, BitDepth::One), (2, BitDepth::Two), (4, BitDepth::Four), (8, BitDepth::Eight)][depth];
            let labels: Vec<u8> = (0..width * height).map(|i| (i * 7 % (1 << bits)) as u8).collect();
            let packed: Vec<u8> = labels
                .chunks(width)
                .flat_map(|row| row.chunks(8 / bits).map(|group| {
                    group.iter().enumerate().fold(0, |byte, (i, label)| byte | (label << (8 - bits * (i + 1))))
                }))
                .collect();
            let dir = tempdir().unwrap();
            let path = dir.path().join("a.png");
            write_png(&path, (width, height), ColorType::Indexed, depth, &packed);
            prop_assert_eq!(read_label_map(&path).unwrap(), LabelMap { labels, width, height });
        }
    }

    #[test]
    fn other_kinds_of_png_are_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("bad.png");
        let refuse = |colour, depth, bytes: &[u8], found: &str| {
            write_png(&path, (2, 1), colour, depth, bytes);
            assert_eq!(
                message(read_label_map(&path)),
                format!(
                    "{} holds {found}, expected labels: save it as an 8-bit grey or a palette PNG",
                    path.display()
                )
            );
        };
        refuse(ColorType::Rgb, BitDepth::Eight, &[0; 6], "8-bit RGB colour");
        refuse(
            ColorType::Grayscale,
            BitDepth::Sixteen,
            &[0; 4],
            "16-bit grey",
        );
        refuse(ColorType::Grayscale, BitDepth::Four, &[0; 1], "4-bit grey");
        refuse(
            ColorType::Rgba,
            BitDepth::Eight,
            &[0; 8],
            "8-bit RGB colour with alpha",
        );
        refuse(
            ColorType::GrayscaleAlpha,
            BitDepth::Eight,
            &[0; 4],
            "8-bit grey with alpha",
        );
    }

    #[test]
    fn damaged_and_missing_files_are_named() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a.png");
        let shown = path.display();
        assert_eq!(
            message(read_label_map(&path)),
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
            let text = message(read_label_map(&path));
            assert!(
                text.starts_with(&format!("cannot decode {shown}: ")),
                "{kept}: {text}"
            );
        }
        fs::write(&path, "not a picture at all").unwrap();
        let text = message(read_label_map(&path));
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

    #[test]
    fn the_first_label_out_of_range_is_named() {
        let map = LabelMap {
            labels: vec![0, 255, 1, 2, 3, 9],
            width: 3,
            height: 2,
        };
        let path = Path::new("x.png");
        assert!(map.check_range(path, 10).is_ok());
        assert_eq!(
            message(map.check_range(path, 3)),
            "x.png has label 3 at column 1, row 1: expected 0 to 2, or 255 for ignored pixels"
        );
    }

    #[test]
    fn folders_are_paired_by_name() {
        let dir = tempdir().unwrap();
        let (pred, target) = (dir.path().join("p"), dir.path().join("t"));
        assert!(
            message(pair_label_maps(&pred, &target))
                .starts_with(&format!("cannot read {}: ", pred.display()))
        );
        fs::create_dir(&pred).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(pred.join("note.txt"), "").unwrap();
        assert_eq!(
            message(pair_label_maps(&pred, &target)),
            format!(
                "{}: holds no *.png file, expected one label map an image",
                pred.display()
            )
        );
        for name in ["b.png", "a.PNG"] {
            write_rgb(&pred.join(name), (1, 1), &[0; 3]);
            write_rgb(&target.join(name), (1, 1), &[0; 3]);
        }
        let pairs = pair_label_maps(&pred, &target).unwrap();
        let expected = ["a.PNG", "b.png"].map(|name| (pred.join(name), target.join(name)));
        assert_eq!(pairs, expected);
        write_rgb(&target.join("c.png"), (1, 1), &[0; 3]);
        assert_eq!(
            message(pair_label_maps(&pred, &target)),
            format!(
                "{}: 1 of 3 files of {} have no prediction here, the first is c.png",
                pred.display(),
                target.display()
            )
        );
        fs::remove_file(target.join("c.png")).unwrap();
        fs::remove_file(target.join("b.png")).unwrap();
        assert!(
            message(pair_label_maps(&pred, &target))
                .contains("have no target here, the first is b.png")
        );
    }
}
