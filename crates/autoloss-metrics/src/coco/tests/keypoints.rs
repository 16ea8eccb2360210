//! Keypoints of any number, with sigmas of their own.

use super::*;
use crate::coco;

/// A file of one person with that many keypoints, and the same person as results.
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
