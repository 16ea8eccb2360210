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
fn square(id: i64, x: f64) -> Target {
    Target {
        id,
        image_id: 1,
        category_id: 1,
        area: 100.0,
        crowd: false,
        ignored: false,
        shape: Shape::Box([x, 0.0, 10.0, 10.0]),
    }
}

fn annotations(targets: Vec<Target>) -> Annotations {
    Annotations {
        kind: Kind::Box,
        images: vec![Image { id: 1, size: None }],
        categories: vec![Category {
            id: 1,
            name: "square".to_owned(),
        }],
        targets,
    }
}

#[test]
fn plain_structs_are_scored_without_files() {
    let annotations = annotations(vec![square(1, 0.0), square(2, 50.0)]);
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
    let nothing = evaluate(&annotations(vec![square(1, 0.0)]), &Results::default()).unwrap();
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
            "line 1, column 12: expected value",
        ),
        (
            "\"iscrowd\": 0,",
            Kind::Box,
            "annotations[0] (id 5) has no `iscrowd`: expected 0 or 1",
        ),
        (
            "\"area\": 4,",
            Kind::Box,
            "annotations[0] (id 5) has no `area`",
        ),
        ("\"id\": 5, ", Kind::Box, "annotations[0] has no `id`"),
        ("0, 0, 2, 2]", Kind::Box, "line 3, column 18: expected"),
        (
            "\"bbox\": [0, 0, 2, 2],",
            Kind::Box,
            "annotations[0] (id 5) has no `bbox`",
        ),
        (
            "\"height\": 9,",
            Kind::Mask,
            "image 1, whose `height` and `width`",
        ),
        (
            "[0, 0, 2, 0, 2, 2, 0, 2]",
            Kind::Mask,
            "annotations[0] (id 5): the list of polygons is empty",
        ),
        ("2, 2, 0, 2", Kind::Mask, "trailing comma"),
        (
            "\"categories\": [{\"id\": 1}],",
            Kind::Box,
            "no `categories` in the annotations",
        ),
        (
            "\"bbox\": [0, 0, 2, 2], ",
            Kind::Keypoints,
            "annotations[0] (id 5) has no `keypoints`",
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
    let cases = [
        (
            "0, 0, 2, 2]",
            "0, 0, 2]",
            "annotations[0] (id 5): `bbox` holds 3 numbers, expected 4",
        ),
        (
            "\"id\": 5",
            "\"id\": 5.5",
            "expected a whole number, found 5.5",
        ),
        (
            "\"id\": 5",
            "\"id\": \"5\"",
            "expected a number, found a text",
        ),
        (
            "\"iscrowd\": 0",
            "\"iscrowd\": 300",
            "expected 0 or 1, found 300",
        ),
    ];
    for (from, to, expected) in cases {
        let text = file(from, to);
        let error = Annotations::from_json(text.as_bytes(), Kind::Box).unwrap_err();
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
            "results[0]: `keypoints` holds 0 numbers, expected 51",
        ),
        ("\"segmentation\": {}", Kind::Mask, "expected `size`"),
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
            "expected 0 to 4294967295, found -1",
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
            "\"bbox\": [0, 0, 1, 1], \"score\": null",
            Kind::Box,
            "expected a number, found null",
        ),
    ];
    for (rest, kind, expected) in cases {
        let error = Results::from_json(entry(rest).as_bytes(), &annotations(kind)).unwrap_err();
        assert!(error.to_string().contains(expected), "{rest}: {error}");
    }
    let error = Results::from_json(b"{}", &annotations(Kind::Box)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 1: expected a list, found an object"
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
    assert_eq!(annotations.targets[0].id, 5);
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
