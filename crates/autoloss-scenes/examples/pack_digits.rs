//! Makes `assets/digits.bin` from the four IDX files of MNIST:
//!
//! ```sh
//! cargo run --release -p autoloss-scenes --example pack_digits -- IDX_FOLDER crates/autoloss-scenes/assets/digits.bin
//! ```
//!
//! Of each class the first 1800 and the last 400 digits of MNIST's training file are kept, for training and search
//! scenes, and the first 400 of its test file, which other people wrote, for validation scenes.

use std::error::Error;
use std::fs;
use std::path::Path;

use autoloss_scenes::asset::{AREA, FULL_INK, Glyph, SIDE, pack};

const TRAIN_PER_CLASS: usize = 1800;
const SEARCH_PER_CLASS: usize = 400;
const VAL_PER_CLASS: usize = 400;
/// Rows and columns of a digit in MNIST.
const MNIST_SIDE: usize = 28;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out] = arguments.as_slice() else {
        return Err("usage: pack_digits IDX_FOLDER OUT_FILE".into());
    };
    let folder = Path::new(folder);
    let train = digits(folder, "train", |of_class| of_class.get(..TRAIN_PER_CLASS))?;
    let search = digits(folder, "train", |of_class| {
        let rest = of_class.get(TRAIN_PER_CLASS..)?;
        rest.get(rest.len().checked_sub(SEARCH_PER_CLASS)?..)
    })?;
    let val = digits(folder, "t10k", |of_class| of_class.get(..VAL_PER_CLASS))?;
    let parts = [&train[..], &search, &val];
    let bytes = pack(parts)?;
    fs::write(out, &bytes)?;
    println!(
        "{:?} digits, {} bytes",
        parts.map(<[Glyph]>::len),
        bytes.len()
    );
    Ok(())
}

/// Digits of each class, class after class: those of all that a file has that `taken` takes.
fn digits(
    folder: &Path,
    part: &str,
    taken: impl for<'a> Fn(&'a [&'a [u8]]) -> Option<&'a [&'a [u8]]>,
) -> Result<Vec<Glyph>, Box<dyn Error>> {
    let images = idx(&folder.join(format!("{part}-images-idx3-ubyte")), 3)?;
    let labels = idx(&folder.join(format!("{part}-labels-idx1-ubyte")), 1)?;
    let images: Vec<&[u8]> = images.chunks_exact(MNIST_SIDE * MNIST_SIDE).collect();
    if images.len() != labels.len() {
        return Err(format!("{part}: {} images, {} labels", images.len(), labels.len()).into());
    }
    let mut glyphs = Vec::new();
    for class in 0..10 {
        let of_class = images.iter().zip(&labels);
        let of_class = of_class.filter(|(_, label)| **label == class);
        let of_class: Vec<&[u8]> = of_class.map(|(image, _)| *image).collect();
        let few = || {
            format!(
                "{part}: {} digits of class {class} are too few",
                of_class.len()
            )
        };
        let taken = taken(&of_class).ok_or_else(few)?;
        glyphs.extend(taken.iter().map(|image| glyph(image)));
    }
    Ok(glyphs)
}

/// The bytes of an IDX file with so many dimensions.
fn idx(path: &Path, dimensions: u8) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !bytes.starts_with(&[0, 0, 8, dimensions]) {
        return Err(format!("{}: not an IDX file of bytes", path.display()).into());
    }
    Ok(bytes[4 + 4 * usize::from(dimensions)..].to_vec())
}

/// The 20x20 window around the ink, in sixteen levels. MNIST's digits fit such
/// a window by their making.
fn glyph(image: &[u8]) -> Glyph {
    let row_inked = |y: &usize| {
        image[y * MNIST_SIDE..][..MNIST_SIDE]
            .iter()
            .any(|&ink| ink > 0)
    };
    let column_inked = |x: &usize| {
        image
            .iter()
            .skip(*x)
            .step_by(MNIST_SIDE)
            .any(|&ink| ink > 0)
    };
    let top = window(row_inked);
    let left = window(column_inked);
    let mut glyph = [0; AREA];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let ink = u32::from(image[(top + y) * MNIST_SIDE + left + x]);
            glyph[y * SIDE + x] = ((ink * u32::from(FULL_INK) + 127) / 255) as u8;
        }
    }
    glyph
}

/// First row (or column) of the window of 20 with the ink in its middle.
fn window(inked: impl Fn(&usize) -> bool) -> usize {
    let first = (0..MNIST_SIDE).find(&inked).unwrap_or(0);
    let last = (0..MNIST_SIDE).rfind(&inked).unwrap_or(0);
    let spare = SIDE.saturating_sub(last + 1 - first);
    first.saturating_sub(spare / 2).min(MNIST_SIDE - SIDE)
}
