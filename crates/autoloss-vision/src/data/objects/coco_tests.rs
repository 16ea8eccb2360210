//! Tests of [`super`].

use super::*;
use std::io::Cursor;

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
    CocoData::open(dir, kind).err().unwrap().to_string()
}

#[test]
fn images_and_objects_are_read() {
    let dir = folder(ANNOTATIONS);
    let data = CocoData::open(dir.path(), Kind::Mask).unwrap();
    assert_eq!(data.class_names(), ["dog", "cat"]);
    assert_eq!((data.len(Split::Train), data.len(Split::Val)), (2, 2));
    let scene = data.scene(Split::Val, 0).unwrap();
    assert_eq!((scene.width, scene.height, scene.id), (30, 20, 5));
    let [cat, dog] = scene.objects.as_slice() else {
        panic!("{:?}", scene.objects)
    };
    assert_eq!(
        (cat.class, cat.crowd, dog.class, dog.crowd),
        (1, false, 0, true)
    );
    assert_eq!(cat.corners, [1.0, 2.0, 11.0, 7.0]);
    assert_eq!(cat.mask.as_ref().unwrap().area(), 50);
    assert!(data.scene(Split::Val, 1).unwrap().objects.is_empty());
    assert!(data.scene(Split::Val, 2).is_err());
    let boxes = CocoData::open(dir.path(), Kind::Box).unwrap();
    assert!(
        boxes.scene(Split::Train, 0).unwrap().objects[0]
            .mask
            .is_none()
    );
}

#[test]
fn what_is_wrong_is_named() {
    let dir = folder(ANNOTATIONS);
    fs::remove_file(dir.path().join("val2017/b.png")).unwrap();
    let text = message(dir.path(), Kind::Box);
    assert!(
        text.contains("1 of 2 images") && text.contains("b.png"),
        "{text}"
    );
    let text = message(dir.path(), Kind::Keypoints);
    assert!(text.contains("person_keypoints_train2017.json"), "{text}");
    let dir = folder(&ANNOTATIONS.replace("\"id\": 9", "\"id\": 5"));
    assert!(message(dir.path(), Kind::Box).contains("two images have the id 5"));
    let dir = folder(&ANNOTATIONS.replace("\"height\": 20", "\"height\": 21"));
    let data = CocoData::open(dir.path(), Kind::Box).unwrap();
    let text = data.scene(Split::Train, 0).unwrap_err().to_string();
    assert!(text.contains("is 30x20, but 30x21"), "{text}");
    let dir = folder("{\"images\": 3}");
    assert!(message(dir.path(), Kind::Box).contains("instances_train2017.json"));
    let text = message(&dir.path().join("nowhere"), Kind::Box);
    assert!(text.contains("annotations"), "{text}");
}

/// What is wrong with a data set in which `from` is replaced.
fn problem(from: &str, to: &str, kind: Kind) -> String {
    assert!(ANNOTATIONS.contains(from));
    message(folder(&ANNOTATIONS.replace(from, to)).path(), kind)
}

#[test]
fn lists_that_cannot_be_used_are_named() {
    let cases = [
        (
            "{\"id\": 2, \"image_id\": 5",
            "{\"id\": 1, \"image_id\": 5",
            "two annotations have the id 1",
        ),
        (
            "{\"id\": 3, \"name\"",
            "{\"id\": 7, \"name\"",
            "two categories have the id 7",
        ),
        (
            "[{\"id\": 7, \"name\": \"cat\"}, {\"id\": 3, \"name\": \"dog\"}]",
            "[]",
            "it has no categories",
        ),
        ("\"file_name\": \"a.png\",", "", "missing field `file_name`"),
        (
            "\"iscrowd\": 1,",
            "",
            "annotations[1] (id 2) has no `iscrowd`",
        ),
        (
            "[[1, 2, 11, 2, 11, 7, 1, 7]]",
            "{\"size\": [4, 5], \"counts\": [20]}",
            "the annotation of id 1: its mask is 5x4, its image a.png 30x20 (width x height)",
        ),
    ];
    for (from, to, expected) in cases {
        let text = problem(from, to, Kind::Mask);
        let file = "instances_train2017.json: ";
        assert!(text.contains(file) && text.contains(expected), "{text}");
    }
    let empty = folder("{\"images\": [], \"categories\": [], \"annotations\": []}");
    assert!(message(empty.path(), Kind::Box).ends_with("it has no images, expected at least one"));
}

#[test]
fn categories_of_both_splits_must_agree() {
    let dir = folder(ANNOTATIONS);
    let val = dir.path().join("annotations/instances_val2017.json");
    fs::write(&val, ANNOTATIONS.replace("dog", "cow")).unwrap();
    assert_eq!(
        message(dir.path(), Kind::Box),
        format!(
            "{}: other categories than those of the training set",
            val.display()
        )
    );
}

#[test]
fn boxes_stay_as_stated() {
    for (stated, corners) in [
        ("[1, 2, 0, 5]", [1.0, 2.0, 1.0, 7.0]),
        ("[1, 2, -3, 5]", [1.0, 2.0, -2.0, 7.0]),
        ("[-4, 2, 80, 5]", [-4.0, 2.0, 76.0, 7.0]),
    ] {
        let dir = folder(&ANNOTATIONS.replace("[1, 2, 10, 5]", stated));
        let data = CocoData::open(dir.path(), Kind::Box).unwrap();
        let scene = data.scene(Split::Train, 0).unwrap();
        assert_eq!(scene.objects[0].corners, corners);
    }
}

/// Moves a file or folder of a data set.
fn moved(dir: &Path, from: &str, to: &str) {
    fs::create_dir_all(dir.join(to).parent().unwrap()).unwrap();
    fs::rename(dir.join(from), dir.join(to)).unwrap();
}

fn opens(dir: &Path) {
    let data = CocoData::open(dir, Kind::Box).unwrap();
    for split in [Split::Train, Split::Val] {
        assert_eq!(data.scene(split, 0).unwrap().objects.len(), 2);
    }
}

#[test]
fn images_are_found_in_other_folders() {
    for (train, val) in [
        ("training", "validation"),
        ("images/train2017", "images/val2017"),
        ("images", "val2017"),
    ] {
        let dir = folder(ANNOTATIONS);
        moved(dir.path(), "val2017", "aside");
        moved(dir.path(), "train2017", train);
        moved(dir.path(), "aside", val);
        opens(dir.path());
    }
}

#[test]
fn of_several_years_the_last_one_is_taken() {
    let dir = folder(ANNOTATIONS);
    for other in ["train2014", "val2014", "valminusminival2014"] {
        let name = format!("annotations/instances_{other}.json");
        fs::write(dir.path().join(name), "of an earlier year").unwrap();
    }
    opens(dir.path());
}

#[test]
fn one_file_is_both_splits_and_several_are_ambiguous() {
    let dir = folder(ANNOTATIONS);
    let file = |name: &str| format!("annotations/{name}.json");
    fs::remove_file(dir.path().join(file("instances_train2017"))).unwrap();
    opens(dir.path());
    moved(
        dir.path(),
        &file("instances_val2017"),
        &file("my_keypoints"),
    );
    moved(dir.path(), "val2017", "images");
    opens(dir.path());
    fs::write(dir.path().join(file("more_keypoints")), ANNOTATIONS).unwrap();
    let text = message(dir.path(), Kind::Box);
    assert!(
        text.ends_with("found more_keypoints.json, my_keypoints.json"),
        "{text}"
    );
}

#[test]
fn outlines_are_scenes_without_images() {
    let dir = folder(ANNOTATIONS);
    let data = CocoData::open(dir.path(), Kind::Mask).unwrap();
    let scene = data.scene(Split::Train, 0).unwrap();
    fs::remove_file(dir.path().join("train2017/a.png")).unwrap();
    let outline = data.outline(Split::Train, 0).unwrap();
    assert_eq!(
        outline,
        Scene {
            image: Vec::new(),
            ..scene
        }
    );
    assert!(data.scene(Split::Train, 0).is_err());
    assert!(data.outline(Split::Train, 2).is_err());
}

#[test]
fn the_sample_of_coco_opens() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/coco-sample");
    if !dir.is_dir() {
        eprintln!("not tested: there is no shared/data/coco-sample beside the repository");
        return;
    }
    let data = CocoData::open(&dir, Kind::Keypoints).unwrap();
    assert_eq!(data.class_names(), ["person"]);
    let scenes = (0..4).map(|index| data.scene(Split::Train, index).unwrap());
    let objects: Vec<Object> = scenes.flat_map(|scene| scene.objects).collect();
    assert_eq!(objects.len(), 14);
    assert!(objects.iter().all(|object| object.keypoints.is_some()));
    let masks = CocoData::open(&dir, Kind::Mask).unwrap();
    assert!(
        masks.scene(Split::Val, 0).unwrap().objects[0]
            .mask
            .is_some()
    );
}
