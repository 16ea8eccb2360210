//! Pairs of predicted and target label maps in two folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::folder::{LABEL_ENDINGS, file_name, files, relative, stem};

/// Suffixes of names for the kind of file, in order of preference: of several files of one frame the first is the
/// label map.
const KINDS: [&str; 4] = ["_labelTrainIds", "_labelIds", "_leftImg8bit", "_mask"];

/// Suffixes of files that Cityscapes puts beside label maps.
const NO_LABELS: [&str; 3] = ["_color", "_instanceIds", "_instanceTrainIds"];

/// The label maps of two folders, and of folders in them, as (prediction, target), ordered by name.
///
/// Files belong together if they have the same name below their folders, or else if their names mean the
/// same frame: `ulm_000000_000019` of Cityscapes with anything behind it, or a name without `_mask` and
/// the like. Files other than PNG and files of a desktop are skipped.
///
/// # Errors
/// A folder that cannot be read or holds no PNG file; a file without a counterpart in the other folder;
/// two files that mean the same frame.
pub fn pair_label_maps(
    pred_dir: impl AsRef<Path>,
    target_dir: impl AsRef<Path>,
) -> Result<Vec<(PathBuf, PathBuf)>, DataError> {
    let (pred_dir, target_dir) = (pred_dir.as_ref(), target_dir.as_ref());
    let (predictions, targets) = (label_files(pred_dir)?, label_files(target_dir)?);
    let by_name = matched(
        (pred_dir, names(pred_dir, &predictions)),
        (target_dir, names(target_dir, &targets)),
    );
    let Err(error) = by_name else {
        return by_name;
    };
    let (predictions, targets) = (
        frames(pred_dir, &predictions)?,
        frames(target_dir, &targets)?,
    );
    // Without a common frame, the names as they are explain the error better.
    if predictions.keys().any(|frame| targets.contains_key(frame)) {
        matched((pred_dir, predictions), (target_dir, targets))
    } else {
        Err(error)
    }
}

/// Files by their names below a folder, without ending.
fn names(dir: &Path, files: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let name = |path: &PathBuf| stem(&relative(dir, path)).to_owned();
    files
        .iter()
        .map(|path| (name(path), path.clone()))
        .collect()
}

/// The pairs.
///
/// # Errors
/// A file without a counterpart.
fn matched(
    (pred_dir, predictions): (&Path, BTreeMap<String, PathBuf>),
    (target_dir, mut targets): (&Path, BTreeMap<String, PathBuf>),
) -> Result<Vec<(PathBuf, PathBuf)>, DataError> {
    all_named(pred_dir, &predictions, (&targets, target_dir), "prediction")?;
    all_named(target_dir, &targets, (&predictions, pred_dir), "target")?;
    let pair = |(name, prediction)| Some((prediction, targets.remove::<String>(&name)?));
    Ok(predictions.into_iter().filter_map(pair).collect())
}

/// Checks that `dir` has a file for each name of another folder.
fn all_named(
    dir: &Path,
    present: &BTreeMap<String, PathBuf>,
    (wanted, other): (&BTreeMap<String, PathBuf>, &Path),
    what: &str,
) -> Result<(), DataError> {
    let missing = wanted
        .iter()
        .filter(|(name, _)| !present.contains_key(*name));
    let missing: Vec<&PathBuf> = missing.map(|(_, path)| path).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    Err(DataError::Layout {
        path: dir.to_owned(),
        reason: format!(
            "{} of {} files of {} have no {what} here, the first is {}: give each the name of its \
             counterpart",
            missing.len(),
            wanted.len(),
            other.display(),
            relative(other, first)
        ),
    })
}

fn label_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let found = files(dir, &LABEL_ENDINGS)?;
    if found.is_empty() {
        return Err(DataError::Layout {
            path: dir.to_owned(),
            reason: "holds no *.png file, expected one label map an image".to_owned(),
        });
    }
    Ok(found)
}

/// Files by the frame that their names mean.
fn frames(dir: &Path, files: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let mut found: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    for path in files {
        let name = file_name(path);
        let name = stem(&name);
        if NO_LABELS.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let kind = KINDS.iter().position(|end| name.ends_with(end));
        let kind = kind.unwrap_or(KINDS.len());
        match found.get(frame(name)) {
            Some((known, other)) if *known == kind => {
                return Err(DataError::Layout {
                    path: dir.to_owned(),
                    reason: format!(
                        "{} and {} both mean {}: expected one label map an image",
                        relative(dir, other),
                        relative(dir, path),
                        frame(name)
                    ),
                });
            }
            Some((known, _)) if *known < kind => {}
            _ => {
                found.insert(frame(name).to_owned(), (kind, path.clone()));
            }
        }
    }
    Ok(found
        .into_iter()
        .map(|(frame, (_, path))| (frame, path))
        .collect())
}

/// The frame that a name means: city, sequence and frame of Cityscapes, or the name without its kind.
fn frame(name: &str) -> &str {
    let is_number = |part: &str| part.len() == 6 && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = name.split('_').collect();
    let pair = parts
        .windows(2)
        .position(|pair| is_number(pair[0]) && is_number(pair[1]));
    if let Some(at) = pair.filter(|at| *at > 0) {
        let length: usize = parts[..at + 2].iter().map(|part| part.len() + 1).sum();
        return &name[..length - 1];
    }
    let kind = KINDS.iter().find_map(|end| name.strip_suffix(end));
    kind.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{message, write_text};
    use std::fs;
    use tempfile::{TempDir, tempdir};

    /// Empty files in the folders p and t.
    fn folders(predictions: &[&str], targets: &[&str]) -> TempDir {
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join("p")).unwrap();
        fs::create_dir(dir.path().join("t")).unwrap();
        for (folder, names) in [("p", predictions), ("t", targets)] {
            for name in names {
                write_text(&dir.path().join(folder).join(name), "");
            }
        }
        dir
    }

    fn pairs(dir: &TempDir) -> Result<Vec<(String, String)>, DataError> {
        let (pred, target) = (dir.path().join("p"), dir.path().join("t"));
        let pairs = pair_label_maps(&pred, &target)?;
        let names = |(p, t): &(PathBuf, PathBuf)| (relative(&pred, p), relative(&target, t));
        Ok(pairs.iter().map(names).collect())
    }

    fn paired(predictions: &[&str], targets: &[&str]) -> Vec<(String, String)> {
        pairs(&folders(predictions, targets)).unwrap()
    }

    #[test]
    fn files_are_paired_by_name() {
        let desktop = ["._a.png", ".DS_Store", "Thumbs.db", "note.txt"];
        let predictions = [&["b.png", "a.PNG", "x/c.png"][..], &desktop].concat();
        let targets = ["a.png", "b.png", "x/c.png", "__MACOSX/._a.png"];
        assert_eq!(
            paired(&predictions, &targets),
            [
                ("a.PNG", "a.png"),
                ("b.png", "b.png"),
                ("x/c.png", "x/c.png")
            ]
            .map(|(p, t)| (p.to_owned(), t.to_owned()))
        );
    }

    #[test]
    fn files_are_paired_by_frame() {
        for (prediction, targets) in [
            (
                "ulm_000000_000019_leftImg8bit.png",
                &["ulm_000000_000019_gtFine_labelTrainIds.png"][..],
            ),
            (
                "ulm_000000_000019.png",
                &["ulm/ulm_000000_000019_gtFine_labelTrainIds.png"],
            ),
            (
                "ulm/ulm_000000_000019_leftImg8bit_pred.png",
                &[
                    "ulm/ulm_000000_000019_gtFine_color.png",
                    "ulm/ulm_000000_000019_gtFine_instanceIds.png",
                    "ulm/ulm_000000_000019_gtFine_labelIds.png",
                    "ulm/ulm_000000_000019_gtFine_labelTrainIds.png",
                ],
            ),
            ("x.png", &["x_mask.png"]),
        ] {
            let last = targets[targets.len() - 1].to_owned();
            assert_eq!(
                paired(&[prediction], targets),
                [(prediction.to_owned(), last)]
            );
        }
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        let dir = folders(&[], &[]);
        let pred = dir.path().join("p");
        assert_eq!(
            message(pairs(&dir)),
            format!(
                "{}: holds no *.png file, expected one label map an image",
                pred.display()
            )
        );
        let dir = folders(&["a.png", "b.png"], &["a.png", "b.png", "c.png"]);
        assert_eq!(
            message(pairs(&dir)),
            format!(
                "{}: 1 of 3 files of {} have no prediction here, the first is c.png: give each the name of \
                 its counterpart",
                dir.path().join("p").display(),
                dir.path().join("t").display()
            )
        );
        let said = message(pairs(&folders(&["a.png", "b.png"], &["a.png"])));
        assert!(
            said.contains("1 of 2 files of") && said.contains("no target here"),
            "{said}"
        );
        let twice = ["bonn_000001_000019_a.png", "bonn_000001_000019_b.png"];
        let said = message(pairs(&folders(
            &twice,
            &["bonn_000001_000019_gtFine_labelIds.png"],
        )));
        assert!(said.contains("both mean bonn_000001_000019"), "{said}");
        fs::remove_dir(&pred).unwrap();
    }
}
