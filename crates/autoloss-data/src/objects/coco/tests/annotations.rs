//! Images, categories and objects of annotation files.

use std::fs;
use std::path::Path;

use autoloss_metrics::coco::Kind;

use super::{ANNOTATIONS, folder, message, moved};
use crate::objects::coco::CocoData;
use crate::objects::scene::{Object, ObjectData, Scene};
use crate::split::Split;

#[test]
fn images_and_objects_are_read() {
    let dir = folder(ANNOTATIONS);
    let data = CocoData::open(dir.path(), Kind::Mask, None).unwrap();
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
    let boxes = CocoData::open(dir.path(), Kind::Box, None).unwrap();
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
    let text = message(dir.path(), Kind::Box);
    assert!(
        text.starts_with("2 of 2 examples cannot be used:"),
        "{text}"
    );
    assert!(
        text.contains("a.png: is 30x20, but 30x21 by its annotations"),
        "{text}"
    );
    let dir = folder("{\"images\": 3}");
    assert!(message(dir.path(), Kind::Box).contains("instances_train2017.json"));
    let text = message(&dir.path().join("nowhere"), Kind::Box);
    assert!(text.contains("nowhere"), "{text}");
}

/// The error of a data set in which `from` is replaced.
fn problem(from: &str, to: &str, kind: Kind) -> String {
    assert!(ANNOTATIONS.contains(from));
    message(folder(&ANNOTATIONS.replace(from, to)).path(), kind)
}

#[test]
fn lists_that_cannot_be_used_are_named() {
    let cases = [
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
        (
            "\"file_name\": \"a.png\",",
            "",
            "images[0] has no `file_name`",
        ),
        (
            "[[1, 2, 11, 2, 11, 7, 1, 7]]",
            "{\"size\": [4, 5], \"counts\": [20]}",
            "annotations[0] (id 1): its mask has 4 rows and 5 columns, but image 5 has 20 and 30",
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
fn an_id_has_one_name_in_both_splits_and_a_name_one_id() {
    let dir = folder(ANNOTATIONS);
    let val = dir.path().join("annotations/instances_val2017.json");
    for (from, to, said) in [
        (
            "dog",
            "cow",
            "category 3 is `cow`, but category 3 is `dog` in",
        ),
        (
            "\"id\": 3, \"name\"",
            "\"id\": 4, \"name\"",
            "category 4 is `dog`, but category 3 is `dog` in",
        ),
    ] {
        fs::write(&val, ANNOTATIONS.replace(from, to)).unwrap();
        let text = message(dir.path(), Kind::Box);
        assert!(
            text.contains("val2017.json: ") && text.contains(said),
            "{text}"
        );
    }
}

#[test]
fn the_classes_are_those_of_either_split() {
    let dir = folder(ANNOTATIONS);
    let val = dir.path().join("annotations/instances_val2017.json");
    let other = ANNOTATIONS.replace(
        "{\"id\": 3, \"name\": \"dog\"}",
        "{\"id\": 1, \"name\": \"cow\"}",
    );
    fs::write(&val, other).unwrap();
    let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
    assert_eq!(data.class_names(), ["cow", "dog", "cat"]);
    let warnings = data.warnings().join("\n");
    for said in [
        "category `cow` (id 1) is listed in the validation set alone",
        "category `dog` (id 3) is listed in the training set alone",
        "instances_val2017.json: 1 annotations do not count: `categories` does not list the categories 3",
    ] {
        assert!(warnings.contains(said), "{warnings}");
    }
    // The same category is the same class in both.
    let classes = |split| {
        data.scene(split, 0)
            .unwrap()
            .objects
            .iter()
            .map(|o| o.class)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (classes(Split::Train), classes(Split::Val)),
        (vec![2, 1], vec![2])
    );
}

#[test]
fn a_split_without_anything_to_find_is_named() {
    let crowds = ANNOTATIONS.replace("\"iscrowd\": 0", "\"iscrowd\": 1");
    let negative = ANNOTATIONS.replace("[1, 2, 10, 5]", "[11, 7, -10, -5]");
    let none = format!(
        "{}[]}}",
        &ANNOTATIONS[..ANNOTATIONS.find("[\n        {\"id\": 1").unwrap()]
    );
    for (text, said) in [
        (crowds, "of its annotations are 2 crowds (`iscrowd` 1)"),
        (
            negative,
            "of its annotations are 1 crowds (`iscrowd` 1), 1 with a box or mask without area inside the image",
        ),
        (none, "there are no annotations that count"),
    ] {
        let dir = folder(ANNOTATIONS);
        fs::write(dir.path().join("annotations/instances_val2017.json"), text).unwrap();
        let message = message(dir.path(), Kind::Box);
        assert!(
            message.contains("val2017.json: no object to learn from or to find"),
            "{message}"
        );
        assert!(message.contains(said), "{message}");
    }
    let dir = folder(
        &ANNOTATIONS
            .replace("\"iscrowd\": 1", "\"iscrowd\": 0")
            .replace("[0, 0, 3, 3]", "[0, 0, -3, 3]"),
    );
    let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
    assert_eq!(
        data.dropped(Split::Val),
        ["1 with a box or mask without area inside the image"]
    );
    let summary = crate::of_scenes(&data, usize::MAX).unwrap();
    let line = summary.sets[0].line();
    assert!(
        line.ends_with("not used: 1 with a box or mask without area inside the image"),
        "{line}"
    );
    assert_eq!(summary.warnings, data.warnings());
}

#[test]
fn categories_of_persons_have_one_set_of_keypoints() {
    let points = |count: usize| vec!["4, 4, 2"; count].join(", ");
    let people = |first: usize, second: usize| {
        let mut text = ANNOTATIONS.replace("\"iscrowd\": 1", "\"iscrowd\": 0");
        for (id, count) in [(1, first), (2, second)] {
            let from = format!("\"id\": {id}, \"image_id\": 5,");
            let to = format!(
                "{from} \"keypoints\": [{}], \"num_keypoints\": {count},",
                points(count)
            );
            assert!(text.contains(&from));
            text = text.replace(&from, &to);
        }
        let dir = folder(&text);
        for split in ["train2017", "val2017"] {
            let from = format!("annotations/instances_{split}.json");
            moved(
                dir.path(),
                &from,
                &format!("annotations/person_keypoints_{split}.json"),
            );
        }
        dir
    };
    let dir = people(3, 3);
    let data = CocoData::open(dir.path(), Kind::Keypoints, Some(&[0.1, 0.2, 0.3])).unwrap();
    let skeleton = data.skeleton().unwrap();
    assert_eq!((skeleton.count(), &skeleton.mirrored), (3, &None));
    assert_eq!(skeleton.sigmas, [0.1, 0.2, 0.3]);
    let classes: Vec<usize> = data
        .scene(Split::Val, 0)
        .unwrap()
        .objects
        .iter()
        .map(|o| o.class)
        .collect();
    assert_eq!(classes, [1, 0]);
    assert!(data.warnings()[0].contains("images are not mirrored in training"));
    let error = CocoData::open(dir.path(), Kind::Keypoints, Some(&[0.1]))
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .starts_with("setting task.sigmas: 1 sigmas given"),
        "{error}"
    );
    let text = message(people(3, 4).path(), Kind::Keypoints);
    assert!(text.contains("keypoints, category `"), "{text}");
}

#[test]
fn boxes_stay_as_stated() {
    for (stated, corners) in [
        ("[1, 2, 0, 5]", [1.0, 2.0, 1.0, 7.0]),
        ("[1, 2, -3, 5]", [1.0, 2.0, -2.0, 7.0]),
        ("[-4, 2, 80, 5]", [-4.0, 2.0, 76.0, 7.0]),
    ] {
        let dir = folder(
            &ANNOTATIONS
                .replace("[1, 2, 10, 5]", stated)
                .replace("\"iscrowd\": 1", "\"iscrowd\": 0"),
        );
        let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
        let scene = data.scene(Split::Train, 0).unwrap();
        assert_eq!(scene.objects[0].corners, corners);
    }
}

#[test]
fn outlines_are_scenes_without_images() {
    let dir = folder(ANNOTATIONS);
    let data = CocoData::open(dir.path(), Kind::Mask, None).unwrap();
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
    let data = CocoData::open(&dir, Kind::Keypoints, None).unwrap();
    assert_eq!(data.class_names(), ["person"]);
    let scenes = (0..4).map(|index| data.scene(Split::Train, index).unwrap());
    let objects: Vec<Object> = scenes.flat_map(|scene| scene.objects).collect();
    assert_eq!(objects.len(), 14);
    assert!(objects.iter().all(|object| object.keypoints.is_some()));
    let masks = CocoData::open(&dir, Kind::Mask, None).unwrap();
    assert!(
        masks.scene(Split::Val, 0).unwrap().objects[0]
            .mask
            .is_some()
    );
}
