//! Data sets in the folder layout of PASCAL VOC, and in that of Roboflow's masks.

use std::path::Path;

use crate::classes::{check_classes, lines_of, read_classes};
use crate::error::DataError;
use crate::folder::{IMAGE_ENDINGS, Index, LABEL_ENDINGS, entries, file_name};
use crate::label_files::LabelFiles;
use crate::labels::{ColourMap, LabelReader};
use crate::pictures::{Missing, Pair, Pictures, Place};
use crate::roboflow;

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

impl Pictures {
    /// Opens a folder in the layout of PASCAL VOC by reading its lists:
    ///
    /// ```text
    /// JPEGImages/NAME.jpg (or .jpeg, .png)
    /// SegmentationClass/NAME.png            label map, 255 = ignored
    /// ImageSets/Segmentation/train.txt      one NAME a line
    /// ImageSets/Segmentation/val.txt
    /// classes.txt                           one class a line; may be absent
    /// labelmap.txt or label_colors.txt      where masks are coloured
    /// ```
    ///
    /// or one of Roboflow's exports of masks. Names of classes come from `files`, else from `classes.txt`, else from the
    /// colour map, else they are the 21 of PASCAL VOC 2012.
    ///
    /// Images are not opened; [`check`](crate::check()) does that.
    ///
    /// # Errors
    /// A list that is missing or empty; another layout; fewer than 2, more than 255, empty or repeated
    /// class names.
    pub fn voc(dir: impl AsRef<Path>, files: LabelFiles) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        if roboflow::is_export(dir) {
            return roboflow::open(dir, files);
        }
        check_layout(dir)?;
        let colours = match &files.colours {
            Some(path) => Some(ColourMap::read(path)?),
            None => ColourMap::beside(dir)?,
        };
        let path = dir.join("classes.txt");
        let classes = match (files.classes, &colours) {
            (Some(classes), _) => classes,
            _ if path.is_file() => read_classes(&path)?,
            (None, Some(colours)) => colours.classes().to_vec(),
            (None, None) => VOC_CLASSES.map(str::to_owned).to_vec(),
        };
        check_classes(&classes)?;
        let images = Index::of(dir.join("JPEGImages"), &IMAGE_ENDINGS)?;
        let labels = Index::of(dir.join("SegmentationClass"), &LABEL_ENDINGS)?;
        let sets = ["train.txt", "val.txt"].map(|list| {
            let path = dir.join("ImageSets/Segmentation").join(list);
            pairs(&path, &images, &labels)
        });
        let [train, val] = sets;
        Ok(Self {
            train: train?,
            val: val?,
            readers: vec![LabelReader {
                table: files.table,
                colours: colours.map(|colours| colours.for_classes(&classes)),
            }],
            classes,
            sources: ["train.txt", "val.txt"].map(str::to_owned),
        })
    }
}

/// Checks that a folder has the layout.
///
/// # Errors
/// Another layout, with the content of the folder.
fn check_layout(dir: &Path) -> Result<(), DataError> {
    let held: Vec<String> = entries(dir)?.iter().map(|path| file_name(path)).collect();
    if held.iter().any(|name| name == "ImageSets") {
        return Ok(());
    }
    let wrong = |reason: String| {
        Err(DataError::Layout {
            path: dir.to_owned(),
            reason,
        })
    };
    let expected = "expected JPEGImages/NAME.jpg, SegmentationClass/NAME.png and the lists \
                    ImageSets/Segmentation/train.txt and val.txt, or Roboflow's train/ and valid/ with \
                    _classes.csv";
    let of_label_studio =
        |name: &&String| name.starts_with("task-") && name.contains("-annotation-");
    if let Some(name) = held.iter().find(of_label_studio) {
        return wrong(format!(
            "{name} is a mask of one label and one annotation, as Label Studio exports them; put the masks of \
             an image into one label map; {expected}"
        ));
    }
    let some = held[..held.len().min(6)].join(", ");
    wrong(match held.len() {
        0 => format!("is empty; {expected}"),
        1..=6 => format!("holds {some}; {expected}"),
        more => format!("holds {some} and {} more; {expected}", more - 6),
    })
}

/// The examples of a list.
fn pairs(list: &Path, images: &Index, labels: &Index) -> Result<Vec<Pair>, DataError> {
    let lines = match lines_of(list) {
        Err(DataError::Read { path, source }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(DataError::Layout {
                path,
                reason:
                    "no such list: write the names of the images of this set into it, one a line"
                        .to_owned(),
            });
        }
        lines => lines?,
    };
    let pair = |(line, name): (usize, String)| {
        let found = |index: &Index, what: &str| {
            let found = index.find(&name).map(Path::to_owned);
            found.ok_or_else(|| missing((list, line), &name, index, what))
        };
        let place = found(images, "image").and_then(|image| {
            Ok(Place {
                image,
                labels: found(labels, "label map")?,
                reader: 0,
            })
        });
        Pair { name, place }
    };
    Ok(lines.into_iter().map(pair).collect())
}

/// The missing file of a name in a list.
fn missing((list, line): (&Path, usize), name: &str, index: &Index, what: &str) -> Missing {
    let folder = file_name(index.dir());
    let near = index.nearest(name);
    let near = near.map_or_else(String::new, |near| format!(" (there is {near})"));
    Missing {
        path: list.to_owned(),
        reason: format!(
            "line {line}: no {what} named {name} in {folder}/{near}: add it or strike the line"
        ),
    }
}

#[cfg(test)]
mod tests;
