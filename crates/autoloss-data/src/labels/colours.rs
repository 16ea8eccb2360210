//! Colour maps: classes of the colours in masks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::classes::{lines_of, plain};
use crate::error::DataError;
use crate::example::IGNORE;

/// Usual names of colour maps, in the order of preference.
const NAMES: [&str; 3] = ["labelmap.txt", "label_colors.txt", "class_dict.csv"];

/// The colour of PASCAL VOC's borders, which no map lists.
const VOC_BORDER: [u8; 3] = [224, 224, 192];

/// Names of classes that stand for ignored pixels.
const VOID: [&str; 6] = [
    "void",
    "ignore",
    "ignored",
    "unlabeled",
    "unlabelled",
    "dontcare",
];

/// Classes by their colours, from a file with a class a line: CVAT's `labelmap.txt` (`NAME:R,G,B::`),
/// CamVid's `label_colors.txt` (`R G B NAME`) or `NAME R G B`, separated by blanks or commas.
///
/// Labels follow the order of the lines. Pixels of classes named `void`, `ignore` or `unlabeled` are ignored, and so are
/// pixels of the colour of PASCAL VOC's borders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColourMap {
    path: PathBuf,
    classes: Vec<String>,
    /// Names and colours of all lines.
    lines: Vec<(String, [u8; 3])>,
    labels: HashMap<[u8; 3], u8>,
}

impl ColourMap {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, a line without name or colour, one colour for two classes, more than
    /// 255 classes.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Layout {
            path: path.to_owned(),
            reason,
        };
        let mut lines: Vec<(String, [u8; 3])> = Vec::new();
        for (number, line) in lines_of(path)? {
            if line.starts_with('#') || (lines.is_empty() && is_head(&line)) {
                continue;
            }
            let Some((name, colour)) = parse(&line) else {
                return Err(wrong(format!(
                    "line {number}: found `{line}`, expected NAME R G B, R G B NAME or NAME:R,G,B::"
                )));
            };
            let other = lines.iter().find(|(n, c)| *c == colour && *n != name);
            if let Some((other, _)) = other {
                return Err(wrong(format!(
                    "line {number}: the colour {} of {name} is that of {other}, too; expected a colour a class",
                    text(colour)
                )));
            }
            lines.push((name, colour));
        }
        let mut classes: Vec<String> = Vec::new();
        for (name, _) in &lines {
            if !is_void(name) && !classes.contains(name) {
                classes.push(name.clone());
            }
        }
        if classes.is_empty() || classes.len() > 255 {
            return Err(wrong(format!(
                "{} classes, expected 1 to 255: a line a class",
                classes.len()
            )));
        }
        let map = Self {
            path: path.to_owned(),
            classes: Vec::new(),
            lines,
            labels: HashMap::new(),
        };
        Ok(map.for_classes(&classes))
    }

    /// The colour map of a folder, if it has one under a usual name.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn beside(dir: &Path) -> Result<Option<Self>, DataError> {
        let mut paths = NAMES.iter().map(|name| dir.join(name));
        paths
            .find(|path| path.is_file())
            .map(|path| Self::read(&path))
            .transpose()
    }

    /// The colour map with labels by the order of `classes`. Other classes of the file are ignored.
    #[must_use]
    pub fn for_classes(self, classes: &[String]) -> Self {
        let label = |name: &String| {
            let same = |class: &String| plain(class) == plain(name);
            let place = classes.iter().position(same);
            place
                .and_then(|place| u8::try_from(place).ok())
                .unwrap_or(IGNORE)
        };
        let labels = self
            .lines
            .iter()
            .map(|(name, colour)| (*colour, label(name)));
        Self {
            labels: labels.collect(),
            classes: classes.to_vec(),
            ..self
        }
    }

    /// Names of the classes in the order of their labels.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names in the file that are none of the classes, without those that mean "ignored".
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        let ignored = |(name, colour): &&(String, [u8; 3])| {
            !is_void(name) && self.labels.get(colour) == Some(&IGNORE)
        };
        self.lines
            .iter()
            .filter(ignored)
            .map(|(name, _)| name.as_str())
    }

    /// The label of a colour, none for a colour that the map does not list.
    pub(super) fn label(&self, colour: [u8; 3]) -> Option<u8> {
        let border = (colour == VOC_BORDER).then_some(IGNORE);
        self.labels.get(&colour).copied().or(border)
    }
}

/// Text of a colour as in colour maps.
pub(super) fn text([r, g, b]: [u8; 3]) -> String {
    format!("{r},{g},{b}")
}

fn is_void(name: &str) -> bool {
    VOID.contains(&plain(name).as_str())
}

/// True for a line with names of columns, such as `name,r,g,b`.
fn is_head(line: &str) -> bool {
    let words: Vec<String> = line.split([',', ';', '\t', ' ']).map(plain).collect();
    let has = |names: [&str; 2]| words.iter().any(|word| names.contains(&word.as_str()));
    has(["r", "red"]) && has(["g", "green"]) && has(["b", "blue"])
}

/// Name and colour of a line.
fn parse(line: &str) -> Option<(String, [u8; 3])> {
    let colour = |words: &[&str]| -> Option<[u8; 3]> {
        let numbers: Option<Vec<u8>> = words.iter().map(|word| word.trim().parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let named = |name: String, colour: [u8; 3]| (!name.is_empty()).then_some((name, colour));
    if let Some((name, rest)) = line.split_once(':') {
        let rest: Vec<&str> = rest.split(':').next()?.split(',').collect();
        return named(name.trim().to_owned(), colour(&rest)?);
    }
    let words = line.split([',', ';', '\t', ' ']).map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let rest = words.len().checked_sub(3)?;
    if let Some(colour) = colour(&words[..3]) {
        return named(words[3..].join(" "), colour);
    }
    // Some files begin each line with the number of the class.
    let numbered = usize::from(rest > 1 && words[0].parse::<u16>().is_ok());
    named(words[numbered..rest].join(" "), colour(&words[rest..])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use std::fs;
    use tempfile::tempdir;

    fn read(text: &str) -> Result<ColourMap, DataError> {
        let dir = tempdir().unwrap();
        let path = dir.path().join("colours.txt");
        fs::write(&path, text).unwrap();
        ColourMap::read(&path)
    }

    #[test]
    fn colours_are_read_as_tools_write_them() {
        let cvat = "\u{feff}# label:color_rgb:parts:actions\r\nbackground:0,0,0::\r\ntraffic light:128,0,0::\r\n";
        let camvid = "0 0 0\t\tbackground\n128 0 0\t\ttraffic light\n0 0 192\tVoid\n";
        let plain = "background 0 0 0\n\ntraffic light 128 0 0\n";
        let table = "name,r,g,b\nbackground,0,0,0\ntraffic light,128, 0, 0\n";
        let numbered = "0 background 0 0 0\n1 traffic light 128 0 0\n2 void 0 0 192\n";
        for text in [cvat, camvid, plain, table, numbered] {
            let map = read(text).unwrap();
            assert_eq!(map.classes(), ["background", "traffic light"], "{text}");
            assert_eq!(
                [[0; 3], [128, 0, 0], [224, 224, 192], [1, 1, 1]].map(|colour| map.label(colour)),
                [Some(0), Some(1), Some(IGNORE), None]
            );
            let void = [camvid, numbered].contains(&text);
            assert_eq!(map.label([0, 0, 192]), void.then_some(IGNORE));
        }
    }

    #[test]
    fn given_classes_have_the_labels_and_other_colours_are_ignored() {
        let map = read("sky 1 1 1\nroad 2 2 2\nRoad 3 3 3\ncar 4 4 4").unwrap();
        assert_eq!(map.classes(), ["sky", "road", "Road", "car"]);
        let map = map.for_classes(&["car", "road"].map(str::to_owned));
        assert_eq!(
            [1, 2, 3, 4].map(|n| map.label([n; 3])),
            [Some(IGNORE), Some(1), Some(1), Some(0)]
        );
        assert_eq!(map.left_out().collect::<Vec<_>>(), ["sky"]);
    }

    #[test]
    fn lines_that_are_no_class_are_named() {
        for (text, expected) in [
            (
                "sky 1 1 1\nroad 2 2",
                "line 2: found `road 2 2`, expected NAME R G B",
            ),
            ("sky 1 1 256", "line 1: found"),
            ("1 2 3", "line 1: found"),
            (":1,2,3::", "line 1: found"),
            (
                "sky 1 1 1\nroad 1 1 1",
                "line 2: the colour 1,1,1 of road is that of sky, too",
            ),
            ("void 0 0 0", "0 classes, expected 1 to 255"),
        ] {
            let said = message(read(text));
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
