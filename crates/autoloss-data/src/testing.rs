//! Small files and data sets for the tests of this crate.

use std::fmt::Debug;
use std::fs::{self, File};
use std::path::Path;

use png::{BitDepth, ColorType};

use autoloss_metrics::coco::Mask;

use crate::error::{DataError, in_split};
use crate::example::{Example, SegmentationData};
use crate::objects::{Object, ObjectData, Scene, Skeleton};
use crate::split::Split;

/// The text of the error that a call must return.
pub(super) fn message<T: Debug>(result: Result<T, DataError>) -> String {
    result.expect_err("an error was expected").to_string()
}

/// A PNG of any kind, from packed bytes; the palette has all entries black.
pub(super) fn write_png(
    path: &Path,
    (width, height): (usize, usize),
    colour: ColorType,
    depth: BitDepth,
    bytes: &[u8],
) {
    let file = File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![0; 3 << (depth as usize)]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(bytes).unwrap();
    writer.finish().unwrap();
}

/// A palette PNG of 8 bits.
pub(super) fn write_palette(
    path: &Path,
    (width, height): (usize, usize),
    palette: &[[u8; 3]],
    indices: &[u8],
) {
    let file = File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.as_flattened().to_vec());
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(indices).unwrap();
    writer.finish().unwrap();
}

/// An RGB PNG.
pub(super) fn write_rgb(path: &Path, size: (usize, usize), bytes: &[u8]) {
    write_png(path, size, ColorType::Rgb, BitDepth::Eight, bytes);
}

/// An RGB JPEG of the best quality with an EXIF orientation from 1 to 8; the size is that before it is turned.
pub(super) fn write_turned_jpeg(
    path: &Path,
    (width, height): (u32, u32),
    pixels: &[u8],
    orientation: u8,
) {
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
    let colour = image::ExtendedColorType::Rgb8;
    image::ImageEncoder::write_image(encoder, pixels, width, height, colour).unwrap();
    // The orientation is the one entry of the first directory of an EXIF block.
    let exif = [
        &[0xFF, 0xE1, 0, 34][..],
        b"Exif\0\0II*\0\x08\0\0\0\x01\0",
        &[0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0],
    ];
    fs::write(path, [&jpeg[..2], &exif.concat(), &jpeg[2..]].concat()).unwrap();
}

/// Writes a text file and the folders above it.
pub(super) fn write_text(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Examples in memory, each with its own colours; `broken` is one that fails.
pub(super) struct Memory {
    pub(super) names: Vec<String>,
    pub(super) examples: Vec<Example>,
    pub(super) broken: Option<usize>,
}

impl Memory {
    /// `count` examples of 12 columns and 10 rows with four classes.
    pub(super) fn new(count: usize) -> Self {
        Self {
            names: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            examples: (0..count).map(|i| numbered(i, 12, 10)).collect(),
            broken: None,
        }
    }
}

/// An example whose bytes depend on its number and on the place.
pub(super) fn numbered(number: usize, width: usize, height: usize) -> Example {
    let image = (0..width * height * 3).map(|i| (i * 31 + number * 57) as u8);
    let labels = (0..width * height).map(|i| ((i / 5 + number) % 4) as u8);
    Example {
        image: image.collect(),
        labels: labels.collect(),
        width,
        height,
        name: format!("number {number}"),
    }
}

impl SegmentationData for Memory {
    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn background(&self) -> Option<u8> {
        None
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.examples.len(),
            Split::Search | Split::Val => 0,
        }
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        in_split(split, index, self.len(split))?;
        if self.broken == Some(index) {
            return Err(DataError::Layout {
                path: format!("number {index}").into(),
                reason: "is broken".to_owned(),
            });
        }
        Ok(self.examples[index].clone())
    }
}

/// Training scenes in memory.
pub(super) struct MemoryScenes {
    scenes: Vec<Scene>,
    names: Vec<String>,
    skeleton: Option<Skeleton>,
}

impl MemoryScenes {
    pub(super) fn new(scenes: Vec<Scene>) -> Self {
        Self {
            scenes,
            names: ["a", "b", "c"].map(str::to_owned).to_vec(),
            skeleton: None,
        }
    }

    pub(super) fn with_skeleton(self, skeleton: Skeleton) -> Self {
        Self {
            skeleton: Some(skeleton),
            ..self
        }
    }
}

impl ObjectData for MemoryScenes {
    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn skeleton(&self) -> Option<&Skeleton> {
        self.skeleton.as_ref()
    }

    fn warnings(&self) -> &[String] {
        &[]
    }

    fn dropped(&self, _split: Split) -> &[String] {
        &[]
    }

    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.scenes.len(),
            Split::Search | Split::Val => 0,
        }
    }

    fn scene(&self, split: Split, index: usize) -> Result<Scene, DataError> {
        in_split(split, index, self.len(split))?;
        Ok(self.scenes[index].clone())
    }
}

/// A scene with two objects, one of them not convex, in an image whose bytes depend on its number and on the place.
pub(super) fn masked(number: usize, width: usize, height: usize) -> Scene {
    let example = numbered(number, width, height);
    let object = |class: usize, [x1, y1, x2, y2]: [usize; 4], filled: fn(usize, usize) -> bool| {
        let pixels = (0..width * height).map(|at| (at % width, at / width));
        let inside = |(x, y)| (x1..x2).contains(&x) && (y1..y2).contains(&y) && filled(x, y);
        let bitmap: Vec<u8> = pixels.map(|place| u8::from(inside(place))).collect();
        let mask = Mask::from_bitmap(&bitmap, height as u32, width as u32).unwrap();
        Object {
            class,
            corners: [x1, y1, x2, y2].map(|side| side as f32),
            area: f64::from(mask.area()),
            crowd: false,
            mask: Some(mask),
            keypoints: None,
        }
    };
    let ring = |x: usize, y: usize| !((8..16).contains(&x) && (12..24).contains(&y));
    Scene {
        objects: vec![
            object(1, [5, 9, 21, 30], ring),
            object(2, [40, 3, 61, 33], |_, _| true),
        ],
        image: example.image,
        width,
        height,
        name: example.name,
        id: number as i64,
    }
}
