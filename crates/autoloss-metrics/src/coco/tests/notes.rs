//! Notes on files, and values that are assumed.

use super::*;

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
