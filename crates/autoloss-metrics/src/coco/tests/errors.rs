//! Errors that name the entry, the field and the expected value.

use super::*;

/// Texts that are removed from a file of annotations, the kind that is read, and a part of the error.
const REMOVED: [(&str, Kind, &str); 8] = [
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

/// Texts of a file of annotations, others in their place, the kind that is read, and a part of the error.
const REPLACED: [(&str, &str, Kind, &str); 7] = [
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
        "{\"size\": [9, 8], \"counts\": [0, 72]}",
        Kind::Mask,
        "annotations[0] (id 5): its mask has 9 rows and 8 columns, but image 1 has 9 and 9",
    ),
];

/// Fields of a result, the kind that is read, and a part of the error.
const RESULTS: [(&str, Kind, &str); 13] = [
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

#[test]
fn bad_annotations_are_named() {
    for (removed, kind, expected) in REMOVED {
        let text = file(removed, "");
        let error = Annotations::from_json(text.as_bytes(), kind).unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "without {removed}: {error}"
        );
    }
    for (from, to, kind, expected) in REPLACED {
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
    for (rest, kind, expected) in RESULTS {
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
    // NaN comes last: a match with a score of −∞ comes before it.
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
