//! Data sets in COCO's format: a small one on disk, and the tests by theme.

mod annotations;
mod layouts;
mod pictures;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use autoloss_metrics::coco::Kind;

use super::CocoData;
use crate::objects::scene::ObjectData;
use crate::split::Split;

const ANNOTATIONS: &str = r#"{
    "images": [
        {"id": 5, "file_name": "a.png", "height": 20, "width": 30},
        {"id": 9, "file_name": "b.png", "height": 20, "width": 30}
    ],
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 7, "area": 50, "iscrowd": 0,
         "bbox": [1, 2, 10, 5], "segmentation": [[1, 2, 11, 2, 11, 7, 1, 7]]},
        {"id": 2, "image_id": 5, "category_id": 3, "area": 9, "iscrowd": 1,
         "bbox": [0, 0, 3, 3], "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]]},
        {"id": 3, "image_id": 77, "category_id": 3, "area": 9, "iscrowd": 0,
         "bbox": [0, 0, 3, 3], "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]]}
    ]
}"#;

fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = image::RgbImage::from_pixel(30, 20, image::Rgb([9, 8, 7]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn folder(annotations: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("annotations")).unwrap();
    for split in ["train2017", "val2017"] {
        let name = format!("annotations/instances_{split}.json");
        fs::write(dir.path().join(name), annotations).unwrap();
        fs::create_dir(dir.path().join(split)).unwrap();
        for image in ["a.png", "b.png"] {
            fs::write(dir.path().join(split).join(image), png()).unwrap();
        }
    }
    dir
}

fn message(dir: &Path, kind: Kind) -> String {
    CocoData::open(dir, kind, None).err().unwrap().to_string()
}

/// Moves a file or folder of a data set.
fn moved(dir: &Path, from: &str, to: &str) {
    fs::create_dir_all(dir.join(to).parent().unwrap()).unwrap();
    fs::rename(dir.join(from), dir.join(to)).unwrap();
}

fn opens(dir: &Path) {
    let data = CocoData::open(dir, Kind::Box, None).unwrap();
    for split in [Split::Train, Split::Val] {
        assert_eq!(data.scene(split, 0).unwrap().objects.len(), 2);
    }
}
