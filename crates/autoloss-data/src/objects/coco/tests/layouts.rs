//! Folders and names of files.

use std::fs;

use autoloss_metrics::coco::Kind;

use super::{ANNOTATIONS, folder, message, moved, opens};
use crate::objects::coco::CocoData;
use crate::objects::scene::ObjectData;

#[test]
fn file_names_may_have_folders_and_other_capitals() {
    for name in [
        "images\\\\a.png",
        "train2017/a.png",
        "/somewhere/else/a.png",
        "A.PNG",
        "a.Png",
    ] {
        let dir = folder(&ANNOTATIONS.replace("a.png", name));
        opens(dir.path());
    }
    let dir = folder(ANNOTATIONS);
    for split in ["train2017", "val2017"] {
        moved(
            dir.path(),
            &format!("{split}/a.png"),
            &format!("{split}/a.PNG"),
        );
        fs::write(dir.path().join(split).join("._a.png"), "of a desktop").unwrap();
    }
    fs::write(
        dir.path().join("annotations/._instances_train2018.json"),
        "of a desktop",
    )
    .unwrap();
    opens(dir.path());
}

#[test]
fn layouts_of_other_programs_are_found() {
    // Roboflow.
    let dir = folder(ANNOTATIONS);
    for (from, to) in [("train2017", "train"), ("val2017", "valid")] {
        moved(dir.path(), from, to);
        let (from, to) = (
            format!("annotations/instances_{from}.json"),
            format!("{to}/_annotations.coco.json"),
        );
        moved(dir.path(), &from, &to);
    }
    fs::remove_dir(dir.path().join("annotations")).unwrap();
    opens(dir.path());
    let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
    assert_eq!(data.warnings().len(), 2, "{:?}", data.warnings());
    // Label Studio.
    let dir = folder(&ANNOTATIONS.replace("\"a.png\"", "\"images/a.png\""));
    moved(dir.path(), "train2017", "images");
    moved(
        dir.path(),
        "annotations/instances_train2017.json",
        "result.json",
    );
    fs::remove_dir_all(dir.path().join("annotations")).unwrap();
    fs::remove_dir_all(dir.path().join("val2017")).unwrap();
    opens(dir.path());
    let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
    assert!(data.warnings()[0].contains("result.json is both training and validation set"));
    // Nothing.
    fs::remove_file(dir.path().join("result.json")).unwrap();
    let text = message(dir.path(), Kind::Box);
    assert!(
        text.contains("train/_annotations.coco.json") && text.ends_with("found no .json file"),
        "{text}"
    );
}

#[test]
fn a_missing_file_of_one_split_is_said() {
    let dir = folder(ANNOTATIONS);
    fs::remove_file(dir.path().join("annotations/instances_val2017.json")).unwrap();
    let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
    assert!(
        data.warnings()[0].contains("instances_train2017.json is both training and validation set")
    );
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
