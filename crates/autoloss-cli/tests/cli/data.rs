//! `autoloss data`, and what other commands say of the data they read.

use std::fs;

use super::{Dir, borrowed, stderr, tiny, write_labels, write_voc};

#[test]
fn the_classes_of_each_set_are_counted() {
    let dir = Dir::new();
    write_voc(&dir);
    // Of 1,280 pixels: 320 of class 0, 160 ignored, the rest of class 1.
    let labels: Vec<u8> = (0..1280)
        .map(|i| match i {
            0..320 => 0,
            320..480 => 255,
            _ => 1,
        })
        .collect();
    write_labels(&dir.path("voc/SegmentationClass/b.png"), 40, &labels);
    let arguments = [
        "data",
        "--task",
        "voc",
        "--data",
        "voc",
        "--classes",
        "sky,sea",
    ];
    let said = dir.json(&[&arguments[..], &["--json"]].concat());
    let train = &said["sets"][0];
    assert_eq!(
        (&train["set"], &train["images"]),
        (&"train".into(), &1.into())
    );
    // The only image with sky is trained on, the other one is held out.
    let expected =
        serde_json::json!([{"name": "sky", "count": 320}, {"name": "sea", "count": 800}]);
    assert_eq!(
        (&train["classes"], &train["ignored"]),
        (&expected, &160.into())
    );
    assert_eq!(
        (&said["sets"][1]["set"], &said["sets"][1]["images"]),
        (&"search".into(), &1.into())
    );
    assert_eq!(said["sets"][2]["classes"][1]["count"], 2560);
    let warning = said["warnings"][0].as_str().unwrap();
    assert!(warning.contains("has no example of `sky`"), "{warning}");
    let text = dir.ok(&arguments);
    assert!(
        text.contains("sea          800  62.5 %    1280  100.0 %  2560  100.0 %"),
        "{text}"
    );
    // Nothing of it is a run, and what is wrong with the files is said as a run says it.
    assert!(!dir.path("runs").exists());
    fs::remove_file(dir.path("voc/JPEGImages/b.png")).unwrap();
    assert!(dir.fails(1, &arguments).contains("JPEGImages"));
}

#[test]
fn a_search_says_what_it_read_and_objects_are_counted() {
    let dir = Dir::new();
    let head = ["compare", "--loss", "zoo:mse", "--seeds", "1"];
    let output = dir.run(&borrowed(&tiny(&head)));
    let said = stderr(&output);
    assert!(
        said.contains("train: 28 images; pixels: background "),
        "{said}"
    );
    assert!(said.contains("search: 4 images; pixels: "), "{said}");
    assert!(said.contains("val: 8 images; pixels: "), "{said}");
    let arguments = [
        "data",
        "--task",
        "digits-detection",
        "--set",
        "task.digits.val=3",
        "--set",
        "task.search_images=100",
        "--json",
    ];
    let said = dir.json(&arguments);
    assert_eq!(said["sets"][0]["unit"], "objects");
    assert_eq!(
        said["sets"][0]["notes"][0],
        "counted in the first 200 images"
    );
    assert_eq!(said["sets"][1]["images"], 100);
    assert_eq!(said["sets"][2]["images"], 3);
    let classes = said["sets"][2]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 10);
    let objects: u64 = classes
        .iter()
        .filter_map(|class| class["count"].as_u64())
        .sum();
    assert!(objects >= 3, "{objects}");
}

#[test]
fn a_data_set_in_vocs_layout_is_used_or_refused_by_name() {
    let dir = Dir::new();
    write_voc(&dir);
    let arguments = [
        "compare",
        "--task",
        "voc",
        "--data",
        "voc",
        "--classes",
        "one,two",
        "--loss",
        "zoo:mse",
        "--seeds",
        "1",
        "--json",
        "--set",
        "task.full.training.steps=2",
        "--proxy",
        "--set",
        "task.training.steps=1",
        "--set",
        "task.training.crop=24",
        "--set",
        "task.training.batch=2",
    ];
    let said = dir.json(&arguments);
    assert_eq!(said["comparisons"][0]["name"], "mse");

    write_labels(&dir.path("voc/SegmentationClass/c.png"), 20, &[1; 40 * 32]);
    let said = dir.fails(1, &arguments);
    assert!(said.contains("c.png"), "{said}");
    write_labels(&dir.path("voc/SegmentationClass/c.png"), 40, &[7; 40 * 32]);
    let said = dir.fails(1, &arguments);
    assert!(said.contains("c.png") && said.contains('7'), "{said}");
    fs::remove_file(dir.path("voc/JPEGImages/a.png")).unwrap();
    let said = dir.fails(1, &arguments);
    assert!(said.contains("JPEGImages"), "{said}");
}
