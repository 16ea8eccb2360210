//! Meaning of the numbers and colours in label files, as users give it.

use std::path::PathBuf;

use crate::labels::LabelTable;

/// Classes, numbers and colours of label files. What is not given comes from the files beside the images.
#[derive(Clone, Debug, Default)]
pub struct LabelFiles {
    /// Names of the classes in the order of their labels.
    pub classes: Option<Vec<String>>,
    /// Table from numbers to labels.
    pub table: LabelTable,
    /// File of a colour map.
    pub colours: Option<PathBuf>,
}
