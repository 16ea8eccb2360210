//! `autoloss score detection`, `mask` and `keypoints`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Dir;

const FILES: [&str; 4] = ["--target", "target.json", "--pred", "results.json"];

fn arguments<'a>(kind: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["score", kind][..], &FILES, more].concat()
}

fn write(dir: &Dir, name: &str, value: &Value) {
    fs::write(dir.path(name), value.to_string()).unwrap();
}

/// An image with a square of 10 pixels a side for each of two categories; a third has none.
fn two_squares() -> Value {
    let square = |id: i64, x: i64| {
        json!({
            "id": id, "image_id": 7, "category_id": id, "iscrowd": 0, "area": 100,
            "bbox": [x, 0, 10, 10],
            "segmentation": [[x, 0, x + 10, 0, x + 10, 10, x, 10]],
        })
    };
    let category = |id: i64, name: &str| json!({"id": id, "name": name});
    json!({
        "images": [{"id": 7, "height": 20, "width": 60}],
        "categories": [category(1, "cat"), category(2, "dog"), category(3, "emu")],
        "annotations": [square(1, 0), square(2, 30)],
    })
}

/// One of the squares found with an overlap of 0.8, the other missed; one of no category.
fn one_found() -> Value {
    let found = |category: i64, bbox: Value| json!({"image_id": 7, "category_id": category, "score": 0.9, "bbox": bbox});
    json!([
        found(1, json!([0, 0, 10, 8])),
        found(2, json!([50, 0, 10, 10])),
        found(9, json!([0, 0, 10, 10])),
    ])
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-9, "{value}, {expected}");
}

#[test]
fn boxes_and_their_masks_are_scored() {
    let dir = Dir::new();
    write(&dir, "target.json", &two_squares());
    write(&dir, "results.json", &one_found());
    for kind in ["detection", "mask"] {
        let said = dir.json(&arguments(kind, &["--json"]));
        // 0.8 reaches seven of the ten thresholds, for one of two categories.
        close(&said["metrics"]["AP"], 0.35);
        close(&said["metrics"]["AP50"], 0.5);
        close(&said["metrics"]["AR1"], 0.35);
        close(&said["metrics"]["APs"], 0.35);
        close(&said["metrics"]["APl"], -1.0);
        assert_eq!(said["metrics"].as_object().unwrap().len(), 12);
        let categories = said["categories"].as_array().unwrap();
        assert_eq!(categories[0]["name"], "cat");
        for (category, ap) in categories.iter().zip([0.7, 0.0, -1.0]) {
            close(&category["AP"], ap);
        }
        assert_eq!(
            [
                &said["images"],
                &said["targets"],
                &said["predictions"],
                &said["predictions_of_no_category"]
            ],
            [1, 2, 3, 1]
        );
    }
    let text = dir.ok(&arguments("detection", &[]));
    insta::assert_snapshot!("score_detection", text);
}

#[test]
fn keypoints_are_scored() {
    let dir = Dir::new();
    let points = |shift: f64| {
        let points = (0..17).flat_map(|n| [10.0 + shift + f64::from(n), 20.0, 2.0]);
        points.collect::<Vec<f64>>()
    };
    let target = json!({
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{
            "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 2000,
            "bbox": [10, 10, 40, 50], "keypoints": points(0.0), "num_keypoints": 17,
        }],
    });
    write(&dir, "target.json", &target);
    let found = |shift: f64| json!([{"image_id": 1, "category_id": 1, "score": 1, "keypoints": points(shift)}]);
    write(&dir, "results.json", &found(0.0));
    let said = dir.json(&arguments("keypoints", &["--json"]));
    close(&said["metrics"]["AP"], 1.0);
    close(&said["metrics"]["APm"], 1.0);
    close(&said["metrics"]["APl"], -1.0);
    assert_eq!(said["metrics"].as_object().unwrap().len(), 10);
    write(&dir, "results.json", &found(500.0));
    close(
        &dir.json(&arguments("keypoints", &["--json"]))["metrics"]["AP"],
        0.0,
    );
    // One category needs no table of its own.
    let text = dir.ok(&arguments("keypoints", &[]));
    assert!(
        text.contains("OKS") && !text.contains("category  "),
        "{text}"
    );
}

#[test]
fn more_predictions_count_and_sigmas_are_given() {
    let dir = Dir::new();
    let square = |n: i64| json!({"id": n + 1, "image_id": 1, "category_id": 1, "bbox": [20 * n, 0, 10, 10], "score": 0.5});
    let squares: Vec<Value> = (0..130).map(square).collect();
    let target = json!({
        "images": [{"id": 1}], "categories": [{"id": 1, "name": "cell"}], "annotations": squares,
    });
    write(&dir, "target.json", &target);
    write(&dir, "results.json", &target["annotations"]);
    let said = dir.json(&arguments("detection", &["--json"]));
    assert_eq!(said["predictions_beyond_limit"], 30);
    let warnings = said["warnings"].to_string();
    for expected in [
        "no `iscrowd`",
        "no `area`",
        "30 of 130 predictions do not count",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
    let said = dir.json(&arguments("detection", &["--json", "--max-dets", "130"]));
    close(&said["metrics"]["AR130"], 1.0);
    assert_eq!(said["predictions_beyond_limit"], 0);
    dir.fails(2, &arguments("detection", &["--max-dets", "0"]));

    let person = json!({
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 900, "bbox": [0, 0, 30, 30],
        "keypoints": [5, 5, 2, 20, 20, 2], "num_keypoints": 2, "score": 1,
    });
    let target = json!({
        "images": [{"id": 1}], "categories": [{"id": 1, "name": "hand"}], "annotations": [person],
    });
    write(&dir, "target.json", &target);
    let mut found = target["annotations"].clone();
    found[0]["keypoints"] = json!([7, 5, 1, 20, 20, 1]);
    write(&dir, "results.json", &found);
    let ap = |sigmas: &str| {
        let more = ["--json", "--sigmas", sigmas];
        let said = dir.json(&arguments("keypoints", &more));
        assert_eq!(said["warnings"], json!([]));
        said["metrics"]["AP"].as_f64().unwrap()
    };
    // The larger its sigma, the less a keypoint that is aside costs.
    assert!(ap("0.01,0.1") < ap("0.5,0.1"));
    let text = dir.ok(&arguments("keypoints", &[]));
    assert!(
        text.contains("has 2 keypoints, for which no sigmas are known"),
        "{text}"
    );
    let said = dir.fails(2, &arguments("keypoints", &["--sigmas", "0.1"]));
    assert!(
        said.contains("--sigmas: 1 sigmas given, but category `hand` has 2"),
        "{said}"
    );
}

#[test]
fn bad_files_are_named() {
    let dir = Dir::new();
    let target = two_squares().to_string();
    let results = one_found().to_string();
    let fails = |target: &str, results: &str, kind: &str, expected: &str| {
        fs::write(dir.path("target.json"), target).unwrap();
        fs::write(dir.path("results.json"), results).unwrap();
        let said = dir.fails(1, &arguments(kind, &[]));
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    };
    let half = &target[..target.len() / 2];
    let early = "the file breaks off here";
    fails(half, &results, "detection", early);
    fails(
        &results,
        &target,
        "detection",
        "target.json: expected an object, found a list",
    );
    let no_box = target.replacen("\"bbox\"", "\"bobx\"", 1);
    fails(
        &no_box,
        &results,
        "detection",
        "target.json: annotations[0] (id 1) has no `bbox`",
    );
    let no_size = target.replace("\"height\"", "\"hieght\"");
    fails(
        &no_size,
        &results,
        "mask",
        "target.json: annotations[0] (id 1): image 7 has no `height` and `width` 60: expected",
    );
    fails(
        &target,
        &results,
        "keypoints",
        "target.json: annotations[0] (id 1) has no `keypoints`",
    );
    let unknown = results.replacen("\"image_id\":7", "\"image_id\":8", 1);
    fails(
        &target,
        &unknown,
        "detection",
        "results.json: results[0] is of image 8, which the annotations do not have",
    );
    let score = results.replacen("0.9", "\"high\"", 1);
    fails(
        &target,
        &score,
        "detection",
        "results.json: results[0].score: expected a number, found a text",
    );
    let mask = r#"[{"image_id": 7, "category_id": 1, "score": 1, "segmentation": {"size": [20, 60], "counts": "00"}}]"#;
    fails(
        &target,
        mask,
        "mask",
        "results.json: results[0]: the runs of the mask cover 0 pixels, expected 20 x 60",
    );
    fs::remove_file(dir.path("results.json")).unwrap();
    let said = dir.fails(1, &arguments("detection", &[]));
    assert!(said.contains("results.json: cannot be read"), "{said}");
    dir.fails(2, &["score", "detection", "--pred", "results.json"]);
    dir.fails(2, &["score", "boxes"]);
}

#[test]
fn a_sample_of_coco_outside_the_repository_is_scored() {
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/coco-sample/annotations");
    if !sample.exists() {
        println!("skipped: {} is absent", sample.display());
        return;
    }
    let dir = Dir::new();
    let target = fs::read(sample.join("person_keypoints_sample.json")).unwrap();
    fs::write(dir.path("target.json"), &target).unwrap();
    fs::copy(
        sample.join("person_detections_sample.json"),
        dir.path("results.json"),
    )
    .unwrap();
    // The numbers of pycocotools.
    let ap = |kind| dir.json(&arguments(kind, &["--json"]))["metrics"]["AP"].clone();
    close(&ap("detection"), 0.789_121_400_399_149_2);
    close(&ap("mask"), 0.019_815_578_332_026_75);
    // The targets as results.
    let mut target: Value = serde_json::from_slice(&target).unwrap();
    for annotation in target["annotations"].as_array_mut().unwrap() {
        annotation["score"] = json!(0.5);
    }
    write(&dir, "results.json", &target["annotations"]);
    close(&ap("detection"), 1.0);
    close(&ap("mask"), 1.0);
    // Less than 1: people without any labelled keypoint match nothing, as their own zeros lie far off.
    close(&ap("keypoints"), 0.893_917_963_224_893_9);
}
