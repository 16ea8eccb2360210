//! Text files of names: classes, and lists of images.

use std::fs;
use std::path::Path;

use crate::error::DataError;

/// The lines of a text file that are not blank, with their numbers from 1. A byte order mark is ignored, and line ends
/// of any system are accepted.
///
/// # Errors
/// A file that cannot be read, is not UTF-8 or has no lines.
pub(super) fn lines_of(path: &Path) -> Result<Vec<(usize, String)>, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |reason: String| DataError::Layout {
        path: path.to_owned(),
        reason,
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        wrong(format!(
            "line {line}: no UTF-8 text; save the file as UTF-8"
        ))
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<(usize, String)> = (1..)
        .zip(text.replace("\r\n", "\n").split(['\n', '\r']))
        .map(|(number, line)| (number, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return Err(wrong(
            "the list is empty, expected one name a line".to_owned(),
        ));
    }
    Ok(lines)
}

/// A name in small letters without anything but letters and digits, which tools write differently.
pub(super) fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// The label of the background class, named `background` or `bg` in any spelling.
pub fn background(classes: &[String]) -> Option<u8> {
    let is_background = |name: &String| ["background", "bg"].contains(&plain(name).as_str());
    let place = classes.iter().position(is_background);
    place.and_then(|place| u8::try_from(place).ok())
}

/// The names of classes in a file, one a line in the order of their labels. Lines may begin with their
/// labels (`0 background`); labelme's first line `__ignore__`, which stands for the label 255, is no class.
///
/// # Errors
/// As [`lines_of`]; classes that are numbered from 1.
pub(super) fn read_classes(path: &Path) -> Result<Vec<String>, DataError> {
    let mut lines = lines_of(path)?;
    if lines[0].1 == "__ignore__" {
        lines.remove(0);
    }
    let numbered: Option<Vec<(usize, &str)>> =
        lines.iter().map(|(_, line)| numbered(line)).collect();
    let Some(numbered) = numbered else {
        return Ok(lines.into_iter().map(|(_, name)| name).collect());
    };
    let mut labels: Vec<usize> = numbered.iter().map(|(label, _)| *label).collect();
    labels.sort_unstable();
    if labels.iter().copied().eq(1..=labels.len()) {
        return Err(DataError::Layout {
            path: path.to_owned(),
            reason:
                "the classes are numbered from 1, expected from 0: name the class of label 0, too, \
                     or leave the numbers away"
                    .to_owned(),
        });
    }
    if !labels.iter().copied().eq(0..labels.len()) {
        return Ok(lines.into_iter().map(|(_, name)| name).collect());
    }
    let mut numbered = numbered;
    numbered.sort_unstable();
    Ok(numbered
        .iter()
        .map(|(_, name)| (*name).to_owned())
        .collect())
}

/// A label and a name, as in `0 background`, `0: background` and `0,background`.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let number = line[..end].parse().ok()?;
    let separator = [' ', '\t', ':', ',', ';', '=', '.'];
    let name = line[end..].strip_prefix(separator)?;
    let name = name.trim_start_matches(separator);
    (!name.is_empty()).then_some((number, name))
}

/// Checks names of classes.
///
/// # Errors
/// Fewer than 2 or more than 255 names, an empty or a repeated one.
pub(super) fn check_classes(classes: &[String]) -> Result<(), DataError> {
    let problem = if classes.len() < 2 || classes.len() > 255 {
        format!("{} names given, expected 2 to 255", classes.len())
    } else if classes.iter().any(|class| class.trim().is_empty()) {
        "a name is empty".to_owned()
    } else if let Some(twice) = (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
        format!("{} is named twice", classes[twice])
    } else {
        return Ok(());
    };
    Err(DataError::Setting {
        name: "classes",
        reason: problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use tempfile::tempdir;

    fn classes(bytes: &[u8]) -> Result<Vec<String>, DataError> {
        let dir = tempdir().unwrap();
        let path = dir.path().join("classes.txt");
        fs::write(&path, bytes).unwrap();
        read_classes(&path)
    }

    #[test]
    fn class_files_are_read_as_tools_write_them() {
        for text in [
            "sky\nroad\n",
            "\u{feff}sky\r\n\r\nroad",
            "sky\rroad\r",
            "0 sky\n1 road\n",
            "0: sky\n1: road\n",
            "0,sky\n1,road",
            "0\tsky\n1\troad",
            "__ignore__\nsky\nroad\n",
        ] {
            assert_eq!(
                classes(text.as_bytes()).unwrap(),
                ["sky", "road"],
                "{text:?}"
            );
        }
        assert_eq!(classes(b"1 road\n0 sky\n").unwrap(), ["sky", "road"]);
        // Names that are numbers, or begin with one, are names.
        assert_eq!(classes(b"0\n1\n").unwrap(), ["0", "1"]);
        assert_eq!(classes(b"3 wheeler\ncar\n").unwrap(), ["3 wheeler", "car"]);
        assert_eq!(
            classes(b"3 axles\n2 axles\n").unwrap(),
            ["3 axles", "2 axles"]
        );
    }

    #[test]
    fn class_files_that_say_something_else_are_named() {
        let said = message(classes(b"1 sky\n2 road\n"));
        assert!(said.contains("numbered from 1, expected from 0"), "{said}");
        let said = message(classes(b"sky\nr\xF6ad\n"));
        assert!(
            said.ends_with("line 2: no UTF-8 text; save the file as UTF-8"),
            "{said}"
        );
        assert!(message(classes(b" \n")).contains("the list is empty"));
    }

    #[test]
    fn a_background_is_known_in_any_spelling() {
        let label = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            background(&names)
        };
        for name in [
            "background",
            "_background_",
            "Background",
            "BACKGROUND",
            "back-ground",
            "bg",
        ] {
            assert_eq!(label(&[name, "car"]), Some(0), "{name}");
            assert_eq!(label(&["car", name]), Some(1), "{name}");
        }
        assert_eq!(label(&["sky", "car"]), None);
    }
}
