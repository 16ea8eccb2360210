//! Roboflow's export of semantic segmentation: `train/`, `valid/` and `test/`, each with `x.jpg`, `x_mask.png`
//! and `_classes.csv`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::classes::{check_classes, lines_of};
use crate::error::DataError;
use crate::example::IGNORE;
use crate::folder::{IMAGE_ENDINGS, entries, file_name, stem};
use crate::label_files::LabelFiles;
use crate::labels::{LabelReader, LabelTable};
use crate::pictures::{Missing, Pair, Pictures, Place};

/// File of the classes in each folder.
const CLASSES: &str = "_classes.csv";

/// Suffix of the names of masks.
const MASK: &str = "_mask";

/// True for a folder with an export of masks.
pub(super) fn is_export(dir: &Path) -> bool {
    dir.join("train").join(CLASSES).is_file()
}

/// Opens an export: `train/` is the training set, `valid/` the validation set. The names of the classes
/// may be given; the numbers of the masks are those of `_classes.csv` unless a table is given.
///
/// # Errors
/// A folder that is missing or without images, classes that differ between the folders.
pub(super) fn open(dir: &Path, files: LabelFiles) -> Result<Pictures, DataError> {
    if files.colours.is_some() {
        return Err(DataError::Setting {
            name: "colors",
            reason: "Roboflow's masks hold numbers: leave the colour map out".to_owned(),
        });
    }
    let (train, valid) = (dir.join("train"), dir.join("valid"));
    if !valid.join(CLASSES).is_file() {
        return Err(DataError::Layout {
            path: valid,
            reason: format!("holds no {CLASSES}, expected the validation set of Roboflow's export"),
        });
    }
    let known = classes(&train.join(CLASSES))?;
    if classes(&valid.join(CLASSES))? != known {
        return Err(DataError::Layout {
            path: valid.join(CLASSES),
            reason: "other classes than those of train/".to_owned(),
        });
    }
    let table = match files.table == LabelTable::default() {
        true => {
            let numbers: Vec<String> = known.iter().map(|(number, _)| number.to_string()).collect();
            let numbered = known.iter().map(|(number, _)| *number).zip(0..);
            let ignored = std::iter::once((255, IGNORE));
            LabelTable::closed(ignored.chain(numbered), &numbers.join(", "))
        }
        false => files.table,
    };
    let own = known.into_iter().map(|(_, name)| name).collect();
    let classes = files.classes.unwrap_or(own);
    check_classes(&classes)?;
    Ok(Pictures {
        classes,
        readers: vec![LabelReader {
            table,
            colours: None,
        }],
        train: pairs(&train)?,
        val: pairs(&valid)?,
        sources: ["train/", "valid/"].map(str::to_owned),
    })
}

/// Numbers and names of the classes.
fn classes(path: &Path) -> Result<Vec<(u16, String)>, DataError> {
    let mut found = Vec::new();
    for (line, text) in lines_of(path)? {
        let (number, name) = text.split_once(',').unwrap_or((&text, ""));
        match (number.trim().parse(), name.trim()) {
            (Ok(number), name) if !name.is_empty() => found.push((number, name.to_owned())),
            // The first line has names of columns.
            (Err(_), _) if found.is_empty() && line == 1 => {}
            _ => {
                return Err(DataError::Layout {
                    path: path.to_owned(),
                    reason: format!(
                        "line {line}: found `{text}`, expected a number and a class: 0, background"
                    ),
                });
            }
        }
    }
    Ok(found)
}

/// The images of a folder with their masks.
fn pairs(dir: &Path) -> Result<Vec<Pair>, DataError> {
    let files = entries(dir)?;
    let named = |path: &PathBuf| {
        let name = file_name(path);
        let stem = stem(&name).to_owned();
        (stem != name).then_some((stem, path.clone()))
    };
    let files: BTreeMap<String, PathBuf> = files.iter().filter_map(named).collect();
    let mut pairs = Vec::new();
    for (name, image) in files.iter().filter(|(name, _)| !name.ends_with(MASK)) {
        let mask = files.get(&format!("{name}{MASK}"));
        let place = match mask {
            Some(mask) => Ok(Place {
                image: image.clone(),
                labels: mask.clone(),
                reader: 0,
            }),
            None => Err(Missing {
                path: image.clone(),
                reason: format!("has no {name}{MASK}.png beside it: add it or remove the image"),
            }),
        };
        pairs.push(Pair {
            name: name.clone(),
            place,
        });
    }
    if pairs.is_empty() {
        return Err(DataError::Layout {
            path: dir.to_owned(),
            reason: format!(
                "holds no image, expected x.{} with x{MASK}.png beside it",
                IMAGE_ENDINGS.join(" or x.")
            ),
        });
    }
    Ok(pairs)
}
