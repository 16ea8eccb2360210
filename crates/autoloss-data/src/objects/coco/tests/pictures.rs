//! Pictures: sizes, damage, orientation.

use std::fs;

use autoloss_metrics::coco::Kind;

use super::{ANNOTATIONS, folder, message, png};
use crate::objects::coco::CocoData;
use crate::objects::scene::ObjectData;
use crate::split::Split;
use crate::testing::write_turned_jpeg;

#[test]
fn sizes_that_are_missing_are_those_of_the_pictures() {
    let text = ANNOTATIONS.replace("\"height\": 20, \"width\": 30", "\"height\": null");
    let dir = folder(&text);
    let data = CocoData::open(dir.path(), Kind::Mask, None).unwrap();
    let scene = data.scene(Split::Train, 0).unwrap();
    assert_eq!((scene.width, scene.height), (30, 20));
    assert_eq!(scene.objects[0].mask.as_ref().unwrap().area(), 50);
    let said = "2 of 2 images have no `height` and `width`";
    assert!(data.warnings().iter().any(|warning| warning.contains(said)));
}

#[test]
fn pictures_that_are_cut_off_are_named_before_the_run() {
    let dir = folder(ANNOTATIONS);
    let path = dir.path().join("val2017/b.png");
    let bytes = png();
    for kept in [0, 20, bytes.len() / 2] {
        fs::write(&path, &bytes[..kept]).unwrap();
        let text = message(dir.path(), Kind::Box);
        assert!(
            text.starts_with("1 of 2 examples cannot be used:"),
            "{text}"
        );
        assert!(text.contains("b.png"), "{text}");
    }
}

#[test]
fn pictures_that_are_damaged_inside_are_named_before_the_run() {
    let dir = folder(ANNOTATIONS);
    let mut bytes = png();
    let pixels = bytes.windows(4).position(|name| name == b"IDAT").unwrap();
    bytes[pixels + 10] ^= 0xFF;
    fs::write(dir.path().join("train2017/b.png"), bytes).unwrap();
    let text = message(dir.path(), Kind::Box);
    assert!(
        text.starts_with("1 of 2 examples cannot be used:") && text.contains("b.png"),
        "{text}"
    );
}

#[test]
fn pictures_are_turned_as_their_exif_orientation_says() {
    // Turned by 180 degrees, the left half is white; by 90 degrees, the upper half is black.
    let pixels: Vec<u8> = (0..30 * 20 * 3)
        .map(|i| if i / 3 % 30 < 15 { 0 } else { 255 })
        .collect();
    for (orientation, size, first) in [(3, (30, 20), 255), (6, (20, 30), 0)] {
        let dir = folder(ANNOTATIONS);
        let path = dir.path().join("train2017/a.png");
        write_turned_jpeg(&path, (30, 20), &pixels, orientation);
        let data = CocoData::open(dir.path(), Kind::Box, None).unwrap();
        let scene = data.scene(Split::Train, 0).unwrap();
        assert_eq!((scene.width, scene.height), size);
        assert!(scene.image[0].abs_diff(first) < 50, "{}", scene.image[0]);
        assert_eq!(
            data.warnings().iter().any(|w| w.contains("EXIF")),
            orientation == 6
        );
    }
}
