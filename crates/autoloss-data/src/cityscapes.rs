//! Cityscapes with its 19 classes of training.

use std::path::Path;

use crate::error::DataError;
use crate::example::IGNORE;
use crate::folder::{entries, file_name, stem};
use crate::labels::{LabelReader, LabelTable};
use crate::pictures::{Pair, Pictures, Place};
use crate::split::Split;

/// The 19 classes with their ids in label files, after the table `labels.py` of the data set's own scripts.
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

/// Number of ids. They run from 0 to 33; a file with others is not of this data set.
const IDS: u16 = 34;

/// Suffix of the names of images.
const IMAGE: &str = "_leftImg8bit";

impl Pictures {
    /// Opens a folder in the layout of Cityscapes by listing the images of both sets, ordered by city and
    /// name:
    ///
    /// ```text
    /// leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png
    /// gtFine/{train,val}/CITY/NAME_gtFine_labelTrainIds.png   preferred
    /// gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png        ids become the 19 classes, other ids are ignored
    /// ```
    ///
    /// Files are not opened; [`check`](crate::check()) does that.
    ///
    /// # Errors
    /// A folder that cannot be read, a set without images.
    pub fn cityscapes(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        Ok(Self {
            classes: CLASSES.iter().map(|(_, name)| (*name).to_owned()).collect(),
            readers: vec![LabelReader::default(), of_ids()],
            train: frames(dir, Split::Train)?,
            val: frames(dir, Split::Val)?,
            sources: ["train/", "val/"].map(str::to_owned),
        })
    }
}

/// The reader of ids. Ids without a class are ignored.
fn of_ids() -> LabelReader {
    let class = |id: u16| {
        let classes = (0..).zip(CLASSES);
        let class = classes
            .into_iter()
            .find(|(_, (own, _))| u16::from(*own) == id);
        (id, class.map_or(IGNORE, |(class, _)| class))
    };
    let ids = (0..IDS).chain([u16::from(IGNORE)]).map(class);
    LabelReader {
        table: LabelTable::closed(ids, &format!("0 to {}", IDS - 1)),
        colours: None,
    }
}

fn frames(dir: &Path, split: Split) -> Result<Vec<Pair>, DataError> {
    let root = dir.join(format!("leftImg8bit/{split}"));
    let mut frames = Vec::new();
    for city in entries(&root)?.iter().filter(|path| path.is_dir()) {
        let folder = dir.join(format!("gtFine/{split}")).join(file_name(city));
        for image in entries(city)? {
            let file = file_name(&image);
            let name = match stem(&file).strip_suffix(IMAGE) {
                Some(name) if stem(&file) != file => name.to_owned(),
                _ => continue,
            };
            let train_ids = folder.join(format!("{name}_gtFine_labelTrainIds.png"));
            let (labels, reader) = match train_ids.exists() {
                true => (train_ids, 0),
                false => (folder.join(format!("{name}_gtFine_labelIds.png")), 1),
            };
            frames.push(Pair {
                name,
                place: Ok(Place {
                    image,
                    labels,
                    reader,
                }),
            });
        }
    }
    if frames.is_empty() {
        return Err(DataError::Layout {
            path: root,
            reason: format!("holds no CITY/*{IMAGE}.png, expected the layout of Cityscapes"),
        });
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::example::SegmentationData;
    use crate::labels::{LabelMap, write_label_map};
    use crate::testing::{message, write_rgb};
    use std::fs;
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
        let data = Pictures::cityscapes(dir.path()).unwrap();
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
        let table = of_ids().table;
        let label = |id: u16| Some((id, table.label(id, CLASSES.len())?));
        let kept: Vec<(u16, u8)> = (0..=255).filter_map(label).filter(|x| x.1 != 255).collect();
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
        let data = Pictures::cityscapes(dir.path()).unwrap();
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
        let data = Pictures::cityscapes(dir.path()).unwrap();
        assert!(message(check(&data)).contains("label 34 at column 0, row 0: expected 0 to 33"));
        fs::remove_file(&labels).unwrap();
        assert!(message(check(&data)).contains(&format!("cannot read {}", labels.display())));

        let root = dir.path().join("leftImg8bit/val");
        fs::remove_file(root.join("bonn/c_leftImg8bit.png")).unwrap();
        let open = || Pictures::cityscapes(dir.path()).err().unwrap().to_string();
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
