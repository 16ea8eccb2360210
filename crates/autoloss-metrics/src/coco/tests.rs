//! The evaluation as a whole: recorded numbers of pycocotools, input of any form.

use std::path::Path;

use proptest::prelude::*;

use crate::coco::{
    self, Annotations, CocoError, Item, Kind, MaskError, Results, Summary, evaluate,
};
use crate::coco::{Category, Image, Prediction, Shape, Target};

#[path = "../../tests/reference/check.rs"]
mod check;

const KINDS: [Kind; 3] = [Kind::Box, Kind::Mask, Kind::Keypoints];

/// Small cases that `tests/reference/coco_reference.py` made, with the numbers of pycocotools.
const RECORDED: &str = include_str!("../../tests/fixtures/coco.jsonl");

fn score(target: &[u8], results: &[u8], kind: Kind) -> Result<Summary, CocoError> {
    let annotations = Annotations::from_json(target, kind)?;
    evaluate(&annotations, &Results::from_json(results, &annotations)?)
}

fn values(summary: &Summary) -> Vec<f64> {
    summary.rows().map(|(_, value)| value).collect()
}

#[test]
fn numbers_are_those_of_pycocotools() {
    let report = check::compare(RECORDED);
    assert!(report.differences.is_empty(), "{:#?}", report.differences);
    assert!(report.compared > 100 && report.failed > 0, "{report:?}");
}

#[test]
fn a_comparison_can_fail() {
    // A number that no mean of the case is.
    let changed = RECORDED.replace("\"stats\": [", "\"stats\": [0.123456789, ");
    assert!(!check::compare(&changed).differences.is_empty());
}

#[test]
fn real_images_outside_the_repository_are_scored_as_by_pycocotools() {
    let dir =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/coco-sample/annotations");
    if !dir.exists() {
        println!("skipped: {} is absent", dir.display());
        return;
    }
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let target = read("person_keypoints_sample.json");
    let results = read("person_detections_sample.json");
    let boxes = [
        0.789_121_400_399_149_2,
        0.982_398_239_823_982_4,
        0.982_398_239_823_982_4,
        0.650_495_049_504_950_5,
        0.766_619_519_094_766_7,
        0.872_169_532_742_748,
        0.278_571_428_571_428_6,
        0.828_571_428_571_428_6,
        0.842_857_142_857_142_9,
        0.65,
        0.82,
        0.914_285_714_285_714_3,
    ];
    let masks = [
        0.019_815_578_332_026_75,
        0.121_737_173_717_371_74,
        0.0,
        0.121_531_353_135_313_5,
        0.031_188_118_811_881_188,
        0.009_299_858_557_284_3,
        0.0,
        0.071_428_571_428_571_42,
        0.085_714_285_714_285_72,
        0.25,
        0.08,
        0.042_857_142_857_142_86,
    ];
    for (kind, expected) in [(Kind::Box, boxes), (Kind::Mask, masks)] {
        let summary = score(&target, &results, kind).unwrap();
        for (ours, expected) in values(&summary).into_iter().zip(expected) {
            assert!(
                (ours - expected).abs() <= check::TOLERANCE,
                "{kind}: {ours}, {expected}"
            );
        }
    }
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
        shape: Shape::Box([x, 0.0, 10.0, 10.0]),
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

#[test]
fn plain_structs_are_scored_without_files() {
    let annotations = annotations(vec![square(0.0), square(50.0)]);
    let found = |category, score, x| Prediction::of_box(1, category, score, [x, 0.0, 10.0, 10.0]);
    let results = vec![found(1, 0.9, 0.0), found(1, 0.8, 30.0), found(7, 1.0, 50.0)];
    let summary = evaluate(&annotations, &results.into()).unwrap();
    // Recall 0 to 0.5 at precision 1.
    assert!((summary.get("AP").unwrap() - 51.0 / 101.0).abs() < 1e-12);
    assert_eq!(
        (summary.get("AR1"), summary.get("APl")),
        (Some(0.5), Some(-1.0))
    );
    assert_eq!((summary.predictions, summary.of_no_category), (3, 1));
    assert_eq!(summary.categories[0].ap, summary.get("AP").unwrap());
}

#[test]
fn nothing_found_and_nothing_to_find() {
    let nothing = evaluate(&annotations(vec![square(0.0)]), &Results::default()).unwrap();
    assert_eq!(
        (nothing.get("AP"), nothing.get("AR100")),
        (Some(0.0), Some(0.0))
    );
    let nothing = evaluate(&annotations(Vec::new()), &Results::default()).unwrap();
    assert!(values(&nothing).iter().all(|&value| value == -1.0));
}

#[test]
fn shapes_of_another_kind_are_named() {
    let mask = coco::Mask::from_runs(vec![4], 2, 2).unwrap();
    let results = vec![Prediction::of_mask(1, 1, 0.5, mask)];
    let error = evaluate(&annotations(Vec::new()), &results.into()).unwrap_err();
    assert_eq!(error.to_string(), "results[0] has a mask, expected a box");
}

/// An annotation file with one annotation, a part of which is replaced.
fn file(replace: &str, by: &str) -> String {
    let text = r#"{"images": [{"id": 1, "height": 9, "width": 9}], "categories": [{"id": 1}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4,
        "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}"#;
    assert!(text.contains(replace));
    text.replace(replace, by)
}

#[test]
fn bad_annotations_are_named() {
    let cases = [
        (
            "[{\"id\": 1, \"h",
            Kind::Box,
            "images: no JSON: expected value",
        ),
        (
            "0, 0, 2, 2]",
            Kind::Box,
            "annotations[0].bbox[0]: no JSON in line 3: expected",
        ),
        (
            "\"bbox\": [0, 0, 2, 2],",
            Kind::Box,
            "annotations[0] (id 5) has no `bbox`",
        ),
        (
            "\"height\": 9,",
            Kind::Mask,
            "annotations[0] (id 5): image 1 has no `height` and `width` 9",
        ),
        (
            "[0, 0, 2, 0, 2, 2, 0, 2]",
            Kind::Mask,
            "annotations[0] (id 5): the list of polygons is empty",
        ),
        (
            "2, 2, 0, 2",
            Kind::Mask,
            "annotations[0].segmentation[0][3]: no JSON in line 3: trailing comma",
        ),
        (
            "\"categories\": [{\"id\": 1}],",
            Kind::Box,
            "no `categories` in the annotations",
        ),
        (
            "]}]}",
            Kind::Box,
            "annotations[0]: the file breaks off here",
        ),
    ];
    for (removed, kind, expected) in cases {
        let text = file(removed, "");
        let error = Annotations::from_json(text.as_bytes(), kind).unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "without {removed}: {error}"
        );
    }
    let rle = "{\"size\": [9, 8], \"counts\": [0, 72]}";
    let cases = [
        (
            "0, 0, 2, 2]",
            "0, 0, 2]",
            Kind::Box,
            "annotations[0] (id 5): `bbox` holds 3 numbers, expected 4",
        ),
        (
            "\"id\": 5",
            "\"id\": 5.5",
            Kind::Box,
            "annotations[0].id: expected a whole number, found 5.5",
        ),
        (
            "\"area\": 4",
            "\"area\": \"4\"",
            Kind::Box,
            "annotations[0].area: expected a number, found a text",
        ),
        (
            "[0, 0, 2, 2]",
            "[0, 0, null, 2]",
            Kind::Box,
            "annotations[0].bbox[2]: expected a number, found null",
        ),
        (
            "\"iscrowd\": 0",
            "\"iscrowd\": 300",
            Kind::Box,
            "annotations[0].iscrowd: expected 0 or 1, found 300",
        ),
        (
            "\"height\": 9",
            "\"height\": -1",
            Kind::Mask,
            "annotations[0] (id 5): image 1 has `height` -1 and `width` 9: expected a height and a width of 1 or more",
        ),
        (
            "[[0, 0, 2, 0, 2, 2, 0, 2]]",
            rle,
            Kind::Mask,
            "annotations[0] (id 5): its mask has 9 rows and 8 columns, but image 1 has 9 and 9",
        ),
    ];
    for (from, to, kind, expected) in cases {
        let text = file(from, to);
        let error = Annotations::from_json(text.as_bytes(), kind).unwrap_err();
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
}

#[test]
fn annotations_that_do_not_count_may_lack_fields() {
    for (from, to) in [
        ("\"image_id\": 1", "\"image_id\": 2"),
        ("\"category_id\": 1", "\"category_id\": 2"),
    ] {
        let text = file(from, to).replace("\"area\": 4,", "");
        let annotations = Annotations::from_json(text.as_bytes(), Kind::Box).unwrap();
        assert_eq!(annotations.targets, []);
    }
}

#[test]
fn bad_results_are_named() {
    let annotations = |kind| Annotations::from_json(file("", "").as_bytes(), kind).unwrap();
    let entry =
        |rest: &str| format!("[{{\"image_id\": 1, \"category_id\": 1, \"score\": 0.5, {rest}}}]");
    let cases = [
        (
            "\"bbox\": [0, 0, 1]",
            Kind::Box,
            "results[0]: `bbox` holds 3 numbers, expected 4",
        ),
        ("\"caption\": \"a\"", Kind::Box, "the results are captions"),
        (
            "\"x\": 1",
            Kind::Box,
            "results[0] has no `bbox`: expected `bbox`, `segmentation` or `keypoints`",
        ),
        (
            "\"keypoints\": []",
            Kind::Box,
            "results[0] has no `keypoints`: expected x, y and visibility",
        ),
        (
            "\"segmentation\": {}",
            Kind::Mask,
            "results[0].segmentation: expected `size`",
        ),
        (
            "\"segmentation\": {\"size\": [9, 9], \"counts\": \"00\"}",
            Kind::Mask,
            "results[0]: the runs of the mask cover 0 pixels, expected 9 x 9",
        ),
        (
            "\"segmentation\": {\"size\": [9, 9], \"counts\": [81]}",
            Kind::Box,
            "results[0]: `segmentation` is no compressed mask",
        ),
        (
            "\"segmentation\": [[0, 0, 2, 0, 2, 2]]",
            Kind::Mask,
            "results[0]: `segmentation` is no compressed mask",
        ),
        (
            "\"segmentation\": {\"size\": [9, 9], \"counts\": [-1]}",
            Kind::Mask,
            "results[0].segmentation.counts[0]: expected 0 to 4294967295, found -1",
        ),
        (
            "\"bbox\": [0, 0, 1e99, 1]",
            Kind::Mask,
            "results[0]: a polygon has the coordinate",
        ),
        (
            "\"bbox\": [0, 0, 1, 1], \"image_id\": 8",
            Kind::Box,
            "results[0] is of image 8",
        ),
        (
            "\"bbox\": [0, 0, 1, 1], \"score\": \"high\"",
            Kind::Box,
            "results[0].score: expected a number, found a text",
        ),
        (
            "\"segmentation\": {\"size\": [9, 8], \"counts\": \"0X2\"}",
            Kind::Mask,
            "results[0]: its mask has 9 rows and 8 columns, but image 1 has 9 and 9",
        ),
    ];
    for (rest, kind, expected) in cases {
        let error = Results::from_json(entry(rest).as_bytes(), &annotations(kind)).unwrap_err();
        assert!(error.to_string().contains(expected), "{rest}: {error}");
    }
    let error = Results::from_json(b"{}", &annotations(Kind::Box)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "results: expected a list, found an object"
    );
    let no_score = br#"[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}]"#;
    let error = Results::from_json(no_score, &annotations(Kind::Box)).unwrap_err();
    assert!(
        error.to_string().contains("results[0] has no `score`"),
        "{error}"
    );
}

#[test]
fn numbers_that_are_none_are_read_as_python_does() {
    let annotations =
        Annotations::from_json(file("\"id\": 5", "\"id\": 5.0").as_bytes(), Kind::Box).unwrap();
    assert_eq!(annotations.notes, [""; 0]);
    let results = br#"[{"image_id": 1, "category_id": 1, "score": NaN, "bbox": [0, -Infinity, Infinity, 1e999]},
        {"image_id": 3, "image_id": 1, "category_id": 1, "score": -Infinity, "bbox": [0, 0, 2, 2]}]"#;
    let results = Results::from_json(results, &annotations).unwrap();
    assert!(results.predictions[0].score.is_nan());
    // NaN comes last: what is found with a score of −∞ comes before it.
    let summary = evaluate(&annotations, &results).unwrap();
    assert!((summary.get("AP").unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn items_and_masks_have_names() {
    let error = CocoError::Mask {
        item: Item::Annotation { index: 3, id: None },
        problem: MaskError::Truncated,
    };
    assert!(
        error
            .to_string()
            .starts_with("annotations[3]: the compressed mask ends")
    );
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

/// The AP of perfect results, and what is said of the file.
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

#[test]
fn what_other_programs_leave_out_is_assumed_and_said() {
    fn remove(field: &'static str) -> impl Fn(&mut serde_json::Value) {
        move |file| {
            for entry in file["annotations"].as_array_mut().unwrap() {
                entry.as_object_mut().unwrap().remove(field);
            }
        }
    }
    for kind in [Kind::Box, Kind::Mask] {
        assert_eq!(perfect(|_| {}, kind), (1.0, String::new()));
    }
    let (ap, notes) = perfect(remove("iscrowd"), Kind::Box);
    assert_eq!(
        (ap, &*notes),
        (1.0, "4 of 4 annotations have no `iscrowd`: taken as 0")
    );
    for (kind, source) in [(Kind::Box, "box"), (Kind::Mask, "mask")] {
        let file = squares(remove("area"));
        let annotations = Annotations::from_json(file.as_bytes(), kind).unwrap();
        assert!(
            annotations
                .targets
                .iter()
                .all(|target| target.area == 400.0)
        );
        let said = format!("4 of 4 annotations have no `area`: taken from the {source}");
        assert_eq!(annotations.notes, [said]);
    }
    let null =
        |file: &mut serde_json::Value| file["annotations"][1]["iscrowd"] = serde_json::Value::Null;
    assert!(
        perfect(null, Kind::Box)
            .1
            .starts_with("1 of 4 annotations have no `iscrowd`")
    );
    let null = |file: &mut serde_json::Value| {
        file["images"][0]["height"] = serde_json::Value::Null;
        file["images"][1].as_object_mut().unwrap().remove("width");
    };
    assert_eq!(perfect(null, Kind::Box), (1.0, String::new()));
}

#[test]
fn every_target_counts_whatever_its_id_and_is_said() {
    let zero = |file: &mut serde_json::Value| file["annotations"][0]["id"] = 0.into();
    let (ap, notes) = perfect(zero, Kind::Box);
    assert_eq!(ap, 1.0);
    assert!(notes.starts_with("1 annotation has the id 0: "), "{notes}");
    assert!(
        notes.contains("pycocotools takes a match with it for none"),
        "{notes}"
    );
    let repeated = |file: &mut serde_json::Value| {
        for (index, id) in [1, 2, 1, 2].into_iter().enumerate() {
            file["annotations"][index]["id"] = id.into();
        }
    };
    let (ap, notes) = perfect(repeated, Kind::Mask);
    assert_eq!(ap, 1.0);
    assert!(
        notes.starts_with("2 annotations have an id that an annotation before has (1, 2)"),
        "{notes}"
    );
}

#[test]
fn ids_may_be_texts() {
    let texts = |file: &mut serde_json::Value| {
        let named = |id: &serde_json::Value| format!("frame_{id}").into();
        for list in ["images", "annotations"] {
            let field = if list == "images" { "id" } else { "image_id" };
            for entry in file[list].as_array_mut().unwrap() {
                entry[field] = named(&entry[field]);
            }
        }
    };
    let (ap, notes) = perfect(texts, Kind::Box);
    assert_eq!(ap, 1.0);
    assert!(
        notes.contains("2 ids of images or categories are texts"),
        "{notes}"
    );
    let file = squares(texts);
    let annotations = Annotations::from_json(file.as_bytes(), Kind::Box).unwrap();
    let unknown = as_results(&file).replace("frame_2", "frame_3");
    let error = Results::from_json(unknown.as_bytes(), &annotations).unwrap_err();
    assert!(
        error.to_string().contains("is of image frame_3, which"),
        "{error}"
    );
    // A text that is a number is that number.
    let digits = squares(|_| {}).replace("\"image_id\":1", "\"image_id\":\"1\"");
    assert_ne!(digits, squares(|_| {}));
    let annotations = Annotations::from_json(digits.as_bytes(), Kind::Box).unwrap();
    assert_eq!((annotations.targets.len(), annotations.notes.len()), (4, 0));
}

#[test]
fn entries_that_do_not_count_are_said() {
    let unlisted = |file: &mut serde_json::Value| {
        file["annotations"][0]["category_id"] = 0.into();
        file["annotations"][1]["category_id"] = 1.into();
        file["annotations"][3]["image_id"] = 99.into();
    };
    let (_, notes) = perfect(unlisted, Kind::Box);
    for said in [
        "1 annotations do not count: `images` does not list the images 99",
        "1 annotations do not count: `categories` does not list the categories 0",
        "all category ids of the annotations seem to be off by one (counted from 0 instead of 1)",
    ] {
        assert!(notes.contains(said), "{notes}");
    }
    let annotations = Annotations::from_json(squares(|_| {}).as_bytes(), Kind::Box).unwrap();
    let shifted = as_results(&squares(|_| {}))
        .replace("\"category_id\":1", "\"category_id\":0")
        .replace("\"category_id\":2", "\"category_id\":1");
    let results = Results::from_json(shifted.as_bytes(), &annotations).unwrap();
    assert_eq!((results.predictions.len(), results.of_no_category), (2, 2));
    let notes = results.notes.join("\n");
    assert!(notes.contains("2 predictions do not count"), "{notes}");
    assert!(
        notes.contains("off by one (counted from 0 instead of 1)"),
        "{notes}"
    );
    // Any other category is just not there.
    let other = as_results(&squares(|_| {})).replace("\"category_id\":2", "\"category_id\":7");
    let results = Results::from_json(other.as_bytes(), &annotations).unwrap();
    assert_eq!(results.notes.len(), 1, "{:?}", results.notes);
}

#[test]
fn boxes_that_are_none_in_pixels_are_said() {
    let boxes = |make: fn(f64) -> [f64; 4]| {
        let file = squares(|file| {
            for (index, entry) in file["annotations"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .enumerate()
            {
                entry["bbox"] = make(index as f64).to_vec().into();
            }
        });
        let annotations = Annotations::from_json(file.as_bytes(), Kind::Box).unwrap();
        let results = Results::from_json(as_results(&file).as_bytes(), &annotations).unwrap();
        assert_eq!(annotations.notes.len(), results.notes.len());
        annotations.notes.join("\n")
    };
    let shares = boxes(|k| [0.1 * k, 0.2, 0.3, 0.4]);
    assert!(shares.contains("lie between 0 and 1"), "{shares}");
    let corners = boxes(|k| [10.0 + k, 30.0, 60.0, 90.0]);
    assert!(corners.contains("look like corners"), "{corners}");
    assert!(
        corners.contains("4 of 4 reach beyond their image"),
        "{corners}"
    );
    assert_eq!(boxes(|k| [10.0 * k, 0.0, 60.0, 20.0]), "");
    // One pixel, and a box that reaches beyond its image a little.
    assert_eq!(boxes(|_| [0.0, 0.0, 1.0, 1.0]), "");
    assert_eq!(boxes(|_| [70.0, 10.0, 33.0, 20.0]), "");
}

#[test]
fn byte_order_marks_and_line_ends_of_windows_are_passed_over() {
    let pretty = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        format!("\u{feff}{}", format!("{value:#}").replace('\n', "\r\n"))
    };
    let file = squares(|_| {});
    let annotations = Annotations::from_json(pretty(&file).as_bytes(), Kind::Box).unwrap();
    let results = Results::from_json(pretty(&as_results(&file)).as_bytes(), &annotations).unwrap();
    assert_eq!(ap(&annotations, &results), 1.0);
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(file.bytes()).collect();
    let error = Annotations::from_json(&utf16, Kind::Box).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
}

#[test]
fn more_predictions_may_count() {
    let targets: Vec<Target> = (0..15).map(|k| square(f64::from(k) * 20.0)).collect();
    let annotations = annotations(targets);
    let found =
        (0..15).map(|k| Prediction::of_box(1, 1, 0.9, [f64::from(k) * 20.0, 0.0, 10.0, 10.0]));
    let results: Results = found.collect::<Vec<_>>().into();
    let most = |most| coco::evaluate_most(&annotations, &results, most).unwrap();
    let all = evaluate(&annotations, &results).unwrap();
    assert_eq!(
        (all.get("AR100"), all.beyond_limit, all.limit),
        (Some(1.0), 0, 100)
    );
    let few = most(12);
    assert!((few.get("AR12").unwrap() - 0.8).abs() < 1e-9);
    assert_eq!(few.get("AR100"), None);
    assert_eq!((few.beyond_limit, few.limit), (3, 12));
    assert_eq!(few.get("AR10"), all.get("AR10"));
    let one = most(1);
    assert_eq!((one.get("AR1"), one.beyond_limit), (Some(1.0 / 15.0), 14));
}

/// Persons with so many keypoints each, and the same as results.
fn people(points: usize, names: &[&str]) -> (String, String) {
    let keypoints: Vec<i64> = (0..points as i64)
        .flat_map(|k| [10 + 7 * k % 50, 20 + 11 * k % 60, 2])
        .collect();
    let entry = serde_json::json!({
        "id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "area": 2500,
        "bbox": [10, 20, 50, 60], "keypoints": keypoints, "num_keypoints": points, "score": 0.5,
    });
    let file = serde_json::json!({
        "images": [{"id": 1}],
        "categories": [{"id": 3, "name": "person", "keypoints": names, "skeleton": [[1, 2], [2, 99]]}],
        "annotations": [entry],
    });
    (file.to_string(), serde_json::json!([entry]).to_string())
}

#[test]
fn keypoints_may_be_of_any_number_with_sigmas_of_their_own() {
    let (file, results) = people(5, &["a", "b", "c", "d", "e"]);
    let read = |sigmas: Option<&[f64]>| {
        let file = coco::AnnotationFile::read(file.as_bytes(), Kind::Keypoints).unwrap();
        file.annotations(sigmas)
    };
    let annotations = read(None).unwrap();
    assert_eq!(
        annotations.categories[0].sigmas,
        [coco::keypoints::DEFAULT_SIGMA; 5]
    );
    assert_eq!(annotations.categories[0].skeleton, [[0, 1]]);
    assert!(annotations.notes[0].contains("5 keypoints, for which no sigmas are known"));
    let own = read(Some(&[0.1, 0.2, 0.3, 0.4, 0.5])).unwrap();
    assert_eq!((own.categories[0].sigmas[4], own.notes.len()), (0.5, 0));
    let score = |annotations: &Annotations, results: &str| {
        let results = Results::from_json(results.as_bytes(), annotations).unwrap();
        ap(annotations, &results)
    };
    assert_eq!(score(&own, &results), 1.0);
    // The larger its sigma, the less a keypoint that is aside costs.
    let aside = results.replace("[10,20,2,", "[35,20,2,");
    assert_ne!(aside, results);
    let strict = read(Some(&[0.01, 0.2, 0.3, 0.4, 0.5])).unwrap();
    let lenient = read(Some(&[9.0, 0.2, 0.3, 0.4, 0.5])).unwrap();
    assert!(score(&strict, &aside) < score(&lenient, &aside));
    for (sigmas, said) in [
        (
            &[0.1, 0.2][..],
            "2 sigmas given, but category `person` has 5",
        ),
        (&[0.1, 0.2, 0.3, 0.4, 0.0], "a sigma of 0"),
    ] {
        let error = read(Some(sigmas)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    // A prediction of another number is named.
    let (_, other) = people(4, &[]);
    let error = Results::from_json(other.as_bytes(), &annotations).unwrap_err();
    assert_eq!(
        error.to_string(),
        "results[0]: `keypoints` holds 12 numbers, expected 15"
    );
}

#[test]
fn seventeen_keypoints_have_the_sigmas_of_coco_and_other_names_are_said() {
    for (names, said) in [
        (Vec::new(), 0),
        (coco::keypoints::PERSON.to_vec(), 0),
        (vec!["k"; 17], 1),
    ] {
        let (file, results) = people(17, &names);
        let annotations = Annotations::from_json(file.as_bytes(), Kind::Keypoints).unwrap();
        assert_eq!(annotations.notes.len(), said, "{:?}", annotations.notes);
        assert_eq!(annotations.categories[0].sigmas[11], 1.07 / 10.0);
        let results = Results::from_json(results.as_bytes(), &annotations).unwrap();
        assert_eq!(ap(&annotations, &results), 1.0);
    }
}

#[test]
fn objects_without_keypoints_need_not_be_found() {
    let (file, results) = people(17, &[]);
    let mut value: serde_json::Value = serde_json::from_str(&file).unwrap();
    let mut empty = value["annotations"][0].clone();
    empty["id"] = 2.into();
    empty["keypoints"] = serde_json::json!([]);
    empty["num_keypoints"] = 0.into();
    value["annotations"].as_array_mut().unwrap().push(empty);
    let annotations =
        Annotations::from_json(value.to_string().as_bytes(), Kind::Keypoints).unwrap();
    assert!(annotations.targets[1].ignored && !annotations.targets[0].ignored);
    assert!(annotations.notes[0].starts_with("1 of 2 annotations have no `keypoints`"));
    let results = Results::from_json(results.as_bytes(), &annotations).unwrap();
    assert_eq!(ap(&annotations, &results), 1.0);
}

#[test]
fn predictions_of_a_category_without_any_keypoint_are_read_and_find_nothing() {
    let (file, results) = people(17, &[]);
    let mut file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let mut results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let other = serde_json::json!({"id": 4, "name": "rider"});
    file["categories"].as_array_mut().unwrap().push(other);
    let mut empty = file["annotations"][0].clone();
    empty["id"] = 2.into();
    empty["category_id"] = 4.into();
    empty.as_object_mut().unwrap().remove("keypoints");
    // Whatever it states, there is nothing to compare with.
    empty["num_keypoints"] = 17.into();
    file["annotations"].as_array_mut().unwrap().push(empty);
    let mut found = results[0].clone();
    found["category_id"] = 4.into();
    results.as_array_mut().unwrap().push(found);
    let annotations = Annotations::from_json(file.to_string().as_bytes(), Kind::Keypoints).unwrap();
    assert!(annotations.targets[1].ignored);
    let results = Results::from_json(results.to_string().as_bytes(), &annotations).unwrap();
    assert_eq!(ap(&annotations, &results), 1.0);
}

/// The texts of the recorded cases.
fn recorded_texts() -> Vec<(String, String)> {
    let cases = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    cases
        .map(|case| (text(&case["target"]), text(&case["results"])))
        .collect()
}

#[test]
fn numbers_do_not_depend_on_the_number_of_threads() {
    for (target, results) in recorded_texts() {
        for kind in KINDS {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let scored = pool.install(|| score(target.as_bytes(), results.as_bytes(), kind));
                scored
                    .map(|summary| values(&summary))
                    .map_err(|error| error.to_string())
            };
            // As text: an error may hold a number that is not equal to itself.
            assert_eq!(format!("{:?}", on(1)), format!("{:?}", on(3)));
        }
    }
}

/// Changes of a text: a place as a share of its length, bytes to remove, bytes to insert.
fn changes() -> impl Strategy<Value = Vec<(f64, usize, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(vec![
            "null",
            "[",
            "]",
            "{",
            "}",
            "-",
            "1e999",
            "NaN",
            "0",
            ",",
            "\"",
            "\\u0000",
            "4294967296",
            "[]",
            "-1",
            "9223372036854775808",
            "true",
            "\"counts\":\"",
            "\"bbox\":[],",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((0.0..1.0, 0..6_usize, piece), 1..4)
}

fn changed(text: &str, changes: &[(f64, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (share, removed, inserted) in changes {
        let start = (share * bytes.len() as f64) as usize;
        let end = (start + removed).min(bytes.len());
        bytes.splice(start..end, inserted.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for kind in KINDS {
            let _ = Annotations::from_json(&bytes, kind);
            let annotations = Annotations { kind, ..annotations(Vec::new()) };
            let _ = Results::from_json(&bytes, &annotations);
        }
    }

    #[test]
    fn changed_files_are_scored_or_refused(
        case in any::<prop::sample::Index>(),
        target_changes in changes(),
        results_changes in changes(),
    ) {
        let texts = recorded_texts();
        let (target, results) = case.get(&texts);
        for kind in KINDS {
            let _ = score(&changed(target, &target_changes), results.as_bytes(), kind);
            if let Ok(summary) = score(target.as_bytes(), &changed(results, &results_changes), kind) {
                for value in values(&summary) {
                    prop_assert!(value == -1.0 || (0.0..=1.0).contains(&value));
                }
            }
        }
    }
}
