//! `autoloss score segmentation` on masks as people have them.

use std::fs;

use serde_json::Value;

use super::{Dir, write_labels};

const FOLDERS: [&str; 6] = [
    "score",
    "segmentation",
    "--pred",
    "pred",
    "--target",
    "target",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&FOLDERS[..], more].concat()
}

#[test]
fn masks_of_0_and_255_are_refused_without_a_label_map() {
    let dir = Dir::new();
    write_labels(&dir.path("target/a.png"), 4, &[0, 0, 255, 255]);
    write_labels(&dir.path("pred/a.png"), 4, &[0, 0, 0, 255]);
    let said = dir.fails(1, &with(&["--classes", "2"]));
    assert!(
        said.contains("2 pixels are ignored") && said.contains("--label-map 0=0,255=1"),
        "{said}"
    );
    let said = dir.json(&with(&[
        "--classes",
        "2",
        "--label-map",
        "0=0,255=1",
        "--json",
    ]));
    // Class 0: 2 of 3; class 1: 1 of 2.
    let iou = said["metrics"]["miou"].as_f64().unwrap();
    assert!((iou - 7.0 / 12.0).abs() < 1e-12, "{iou}");
    assert_eq!(said["ignored_pixels"], 0);
    let said = dir.fails(2, &with(&["--classes", "2", "--label-map", "0:0"]));
    assert!(said.contains("--label-map: `0:0` has no ="), "{said}");
    write_labels(&dir.path("target/a.png"), 4, &[255; 4]);
    let said = dir.fails(1, &with(&["--classes", "2"]));
    assert!(said.contains("target: all 4 pixels are ignored"), "{said}");
    // Other classes may be absent, and other labels ignored.
    write_labels(&dir.path("target/a.png"), 4, &[0, 1, 2, 2]);
    dir.ok(&with(&["--classes", "7", "--ignore", "2"]));
}

#[test]
fn each_class_has_its_numbers() {
    let dir = Dir::new();
    write_labels(&dir.path("target/a.png"), 4, &[0, 0, 1, 1]);
    write_labels(&dir.path("pred/a.png"), 4, &[0, 1, 1, 9]);
    let arguments = [
        "--classes",
        "Background,cat,dog",
        "--boundary-distance",
        "0",
    ];
    let said = dir.json(&with(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(
        (&said["background"], &said["predictions_of_no_class"]),
        (&0.into(), &1.into())
    );
    let class = |label: usize| {
        let class = &said["classes"][label];
        (
            class["name"].clone(),
            class["pixels"].clone(),
            class["iou"].clone(),
            class["f1"].clone(),
        )
    };
    assert_eq!(
        class(0),
        ("Background".into(), 2.into(), 0.5.into(), Value::Null)
    );
    let third = Value::from(1.0 / 3.0);
    // The target's edge of class 1 is at 2; predicted ones are at 1 and 2.
    assert_eq!(
        class(1),
        ("cat".into(), 2.into(), third, (2.0 / 3.0).into())
    );
    assert_eq!(class(2), ("dog".into(), 0.into(), Value::Null, Value::Null));
    assert_eq!(said["classes"][1]["accuracy"], 0.5);
    let text = dir.ok(&with(&arguments));
    assert!(
        text.contains("cat              2  0.333333  0.500000     0.666667"),
        "{text}"
    );
    assert!(
        text.contains("biou and bf1 are without the edges of Background"),
        "{text}"
    );
}

#[test]
fn coloured_masks_have_the_classes_of_their_map() {
    let dir = Dir::new();
    let save = |path: &str, pixels: &[[u8; 3]]| {
        let path = dir.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        let mut encoder = png::Encoder::new(file, pixels.len() as u32, 1);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels.as_flattened()).unwrap();
    };
    save("target/a.png", &[[0; 3], [128, 0, 0], [128, 0, 0], [0; 3]]);
    save("pred/a.png", &[[0; 3], [128, 0, 0], [0; 3], [0; 3]]);
    let said = dir.fails(1, &with(&["--classes", "2"]));
    assert!(
        said.contains("colour 128,0,0") && said.contains("--colors FILE"),
        "{said}"
    );
    assert!(dir.fails(2, &FOLDERS).contains("--classes is missing"));
    fs::write(
        dir.path("labelmap.txt"),
        "background:0,0,0::\ncat:128,0,0::\n",
    )
    .unwrap();
    let said = dir.json(&with(&["--json"]));
    assert_eq!(
        (&said["classes"][1]["name"], &said["classes"][1]["iou"]),
        (&"cat".into(), &0.5.into())
    );
    let said = dir.fails(2, &with(&["--classes", "5"]));
    assert!(said.contains("has 2 classes: background, cat"), "{said}");
    fs::write(dir.path("labelmap.txt"), "background 0 0\n").unwrap();
    let said = dir.fails(1, &FOLDERS);
    assert!(
        said.contains("labelmap.txt: line 1: found `background 0 0`"),
        "{said}"
    );
}

#[test]
fn score_segmentation_scores_folders() {
    let dir = Dir::new();
    write_labels(&dir.path("target/a.png"), 4, &[0, 0, 1, 1, 0, 0, 1, 255]);
    write_labels(&dir.path("pred/a.png"), 4, &[0, 1, 1, 1, 0, 0, 1, 0]);
    let arguments = [
        "score",
        "segmentation",
        "--pred",
        "pred",
        "--target",
        "target",
    ];
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    let said = dir.json(&with(&["--classes", "2", "--json"]));
    // Class 0: 3 of 4; class 1: 3 of 4.
    assert_eq!(said["metrics"]["miou"], 0.75);
    assert_eq!(said["metrics"]["gacc"], 6.0 / 7.0);
    let text = dir.ok(&with(&["--classes", "2", "--background", "0"]));
    assert!(text.contains("miou    0.750000"), "{text}");

    let said = dir.fails(1, &with(&["--classes", "1"]));
    assert!(
        said.contains("a.png has label 1 at column 2, row 0: expected 0 to 0"),
        "{said}"
    );
    dir.fails(2, &with(&["--classes", "0"]));
    write_labels(&dir.path("pred/a.png"), 2, &[0; 8]);
    let said = dir.fails(1, &with(&["--classes", "2"]));
    assert!(said.contains("2 × 4 pixels, but the target"), "{said}");
    fs::write(dir.path("pred/a.png"), "no picture").unwrap();
    assert!(dir.fails(1, &with(&["--classes", "2"])).contains("a.png"));
    fs::remove_file(dir.path("pred/a.png")).unwrap();
    dir.fails(1, &with(&["--classes", "2"]));
}
