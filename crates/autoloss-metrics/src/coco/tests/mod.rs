//! The evaluation as a whole: recorded numbers of pycocotools, input of any form.

mod errors;
mod keypoints;
mod notes;
mod plain;
mod recorded;
mod robust;

use super::*;

const KINDS: [Kind; 3] = [Kind::Box, Kind::Mask, Kind::Keypoints];

/// Small cases that `tests/reference/coco_reference.py` made, with the numbers of pycocotools.
const RECORDED: &str = include_str!("../../../tests/fixtures/coco.jsonl");

fn score(target: &[u8], results: &[u8], kind: Kind) -> Result<Summary, CocoError> {
    let annotations = Annotations::from_json(target, kind)?;
    evaluate(&annotations, &Results::from_json(results, &annotations)?)
}

fn values(summary: &Summary) -> Vec<f64> {
    summary.rows().map(|(_, value)| value).collect()
}

/// A target of one category in one image.
fn square(x: f64) -> Target {
    Target {
        image_id: 1,
        category_id: 1,
        area: 100.0,
        crowd: false,
        ignored: false,
        bbox: None,
        region: Region::Box([x, 0.0, 10.0, 10.0]),
    }
}

fn annotations(targets: Vec<Target>) -> Annotations {
    Annotations {
        images: vec![Image {
            id: 1,
            ..Image::default()
        }],
        categories: vec![Category {
            id: 1,
            name: "square".to_owned(),
            ..Category::default()
        }],
        targets,
        ..Annotations::empty(Kind::Box)
    }
}

/// An annotation file with one annotation, a part of which is replaced.
fn file(replace: &str, by: &str) -> String {
    let text = r#"{"images": [{"id": 1, "height": 9, "width": 9}], "categories": [{"id": 1}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4,
        "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}"#;
    assert!(text.contains(replace));
    text.replace(replace, by)
}

/// An annotation file of two images, two categories and four squares, changed as `change` says.
fn squares(change: impl Fn(&mut serde_json::Value)) -> String {
    let annotation = |id: i64, image: i64, category: i64, x: i64| {
        serde_json::json!({
            "id": id, "image_id": image, "category_id": category, "iscrowd": 0, "area": 400,
            "bbox": [x, 10, 20, 20],
            "segmentation": [[x, 10, x + 20, 10, x + 20, 30, x, 30]],
        })
    };
    let mut file = serde_json::json!({
        "images": [{"id": 1, "height": 100, "width": 100}, {"id": 2, "height": 100, "width": 100}],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            annotation(1, 1, 1, 0), annotation(2, 1, 2, 30), annotation(3, 2, 1, 60),
            annotation(4, 2, 2, 20),
        ],
    });
    change(&mut file);
    file.to_string()
}

/// The AP, without its last bits.
fn ap(annotations: &Annotations, results: &Results) -> f64 {
    let summary = evaluate(annotations, results).unwrap();
    (summary.get("AP").unwrap() * 1e9).round() / 1e9
}

/// The annotations of a file as results.
fn as_results(file: &str) -> String {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let mut entries = file["annotations"].as_array().unwrap().clone();
    for entry in &mut entries {
        entry["score"] = 0.5.into();
        entry.as_object_mut().unwrap().remove("segmentation");
    }
    serde_json::Value::Array(entries).to_string()
}

/// The AP of perfect results, and the notes on the file.
fn perfect(change: impl Fn(&mut serde_json::Value), kind: Kind) -> (f64, String) {
    let file = squares(change);
    let annotations = Annotations::from_json(file.as_bytes(), kind).unwrap();
    let results = Results::from_json(as_results(&squares(|_| {})).as_bytes(), &annotations);
    let results = match annotations.texts.is_empty() {
        true => results.unwrap(),
        false => Results::from_json(as_results(&file).as_bytes(), &annotations).unwrap(),
    };
    let ap = ap(&annotations, &results);
    (ap, annotations.notes.join("\n"))
}
