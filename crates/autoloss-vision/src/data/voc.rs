//! Data sets in the folder layout of PASCAL VOC.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::read_example;
use super::{DataError, Example, SegmentationData, Split, in_split};

/// The classes of PASCAL VOC 2012.
const VOC_CLASSES: [&str; 21] = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Endings an image may have, in the order they are looked for.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// A folder in the layout of PASCAL VOC:
///
/// ```text
/// JPEGImages/NAME.jpg (or .jpeg, .png)
/// SegmentationClass/NAME.png            label map, 255 = ignored
/// ImageSets/Segmentation/train.txt      one NAME a line
/// ImageSets/Segmentation/val.txt
/// classes.txt                           one class a line; may be absent
/// ```
pub struct Voc {
    dir: PathBuf,
    classes: Vec<String>,
    train: Vec<String>,
    val: Vec<String>,
}

impl Voc {
    /// Opens a folder by reading its lists. The names of the classes are
    /// `classes`, else the lines of `classes.txt`, else the 21 of PASCAL VOC 2012.
    ///
    /// Images are not looked at; [`check`](super::check()) does that.
    ///
    /// # Errors
    /// A list that is missing or empty; fewer than 2, more than 255, empty or
    /// repeated class names.
    pub fn open(dir: impl AsRef<Path>, classes: Option<Vec<String>>) -> Result<Self, DataError> {
        let dir = dir.as_ref().to_owned();
        let classes = match classes {
            Some(classes) => classes,
            None => classes_of(&dir)?,
        };
        check_classes(&classes)?;
        let list = |split: &str| names(&dir.join(format!("ImageSets/Segmentation/{split}.txt")));
        Ok(Self {
            train: list("train")?,
            val: list("val")?,
            classes,
            dir,
        })
    }

    fn names(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        }
    }

    fn image_path(&self, split: Split, name: &str) -> Result<PathBuf, DataError> {
        let path = |ending: &str| self.dir.join(format!("JPEGImages/{name}.{ending}"));
        let found = ENDINGS
            .iter()
            .map(|ending| path(ending))
            .find(|p| p.exists());
        found.ok_or_else(|| DataError::Layout {
            path: path(ENDINGS[0]),
            reason: format!(
                "no such image (nor .jpeg, nor .png), though {split}.txt names it: add it or strike the line"
            ),
        })
    }
}

impl SegmentationData for Voc {
    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn background(&self) -> Option<u8> {
        (self.classes[0] == "background").then_some(0)
    }

    fn len(&self, split: Split) -> usize {
        self.names(split).len()
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let names = self.names(split);
        in_split(split, index, names.len())?;
        let name = &names[index];
        let image = self.image_path(split, name)?;
        let labels = self.dir.join(format!("SegmentationClass/{name}.png"));
        read_example(name, &image, &labels, self.classes.len(), None)
    }
}

/// The lines of `classes.txt`, or the names of PASCAL VOC without that file.
fn classes_of(dir: &Path) -> Result<Vec<String>, DataError> {
    let path = dir.join("classes.txt");
    if path.exists() {
        names(&path)
    } else {
        Ok(VOC_CLASSES.map(str::to_owned).to_vec())
    }
}

fn check_classes(classes: &[String]) -> Result<(), DataError> {
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

/// The lines of a text file that are not blank.
fn names(path: &Path) -> Result<Vec<String>, DataError> {
    let text = fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(DataError::Layout {
            path: path.to_owned(),
            reason: "the list is empty, expected one name a line".to_owned(),
        });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{message, write_rgb, write_text};
    use super::super::{IGNORE, LabelMap, check, write_label_map};
    use super::*;
    use tempfile::{TempDir, tempdir};

    /// Two train images, one val image, 3x2, classes a and b.
    fn folder() -> TempDir {
        let dir = tempdir().unwrap();
        let root = dir.path();
        write_text(
            &root.join("ImageSets/Segmentation/train.txt"),
            "one\n\n two \n",
        );
        write_text(&root.join("ImageSets/Segmentation/val.txt"), "three\n");
        write_text(&root.join("classes.txt"), "a\nb\n");
        fs::create_dir(root.join("JPEGImages")).unwrap();
        fs::create_dir(root.join("SegmentationClass")).unwrap();
        for name in ["one", "two", "three"] {
            write_rgb(
                &root.join(format!("JPEGImages/{name}.png")),
                (3, 2),
                &(0..18).collect::<Vec<u8>>(),
            );
            labels(root, name, (3, 2), &[0, 1, 255, 1, 1, 0]);
        }
        dir
    }

    fn labels(root: &Path, name: &str, (width, height): (usize, usize), labels: &[u8]) {
        let map = LabelMap {
            labels: labels.to_vec(),
            width,
            height,
        };
        write_label_map(root.join(format!("SegmentationClass/{name}.png")), &map).unwrap();
    }

    fn problem(dir: &TempDir) -> String {
        message(check(&Voc::open(dir.path(), None).unwrap()))
    }

    #[test]
    fn a_folder_is_read_as_listed() {
        let dir = folder();
        let voc = Voc::open(dir.path(), None).unwrap();
        assert_eq!(voc.class_names(), ["a", "b"]);
        assert_eq!((voc.background(), voc.ignore()), (None, IGNORE));
        assert_eq!((voc.len(Split::Train), voc.len(Split::Val)), (2, 1));
        let example = voc.example(Split::Train, 1).unwrap();
        assert_eq!(
            (example.name.as_str(), example.width, example.height),
            ("two", 3, 2)
        );
        assert_eq!(example.image, (0..18).collect::<Vec<u8>>());
        assert_eq!(example.labels, [0, 1, 255, 1, 1, 0]);
        check(&voc).unwrap();
        assert!(message(voc.example(Split::Val, 1)).contains("the val split has 1 examples"));
    }

    #[test]
    fn names_of_classes_come_from_the_caller_the_file_or_voc() {
        let dir = folder();
        let given = ["background", "thing"].map(str::to_owned).to_vec();
        let voc = Voc::open(dir.path(), Some(given.clone())).unwrap();
        assert_eq!((voc.class_names(), voc.background()), (&given[..], Some(0)));
        fs::remove_file(dir.path().join("classes.txt")).unwrap();
        let voc = Voc::open(dir.path(), None).unwrap();
        assert_eq!((voc.class_names().len(), voc.background()), (21, Some(0)));
        assert_eq!(voc.class_names()[20], "tvmonitor");

        let refuse = |classes: &[&str]| {
            let classes = classes.iter().map(|&class| class.to_owned()).collect();
            Voc::open(dir.path(), Some(classes))
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            refuse(&["a"]),
            "setting classes: 1 names given, expected 2 to 255"
        );
        assert_eq!(refuse(&["a", " "]), "setting classes: a name is empty");
        assert_eq!(
            refuse(&["a", "b", "a"]),
            "setting classes: a is named twice"
        );
    }

    #[test]
    fn missing_and_empty_lists_are_named() {
        let dir = folder();
        let list = dir.path().join("ImageSets/Segmentation/val.txt");
        let open = || Voc::open(dir.path(), None).err().unwrap().to_string();
        fs::write(&list, " \n").unwrap();
        assert_eq!(
            open(),
            format!(
                "{}: the list is empty, expected one name a line",
                list.display()
            )
        );
        fs::remove_file(&list).unwrap();
        assert_eq!(
            open(),
            format!(
                "cannot read {}: No such file or directory (os error 2)",
                list.display()
            )
        );
    }

    #[test]
    fn a_listed_image_or_mask_that_is_missing_is_named() {
        let dir = folder();
        fs::remove_file(dir.path().join("JPEGImages/two.png")).unwrap();
        assert_eq!(
            problem(&dir),
            format!(
                "1 of 3 examples cannot be used:\n  {}: no such image (nor .jpeg, nor .png), \
                 though train.txt names it: add it or strike the line",
                dir.path().join("JPEGImages/two.jpg").display()
            )
        );
        let dir = folder();
        let mask = dir.path().join("SegmentationClass/three.png");
        fs::remove_file(&mask).unwrap();
        assert_eq!(
            problem(&dir),
            format!(
                "1 of 3 examples cannot be used:\n  cannot read {}: No such file or directory (os error 2)",
                mask.display()
            )
        );
    }

    #[test]
    fn sizes_and_labels_that_do_not_fit_are_named() {
        let dir = folder();
        labels(dir.path(), "one", (2, 2), &[0; 4]);
        labels(dir.path(), "three", (3, 2), &[0, 0, 0, 0, 2, 0]);
        let path = |name: &str| dir.path().join(name).display().to_string();
        assert_eq!(
            problem(&dir),
            format!(
                "2 of 3 examples cannot be used:\n  {} is 3x2 but its label map {} is 2x2: both must have \
                 the same size\n  {} has label 2 at column 1, row 1: expected 0 to 1, or 255 for ignored pixels",
                path("JPEGImages/one.png"),
                path("SegmentationClass/one.png"),
                path("SegmentationClass/three.png")
            )
        );
    }

    #[test]
    fn damaged_images_are_found_before_the_run_and_only_some_told() {
        let dir = folder();
        let image = dir.path().join("JPEGImages/one.png");
        let bytes = fs::read(&image).unwrap();
        fs::write(&image, &bytes[..bytes.len() - 30]).unwrap();
        let text = problem(&dir);
        let expected = format!(
            "1 of 3 examples cannot be used:\n  cannot decode {}: ",
            image.display()
        );
        assert!(text.starts_with(&expected), "{text}");

        let many: String = (0..9).map(|i| format!("absent{i}\n")).collect();
        write_text(&dir.path().join("ImageSets/Segmentation/val.txt"), &many);
        let text = problem(&dir);
        assert!(
            text.starts_with("10 of 11 examples cannot be used:\n"),
            "{text}"
        );
        assert!(text.ends_with("\n  and 5 more"), "{text}");
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn a_jpeg_that_ends_early_is_named() {
        let dir = folder();
        let image = dir.path().join("JPEGImages/one.jpg");
        let noise: Vec<u8> = (0..64 * 64 * 3u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        image::save_buffer(&image, &noise, 64, 64, image::ColorType::Rgb8).unwrap();
        labels(dir.path(), "one", (64, 64), &[0; 64 * 64]);
        check(&Voc::open(dir.path(), None).unwrap()).unwrap();
        let whole = fs::read(&image).unwrap();
        for kept in [0, 100, whole.len() / 2, whole.len() - 10] {
            fs::write(&image, &whole[..kept]).unwrap();
            let text = problem(&dir);
            let expected = format!("cannot decode {}: ", image.display());
            assert!(text.contains(&expected), "{kept} bytes kept: {text}");
        }
    }

    #[test]
    fn street_scenes_outside_the_repository_are_whole() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/camvid-160x120");
        if !dir.exists() {
            println!("skipped: {} is absent", dir.display());
            return;
        }
        let voc = Voc::open(&dir, None).unwrap();
        assert_eq!((voc.len(Split::Train), voc.len(Split::Val)), (367, 101));
        assert_eq!((voc.class_names().len(), voc.background()), (11, None));
        check(&voc).unwrap();
    }
}
