//! The packed handwritten digits of the scenes.
//!
//! `assets/README.md` describes the format; `examples/pack_digits.rs` makes the
//! file. No two splits share a digit, and other people wrote those of
//! validation scenes.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use autoloss_data::{DataError, Split};

/// Rows and columns of a digit.
pub const SIDE: usize = 20;
/// Pixels of a digit.
pub const AREA: usize = SIDE * SIDE;
/// The ink of a fully inked pixel; 0 is no ink.
pub const FULL_INK: u8 = 15;

const CLASSES: usize = 10;
const MAGIC: &[u8; 8] = b"digits02";
const PARTS: usize = Split::ALL.len();
const HEADER: usize = MAGIC.len() + 4 * PARTS;
/// Largest number of digits of a class in a valid file.
const MOST: usize = 100_000;

/// The ink of each pixel of one digit, 0 to [`FULL_INK`]; shape (20, 20).
pub type Glyph = [u8; AREA];

/// Handwritten digits of each split, equally many of each class.
pub struct Sources {
    /// In the order of [`Split::ALL`].
    parts: [Vec<Glyph>; PARTS],
}

impl Sources {
    /// The digits packed into this crate.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Sources> = LazyLock::new(|| {
            Sources::unpack(include_bytes!("../../assets/digits.bin"))
                .expect("the embedded file is well-formed, as a test shows")
        });
        &EMBEDDED
    }

    /// Number of digits of each class in a split.
    pub fn per_class(&self, split: Split) -> usize {
        self.all(split).len() / CLASSES
    }

    /// All digits of a class in a split.
    ///
    /// # Panics
    /// For a class above 9.
    pub fn of_class(&self, split: Split, class: usize) -> &[Glyph] {
        let count = self.per_class(split);
        &self.all(split)[class * count..(class + 1) * count]
    }

    fn all(&self, split: Split) -> &[Glyph] {
        let part = match split {
            Split::Train => 0,
            Split::Search => 1,
            Split::Val => 2,
        };
        &self.parts[part]
    }

    /// Reads the packed form.
    ///
    /// # Errors
    /// Bytes in another format.
    pub fn unpack(bytes: &[u8]) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Decode {
            path: PathBuf::from("digits.bin"),
            reason,
        };
        let Some(header) = bytes
            .get(..HEADER)
            .filter(|header| header.starts_with(MAGIC))
        else {
            return Err(wrong("it does not begin with digits02".to_owned()));
        };
        let counts: [usize; PARTS] = std::array::from_fn(|part| {
            let number: [u8; 4] = std::array::from_fn(|i| header[MAGIC.len() + 4 * part + i]);
            u32::from_le_bytes(number) as usize
        });
        if counts.iter().any(|count| !(1..=MOST).contains(count)) {
            return Err(wrong(format!(
                "it claims {counts:?} digits a class, expected 1 to {MOST}"
            )));
        }
        let expected = counts.iter().sum::<usize>() * CLASSES * AREA / 2;
        let mut pairs = Vec::new();
        ZlibDecoder::new(&bytes[HEADER..])
            .take(expected as u64 + 1)
            .read_to_end(&mut pairs)
            .map_err(|error| wrong(error.to_string()))?;
        if pairs.len() != expected {
            return Err(wrong(format!(
                "it holds {} bytes of pixels, expected {expected}",
                pairs.len()
            )));
        }
        let mut glyphs = pairs.chunks_exact(AREA / 2).map(|pairs| {
            let glyph: Glyph = std::array::from_fn(|i| (pairs[i / 2] >> (4 - 4 * (i % 2))) & 15);
            glyph
        });
        Ok(Self {
            parts: counts.map(|count| glyphs.by_ref().take(count * CLASSES).collect()),
        })
    }
}

/// Packs the digits of each split, in the order of [`Split::ALL`], given class after class, equally many of each.
///
/// # Errors
/// Numbers of digits that are not a positive multiple of ten; ink above 15.
pub fn pack(parts: [&[Glyph]; PARTS]) -> Result<Vec<u8>, DataError> {
    let wrong = |reason: String| DataError::Setting {
        name: "digits",
        reason,
    };
    let mut bytes = MAGIC.to_vec();
    for glyphs in parts {
        let count = glyphs.len() / CLASSES;
        if count == 0 || count > MOST || glyphs.len() % CLASSES != 0 {
            return Err(wrong(format!(
                "{} given, expected as many of each of ten classes",
                glyphs.len()
            )));
        }
        bytes.extend((count as u32).to_le_bytes());
    }
    let mut pairs = Vec::new();
    for pair in parts.concat().as_flattened().chunks_exact(2) {
        if pair[0].max(pair[1]) > FULL_INK {
            return Err(wrong(format!(
                "ink {} given, expected 0 to {FULL_INK}",
                pair[0].max(pair[1])
            )));
        }
        pairs.push(pair[0] << 4 | pair[1]);
    }
    let mut encoder = ZlibEncoder::new(bytes, Compression::best());
    encoder
        .write_all(&pairs)
        .and_then(|()| encoder.finish())
        .map_err(|source| DataError::Write {
            path: PathBuf::from("digits.bin"),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use std::collections::HashSet;

    #[test]
    fn the_embedded_digits_are_whole_and_the_splits_disjoint() {
        let sources = Sources::embedded();
        let per_class = Split::ALL.map(|split| sources.per_class(split));
        assert_eq!(per_class, [1800, 400, 400]);
        let distinct: HashSet<&Glyph> = sources.parts.iter().flatten().collect();
        assert_eq!(distinct.len(), 26_000);
        for split in Split::ALL {
            for glyph in sources.all(split) {
                let inked = glyph.iter().filter(|&&ink| ink > FULL_INK / 2).count();
                assert!((10..300).contains(&inked), "{inked} pixels of ink");
            }
        }
        assert!(include_bytes!("../../assets/digits.bin").len() <= 2_300_000);
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let glyph = |seed: usize| -> Glyph { std::array::from_fn(|i| ((i * 7 + seed) % 16) as u8) };
        let parts = [0..30, 40..60, 70..80].map(|seeds| seeds.map(glyph).collect::<Vec<_>>());
        let sources = Sources::unpack(&pack(parts.each_ref().map(Vec::as_slice)).unwrap()).unwrap();
        let per_class = Split::ALL.map(|split| sources.per_class(split));
        assert_eq!(per_class, [3, 2, 1]);
        assert_eq!(sources.parts, parts);
        assert_eq!(sources.of_class(Split::Train, 2), &parts[0][6..9]);
        assert_eq!(sources.of_class(Split::Search, 2), &parts[1][4..6]);
    }

    #[test]
    fn what_cannot_be_packed_or_unpacked_is_named() {
        let glyphs = vec![[1; AREA]; 10];
        assert_eq!(
            message(pack([&glyphs, &glyphs[1..], &glyphs])),
            "setting digits: 9 given, expected as many of each of ten classes"
        );
        assert_eq!(
            message(pack([&glyphs, &glyphs, &vec![[16; AREA]; 10]])),
            "setting digits: ink 16 given, expected 0 to 15"
        );
        let bytes = pack([&glyphs; 3]).unwrap();
        let refuse = |bytes: &[u8]| Sources::unpack(bytes).err().unwrap().to_string();
        assert_eq!(
            refuse(b"digits"),
            "cannot decode digits.bin: it does not begin with digits02"
        );
        let mut other = bytes.clone();
        other[8] = 2;
        assert_eq!(
            refuse(&other),
            "cannot decode digits.bin: it holds 6000 bytes of pixels, expected 8000"
        );
        other[8] = 0;
        assert!(refuse(&other).contains("it claims [0, 1, 1] digits a class"));
        assert!(refuse(&bytes[..bytes.len() - 8]).starts_with("cannot decode digits.bin: "));
    }
}
