//! Cityscapes with its 19 classes of training.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::read_example;
use super::{DataError, Example, IGNORE, SegmentationData, Split, in_split};

/// The 19 classes, each with the id the label files give it, after the table
/// `labels.py` of the data set's own scripts.
const CLASSES: [(u8, &str); 19] = [
    (7, "road"),
    (8, "sidewalk"),
    (11, "building"),
    (12, "wall"),
    (13, "fence"),
    (17, "pole"),
    (19, "traffic light"),
    (20, "traffic sign"),
    (21, "vegetation"),
    (22, "terrain"),
    (23, "sky"),
    (24, "person"),
    (25, "rider"),
    (26, "car"),
    (27, "truck"),
    (28, "bus"),
    (31, "train"),
    (32, "motorcycle"),
    (33, "bicycle"),
];

/// Ids run from 0 to 33; a file that holds others is no file of this data set.
const IDS: usize = 34;

const IMAGE_ENDING: &str = "_leftImg8bit.png";

/// The folder layout of Cityscapes:
///
/// ```text
/// leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png
/// gtFine/{train,val}/CITY/NAME_gtFine_labelTrainIds.png   used if present, else
/// gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png        ids become the 19 classes, the rest is ignored
/// ```
pub struct Cityscapes {
    classes: Vec<String>,
    train: Vec<Frame>,
    val: Vec<Frame>,
}

/// One image: its name and the two paths that follow from it.
struct Frame {
    name: String,
    image: PathBuf,
    /// Path of the label files up to `_gtFine`.
    labels: PathBuf,
}

impl Cityscapes {
    /// Opens a folder by listing the images of both splits, ordered by city
    /// and name. Files are not looked at; [`check`](super::check()) does that.
    ///
    /// # Errors
    /// A folder that cannot be read, a split without images.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        Ok(Self {
            classes: CLASSES.iter().map(|(_, name)| (*name).to_owned()).collect(),
            train: frames(dir, Split::Train)?,
            val: frames(dir, Split::Val)?,
        })
    }

    fn frames(&self, split: Split) -> &[Frame] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        }
    }
}

impl SegmentationData for Cityscapes {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn background(&self) -> Option<u8> {
        None
    }

    fn len(&self, split: Split) -> usize {
        self.frames(split).len()
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let frames = self.frames(split);
        in_split(split, index, frames.len())?;
        let frame = &frames[index];
        let train_ids = frame.labels_of("_labelTrainIds.png");
        if train_ids.exists() {
            return read_example(&frame.name, &frame.image, &train_ids, CLASSES.len(), None);
        }
        let ids = frame.labels_of("_labelIds.png");
        read_example(&frame.name, &frame.image, &ids, IDS, Some(&class_of_id()))
    }
}

impl Frame {
    fn labels_of(&self, ending: &str) -> PathBuf {
        let mut path = self.labels.clone().into_os_string();
        path.push(ending);
        path.into()
    }
}

/// The class of each id; ids that are not trained on are ignored.
fn class_of_id() -> [u8; 256] {
    let mut table = [IGNORE; 256];
    for (class, (id, _)) in (0..).zip(CLASSES) {
        table[usize::from(id)] = class;
    }
    table
}

fn frames(dir: &Path, split: Split) -> Result<Vec<Frame>, DataError> {
    let root = dir.join(format!("leftImg8bit/{split}"));
    let mut frames = Vec::new();
    for city in entries(&root)?.iter().filter(|path| path.is_dir()) {
        for image in entries(city)? {
            let file = image.file_name().unwrap_or_default().to_string_lossy();
            let Some(name) = file.strip_suffix(IMAGE_ENDING) else {
                continue;
            };
            let city = city.file_name().unwrap_or_default();
            let folder = dir.join(format!("gtFine/{split}")).join(city);
            frames.push(Frame {
                name: name.to_owned(),
                labels: folder.join(format!("{name}_gtFine")),
                image: image.clone(),
            });
        }
    }
    if frames.is_empty() {
        return Err(DataError::Layout {
            path: root,
            reason: format!("holds no CITY/*{IMAGE_ENDING}, expected the layout of Cityscapes"),
        });
    }
    Ok(frames)
}

/// What a folder holds, in the order of names.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listed: io::Result<Vec<PathBuf>> = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    });
    let mut paths = listed.map_err(|source| DataError::Read {
        path: dir.to_owned(),
        source,
    })?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{message, write_rgb};
    use super::super::{LabelMap, check, write_label_map};
    use super::*;
    use tempfile::{TempDir, tempdir};

    fn write_labels(path: &Path, labels: &[u8]) {
        let map = LabelMap {
            labels: labels.to_vec(),
            width: labels.len(),
            height: 1,
        };
        write_label_map(path, &map).unwrap();
    }

    fn folder() -> TempDir {
        let dir = tempdir().unwrap();
        for (split, city, name) in [
            ("train", "ulm", "b"),
            ("train", "aachen", "z"),
            ("val", "bonn", "c"),
        ] {
            let images = dir.path().join(format!("leftImg8bit/{split}/{city}"));
            let labels = dir.path().join(format!("gtFine/{split}/{city}"));
            fs::create_dir_all(&images).unwrap();
            fs::create_dir_all(&labels).unwrap();
            write_rgb(
                &images.join(format!("{name}_leftImg8bit.png")),
                (4, 1),
                &[9; 12],
            );
            write_labels(
                &labels.join(format!("{name}_gtFine_labelIds.png")),
                &[7, 33, 0, 255],
            );
        }
        dir
    }

    #[test]
    fn ids_become_classes_and_the_rest_is_ignored() {
        let dir = folder();
        let data = Cityscapes::open(dir.path()).unwrap();
        assert_eq!((data.len(Split::Train), data.len(Split::Val)), (2, 1));
        assert_eq!((data.class_names().len(), data.background()), (19, None));
        let example = data.example(Split::Train, 0).unwrap();
        assert_eq!(
            (example.name.as_str(), example.labels),
            ("z", vec![0, 18, 255, 255])
        );
        check(&data).unwrap();
    }

    #[test]
    fn the_table_of_classes_is_the_official_one() {
        let table = class_of_id();
        let kept: Vec<(usize, u8)> = (0..256)
            .map(|id| (id, table[id]))
            .filter(|x| x.1 != 255)
            .collect();
        let ids = [
            7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33,
        ];
        assert_eq!(
            kept,
            (0..19)
                .map(|class| (ids[class], class as u8))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn files_of_train_ids_are_preferred() {
        let dir = folder();
        let path = dir
            .path()
            .join("gtFine/val/bonn/c_gtFine_labelTrainIds.png");
        write_labels(&path, &[0, 18, 255, 3]);
        let data = Cityscapes::open(dir.path()).unwrap();
        assert_eq!(data.example(Split::Val, 0).unwrap().labels, [0, 18, 255, 3]);
        write_labels(&path, &[0, 19, 255, 3]);
        assert_eq!(
            message(data.example(Split::Val, 0)),
            format!(
                "{} has label 19 at column 1, row 0: expected 0 to 18, or 255 for ignored pixels",
                path.display()
            )
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = folder();
        let labels = dir.path().join("gtFine/val/bonn/c_gtFine_labelIds.png");
        write_labels(&labels, &[34, 0, 0, 0]);
        let data = Cityscapes::open(dir.path()).unwrap();
        assert!(message(check(&data)).contains("label 34 at column 0, row 0: expected 0 to 33"));
        fs::remove_file(&labels).unwrap();
        assert!(message(check(&data)).contains(&format!("cannot read {}", labels.display())));

        let root = dir.path().join("leftImg8bit/val");
        fs::remove_file(root.join("bonn/c_leftImg8bit.png")).unwrap();
        let open = || Cityscapes::open(dir.path()).err().unwrap().to_string();
        assert_eq!(
            open(),
            format!(
                "{}: holds no CITY/*_leftImg8bit.png, expected the layout of Cityscapes",
                root.display()
            )
        );
        fs::remove_dir_all(&root).unwrap();
        assert!(open().starts_with(&format!("cannot read {}: ", root.display())));
    }
}
