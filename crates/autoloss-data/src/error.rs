//! Errors of data, with all that a person needs to correct the data.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::split::Split;

/// Error in a data set or its files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system or the encoder.
        source: io::Error,
    },
    /// A file is damaged or of another format than expected.
    #[error("cannot decode {}: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Message of the decoder.
        reason: String,
    },
    /// A colour that stands for no class.
    #[error("{} has the colour {colour} at column {column}, row {row}: {expected}", path.display())]
    UnknownColour {
        /// The mask.
        path: PathBuf,
        /// Red, green, blue.
        colour: String,
        /// Column of the first such pixel, from 0.
        column: usize,
        /// Row of the first such pixel, from 0.
        row: usize,
        /// Expected values.
        expected: String,
    },
    /// A set whose label maps cannot tell a good prediction from a bad one.
    #[error("{set}: {reason}")]
    Meaningless {
        /// The set or folder.
        set: String,
        /// The fault that was found, and the way to mend it.
        reason: String,
    },
    /// A PNG whose pixels are not labels.
    #[error("{} holds {found}, expected labels: save it as an 8-bit grey or a palette PNG", path.display())]
    NotALabelMap {
        /// The file.
        path: PathBuf,
        /// Bits and colour type found.
        found: String,
    },
    /// An image and its label map have different sizes.
    #[error(
        "{} is {}x{} but its label map {} is {}x{}: both must have the same size",
        image.display(), image_size.0, image_size.1, labels.display(), labels_size.0, labels_size.1
    )]
    SizesDiffer {
        /// The image file.
        image: PathBuf,
        /// Width and height of the image.
        image_size: (usize, usize),
        /// The label map file.
        labels: PathBuf,
        /// Width and height of the label map.
        labels_size: (usize, usize),
    },
    /// A label that is neither a class nor the ignore label.
    #[error(
        "{} has label {label} at column {column}, row {row}: expected {expected}",
        path.display()
    )]
    LabelOutOfRange {
        /// The label map file.
        path: PathBuf,
        /// The label.
        label: u16,
        /// Column of the first such pixel, from 0.
        column: usize,
        /// Row of the first such pixel, from 0.
        row: usize,
        /// The numbers that were expected.
        expected: String,
    },
    /// A folder or list lacks a part of its layout.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The folder or file.
        path: PathBuf,
        /// The missing part, and the expected layout.
        reason: String,
    },
    /// A setting outside its range.
    #[error("setting {name}: {reason}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Expected values.
        reason: String,
    },
    /// An index beyond the end of a split.
    #[error("the {split} split has {len} examples, there is no example {index} (counted from 0)")]
    NoExample {
        /// The split.
        split: Split,
        /// The index asked for.
        index: usize,
        /// Number of examples.
        len: usize,
    },
    /// Some examples of a data set cannot be used.
    #[error("{total} of {checked} examples cannot be used:{}", list(first, *total))]
    Unusable {
        /// Number of unusable examples.
        total: usize,
        /// Number of checked examples.
        checked: usize,
        /// The first few reasons, in the order of the data set.
        first: Vec<DataError>,
    },
}

/// Checks the index of an example.
///
/// # Errors
/// [`DataError::NoExample`] for an index beyond the split.
pub fn in_split(split: Split, index: usize, len: usize) -> Result<(), DataError> {
    if index < len {
        Ok(())
    } else {
        Err(DataError::NoExample { split, index, len })
    }
}

/// A line for each problem, and one with the number of further problems.
fn list(first: &[DataError], total: usize) -> String {
    let mut lines: String = first.iter().map(|error| format!("\n  {error}")).collect();
    if total > first.len() {
        lines.push_str(&format!("\n  and {} more", total - first.len()));
    }
    lines
}
