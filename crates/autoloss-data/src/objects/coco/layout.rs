//! Places of the annotations and pictures of a data set.

use std::fs;
use std::path::{Path, PathBuf};

use autoloss_metrics::coco::Kind;

use crate::error::DataError;

/// A file of annotations and the folders where its pictures may be.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) annotations: PathBuf,
    /// In the order of search.
    pub(super) folders: Vec<PathBuf>,
}

/// Places of the training and the validation set; one file may be both.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) train: Place,
    pub(super) val: Option<Place>,
}

/// Places of the annotations of a folder: in `annotations`, beside the pictures in `train` and `valid`, or
/// in the folder itself.
pub(super) fn layout(dir: &Path, kind: Kind) -> Result<Layout, DataError> {
    let names = entries(dir)?;
    let inside = dir.join("annotations");
    if inside.is_dir() {
        let stems = stems(&entries(&inside)?);
        return chosen(dir, &inside, &stems, &names, kind).map_err(|found| DataError::Layout {
            path: inside,
            reason: format!("expected {}; found {found}", expected(kind)),
        });
    }
    if let Some(layout) = beside_pictures(dir, &names)? {
        return Ok(layout);
    }
    chosen(dir, dir, &stems(&names), &names, kind).map_err(|found| DataError::Layout {
        path: dir.to_owned(),
        reason: format!(
            "expected a folder `annotations` with {}; or train/_annotations.coco.json and valid/_annotations.coco.json beside their pictures; or one result.json and `images`; found {found}",
            expected(kind)
        ),
    })
}

fn expected(kind: Kind) -> String {
    let prefix = prefixes(kind)[0];
    format!(
        "{prefix}train2017.json and {prefix}val2017.json (or of another year), or one file whose name holds `{}`",
        prefix.trim_end_matches('_')
    )
}

/// Beginnings of the names of annotation files, the preferred ones first.
fn prefixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Keypoints => &["person_keypoints_", ""],
        // A file of keypoints has boxes and masks, too.
        Kind::Box | Kind::Mask => &["instances_", "person_keypoints_", ""],
    }
}

/// The layout of Roboflow's exports: a folder a set, with the pictures and one file of annotations.
fn beside_pictures(dir: &Path, names: &[String]) -> Result<Option<Layout>, DataError> {
    let place = |prefix: &str| -> Result<Option<Place>, DataError> {
        let folders = names.iter().filter(|name| name.starts_with(prefix));
        for folder in folders.map(|name| dir.join(name)).filter(|f| f.is_dir()) {
            if let [only] = &stems(&entries(&folder)?)[..] {
                return Ok(Some(Place {
                    annotations: folder.join(format!("{only}.json")),
                    folders: vec![folder.clone(), folder.join("images"), dir.join("images")],
                }));
            }
        }
        Ok(None)
    };
    Ok(match (place("train")?, place("val")?) {
        (Some(train), val) => Some(Layout { train, val }),
        (None, Some(val)) => Some(Layout {
            train: val,
            val: None,
        }),
        (None, None) => None,
    })
}

/// The files of a folder of annotations; else the names that were found.
fn chosen(
    dir: &Path,
    folder: &Path,
    stems: &[String],
    names: &[String],
    kind: Kind,
) -> Result<Layout, String> {
    let place = |stem: &str, part: &str, split: &str| {
        let mut folders = vec![part.to_owned(), format!("images/{part}")];
        let others = names.iter().rev().filter(|name| name.starts_with(split));
        folders.extend(others.cloned());
        folders.extend(["images".to_owned(), String::new()]);
        Place {
            annotations: folder.join(format!("{stem}.json")),
            folders: folders.iter().map(|name| dir.join(name)).collect(),
        }
    };
    for prefix in prefixes(kind) {
        let file = |split| Some((of_split(stems, prefix, split)?, split));
        let (train, val) = (file("train"), file("val"));
        let place = |(part, split): (&str, &str)| place(&format!("{prefix}{part}"), part, split);
        match (train, val) {
            (Some(train), val) => {
                return Ok(Layout {
                    train: place(train),
                    val: val.map(place),
                });
            }
            (None, Some(val)) => {
                return Ok(Layout {
                    train: place(val),
                    val: None,
                });
            }
            (None, None) => {}
        }
    }
    let only = only(stems, kind)?;
    let mut place = place(only, only, "images");
    // The images of COCO's own files are in a folder of the rest of the name.
    let rest = prefixes(kind)
        .iter()
        .filter_map(|prefix| only.strip_prefix(prefix));
    place.folders.extend(rest.map(|rest| dir.join(rest)));
    Ok(Layout {
        train: place,
        val: None,
    })
}

/// The names in a folder, in their order, without hidden files.
pub(super) fn entries(folder: &Path) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names: Result<Vec<String>, _> = entries.map(|entry| entry.map(name)).collect();
    let mut names = names.map_err(unreadable)?;
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Names of JSON files without their ending.
fn stems(names: &[String]) -> Vec<String> {
    let stems = names.iter().filter_map(|name| name.strip_suffix(".json"));
    stems.map(str::to_owned).collect()
}

/// The part that follows the prefix in the name of a split's file, such as `train2017`: of several
/// years the last one, before files of another kind of name.
fn of_split<'n>(stems: &'n [String], prefix: &str, split: &str) -> Option<&'n str> {
    let parts = stems.iter().filter_map(|name| name.strip_prefix(prefix));
    let parts = parts.filter(|part| part.starts_with(split));
    let is_year = |part: &str| part[split.len()..].bytes().all(|b| b.is_ascii_digit());
    parts.max_by_key(|part| (is_year(part), *part))
}

/// The only file of a kind.
///
/// # Errors
/// The files that were found instead.
fn only(stems: &[String], kind: Kind) -> Result<&String, String> {
    let words: &[&str] = match kind {
        Kind::Keypoints => &["keypoints", ""],
        Kind::Box | Kind::Mask => &["instances", "keypoints", ""],
    };
    for word in words {
        let found: Vec<&String> = stems.iter().filter(|name| name.contains(word)).collect();
        match found[..] {
            [] => {}
            [only] => return Ok(only),
            _ => {
                let found: Vec<String> = found.iter().map(|name| format!("{name}.json")).collect();
                return Err(found.join(", "));
            }
        }
    }
    Err("no .json file".to_owned())
}
