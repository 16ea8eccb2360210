//! Decoding of PNG files to the numbers or colours in them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use crate::error::DataError;

/// Largest number of pixels. A damaged header must not claim all memory.
const MAX_PIXELS: u64 = 1 << 28;

/// Pixels of a file before classes are assigned.
pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Numbers or colours.
pub(super) enum Pixels {
    /// Grey values or palette indices, and the colours of the palette.
    Numbers(Vec<u16>, Option<Vec<[u8; 3]>>),
    /// Red, green, blue.
    Colours(Vec<[u8; 3]>),
}

/// Reads a PNG: grey of 1 to 16 bits, a palette, or colours of 8 bits; an alpha channel is ignored.
pub(super) fn decode(path: &Path) -> Result<Decoded, DataError> {
    let file = File::open(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
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
    let (colour, depth) = (info.color_type, info.bit_depth);
    if matches!(colour, ColorType::Rgb | ColorType::Rgba) && depth == BitDepth::Sixteen {
        return Err(DataError::NotALabelMap {
            path: path.to_owned(),
            found: "colours of 16 bits".to_owned(),
        });
    }
    let palette = info.palette.as_ref().map(|bytes| triples(bytes, 3));
    let bits = colour.samples() * depth as usize;
    let line = (width * bits).div_ceil(8);
    let mut bytes = vec![0; line * height];
    reader
        .next_frame(&mut bytes)
        .map_err(|error| undecodable(error.to_string()))?;
    let pixels = match colour {
        ColorType::Rgb | ColorType::Rgba => Pixels::Colours(triples(&bytes, colour.samples())),
        _ => {
            let numbers = numbers(&bytes, (width, line), depth, colour.samples());
            Pixels::Numbers(numbers, palette)
        }
    };
    Ok(Decoded {
        pixels,
        width,
        height,
    })
}

/// The first three of every `step` bytes.
fn triples(bytes: &[u8], step: usize) -> Vec<[u8; 3]> {
    let groups = bytes.chunks_exact(step);
    groups.map(|group| [group[0], group[1], group[2]]).collect()
}

/// The first sample of every pixel, at most 16 bits.
fn numbers(
    bytes: &[u8],
    (width, line): (usize, usize),
    depth: BitDepth,
    samples: usize,
) -> Vec<u16> {
    match depth {
        BitDepth::Sixteen => {
            let groups = bytes.chunks_exact(2 * samples);
            groups.map(|g| u16::from_be_bytes([g[0], g[1]])).collect()
        }
        BitDepth::Eight => bytes.iter().step_by(samples).map(|&b| b.into()).collect(),
        _ => unpack(bytes, width, line, depth as usize),
    }
}

/// Samples of fewer than 8 bits, most significant first, each line starting a byte.
fn unpack(packed: &[u8], width: usize, line: usize, bits: usize) -> Vec<u16> {
    let mask = (1u8 << bits) - 1;
    packed
        .chunks_exact(line)
        .flat_map(|row| {
            (0..width).map(move |x| {
                let bit = x * bits;
                u16::from((row[bit / 8] >> (8 - bits - bit % 8)) & mask)
            })
        })
        .collect()
}
