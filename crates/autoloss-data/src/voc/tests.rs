//! Data sets in PASCAL VOC's and Roboflow's layouts.

use super::*;
use crate::check::check;
use crate::example::{IGNORE, SegmentationData};
use crate::labels::{LabelMap, write_label_map};
use crate::split::Split;
use crate::testing::{message, write_rgb, write_text, write_turned_jpeg};
use std::fs;
use tempfile::{TempDir, tempdir};

fn open(dir: &Path) -> Result<Pictures, DataError> {
    Pictures::voc(dir, LabelFiles::default())
}

fn named(dir: &Path, classes: Vec<String>) -> Result<Pictures, DataError> {
    let files = LabelFiles {
        classes: Some(classes),
        ..LabelFiles::default()
    };
    Pictures::voc(dir, files)
}

/// Two train images, one val image, 3x2, classes a and b.
fn folder() -> TempDir {
    let dir = tempdir().unwrap();
    let root = dir.path();
    write_text(
        &root.join("ImageSets/Segmentation/train.txt"),
        "one\n\n two \n",
    );
    write_text(&root.join("ImageSets/Segmentation/val.txt"), "three\n");
    write_text(&root.join("classes.txt"), "a\nb\n");
    fs::create_dir(root.join("JPEGImages")).unwrap();
    fs::create_dir(root.join("SegmentationClass")).unwrap();
    for name in ["one", "two", "three"] {
        write_rgb(
            &root.join(format!("JPEGImages/{name}.png")),
            (3, 2),
            &(0..18).collect::<Vec<u8>>(),
        );
        labels(root, name, (3, 2), &[0, 1, 255, 1, 1, 0]);
    }
    dir
}

fn labels(root: &Path, name: &str, (width, height): (usize, usize), labels: &[u8]) {
    let map = LabelMap {
        labels: labels.to_vec(),
        width,
        height,
    };
    write_label_map(root.join(format!("SegmentationClass/{name}.png")), &map).unwrap();
}

fn problem(dir: &TempDir) -> String {
    message(check(&open(dir.path()).unwrap()))
}

#[test]
fn a_folder_is_read_as_listed() {
    let dir = folder();
    let voc = open(dir.path()).unwrap();
    assert_eq!(voc.class_names(), ["a", "b"]);
    assert_eq!((voc.background(), voc.ignore()), (None, IGNORE));
    assert_eq!((voc.len(Split::Train), voc.len(Split::Val)), (2, 1));
    let example = voc.example(Split::Train, 1).unwrap();
    assert_eq!(
        (example.name.as_str(), example.width, example.height),
        ("two", 3, 2)
    );
    assert_eq!(example.image, (0..18).collect::<Vec<u8>>());
    assert_eq!(example.labels, [0, 1, 255, 1, 1, 0]);
    check(&voc).unwrap();
    assert!(message(voc.example(Split::Val, 1)).contains("the val split has 1 examples"));
}

#[test]
fn names_of_classes_come_from_the_caller_the_file_or_voc() {
    let dir = folder();
    let given = ["background", "thing"].map(str::to_owned).to_vec();
    let voc = named(dir.path(), given.clone()).unwrap();
    assert_eq!((voc.class_names(), voc.background()), (&given[..], Some(0)));
    fs::remove_file(dir.path().join("classes.txt")).unwrap();
    let voc = open(dir.path()).unwrap();
    assert_eq!((voc.class_names().len(), voc.background()), (21, Some(0)));
    assert_eq!(voc.class_names()[20], "tvmonitor");

    let refuse = |classes: &[&str]| {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        named(dir.path(), classes).err().unwrap().to_string()
    };
    assert_eq!(
        refuse(&["a"]),
        "setting classes: 1 names given, expected 2 to 255"
    );
    assert_eq!(refuse(&["a", " "]), "setting classes: a name is empty");
    assert_eq!(
        refuse(&["a", "b", "a"]),
        "setting classes: a is named twice"
    );
}

#[test]
fn missing_and_empty_lists_are_named() {
    let dir = folder();
    let list = dir.path().join("ImageSets/Segmentation/val.txt");
    let open = || open(dir.path()).err().unwrap().to_string();
    fs::write(&list, " \n").unwrap();
    assert_eq!(
        open(),
        format!(
            "{}: the list is empty, expected one name a line",
            list.display()
        )
    );
    fs::remove_file(&list).unwrap();
    assert_eq!(
        open(),
        format!(
            "{}: no such list: write the names of the images of this set into it, one a line",
            list.display()
        )
    );
}

#[test]
fn a_listed_image_or_mask_that_is_missing_is_named() {
    let dir = folder();
    fs::remove_file(dir.path().join("JPEGImages/two.png")).unwrap();
    assert_eq!(
        problem(&dir),
        format!(
            "1 of 3 examples cannot be used:\n  {}: line 3: no image named two in JPEGImages/: \
             add it or strike the line",
            dir.path()
                .join("ImageSets/Segmentation/train.txt")
                .display()
        )
    );
    let dir = folder();
    let mask = dir.path().join("SegmentationClass/three.png");
    fs::remove_file(&mask).unwrap();
    assert_eq!(
        problem(&dir),
        format!(
            "1 of 3 examples cannot be used:\n  {}: line 1: no label map named three in \
             SegmentationClass/: add it or strike the line",
            dir.path().join("ImageSets/Segmentation/val.txt").display()
        )
    );
}

#[test]
fn sizes_and_labels_that_do_not_fit_are_named() {
    let dir = folder();
    labels(dir.path(), "one", (2, 2), &[0; 4]);
    labels(dir.path(), "three", (3, 2), &[0, 0, 0, 0, 2, 0]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    assert_eq!(
        problem(&dir),
        format!(
            "2 of 3 examples cannot be used:\n  {} is 3x2 but its label map {} is 2x2: both must have \
             the same size\n  {} has label 2 at column 1, row 1: expected 0 to 1, or 255 for ignored pixels",
            path("JPEGImages/one.png"),
            path("SegmentationClass/one.png"),
            path("SegmentationClass/three.png")
        )
    );
}

#[test]
fn damaged_images_are_found_before_the_run_and_only_some_told() {
    let dir = folder();
    let image = dir.path().join("JPEGImages/one.png");
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() - 30]).unwrap();
    let text = problem(&dir);
    let expected = format!(
        "1 of 3 examples cannot be used:\n  cannot decode {}: ",
        image.display()
    );
    assert!(text.starts_with(&expected), "{text}");

    let many: String = (0..9).map(|i| format!("absent{i}\n")).collect();
    write_text(&dir.path().join("ImageSets/Segmentation/val.txt"), &many);
    let text = problem(&dir);
    assert!(
        text.starts_with("10 of 11 examples cannot be used:\n"),
        "{text}"
    );
    assert!(text.ends_with("\n  and 5 more"), "{text}");
    assert_eq!(text.lines().count(), 7);
}

#[test]
fn a_jpeg_that_ends_early_is_named() {
    let dir = folder();
    let image = dir.path().join("JPEGImages/one.jpg");
    let noise: Vec<u8> = (0..64 * 64 * 3u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    image::save_buffer(&image, &noise, 64, 64, image::ColorType::Rgb8).unwrap();
    labels(dir.path(), "one", (64, 64), &[0; 64 * 64]);
    check(&open(dir.path()).unwrap()).unwrap();
    let whole = fs::read(&image).unwrap();
    for kept in [0, 100, whole.len() / 2, whole.len() - 10] {
        fs::write(&image, &whole[..kept]).unwrap();
        let text = problem(&dir);
        let expected = format!("cannot decode {}: ", image.display());
        assert!(text.contains(&expected), "{kept} bytes kept: {text}");
    }
}

#[test]
fn lists_classes_and_endings_are_read_as_people_have_them() {
    let dir = folder();
    let root = dir.path();
    let list = |text: &str| write_text(&root.join("ImageSets/Segmentation/train.txt"), text);
    write_text(&root.join("classes.txt"), "\u{feff}_background_\r\nb\r\n");
    fs::rename(
        root.join("JPEGImages/one.png"),
        root.join("JPEGImages/one.PNG"),
    )
    .unwrap();
    write_text(&root.join("JPEGImages/._one.png"), "");
    write_text(&root.join("SegmentationClass/._one.png"), "");
    for text in [
        "\u{feff}one\r\ntwo\r\n",
        "one.png\ntwo.jpg\n",
        "JPEGImages/one.PNG\nVOC2012\\JPEGImages\\two.png\n",
    ] {
        list(text);
        let data = open(root).unwrap();
        assert_eq!(data.len(Split::Train), 2, "{text:?}");
        assert_eq!(
            (check(&data).unwrap().warnings, data.background()),
            (Vec::new(), Some(0))
        );
    }
    list("one\ntwo\nthree\none.png\n");
    assert_eq!(
        check(&open(root).unwrap()).unwrap().warnings,
        [
            "train.txt: 1 of 4 entries name an image again",
            "1 of the 1 images of val.txt are in train.txt, too: scores on them are not those of new images",
        ]
    );
    list("One\n");
    assert!(problem(&dir).contains("no image named One in JPEGImages/ (there is one.PNG)"));
}

#[test]
fn a_colour_map_beside_the_images_names_classes_and_colours() {
    let dir = folder();
    let root = dir.path();
    let mask = root.join("SegmentationClass/three.png");
    let colours = [
        [0_u8, 0, 0],
        [128, 0, 0],
        [0, 0, 0],
        [128, 0, 0],
        [9, 9, 9],
        [0, 0, 0],
    ];
    write_rgb(&mask, (3, 2), colours.as_flattened());
    assert!(problem(&dir).contains("has the colour 128,0,0 at column 1, row 0"));
    fs::remove_file(root.join("classes.txt")).unwrap();
    write_text(
        &root.join("labelmap.txt"),
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\nvoid:9,9,9::\n",
    );
    let data = open(root).unwrap();
    assert_eq!(data.class_names(), ["background", "cat"]);
    assert_eq!(
        data.example(Split::Val, 0).unwrap().labels,
        [0, 1, 0, 1, 255, 0]
    );
    check(&data).unwrap();
    assert_eq!(data.warnings(), [""; 0]);
    // Some of the classes alone.
    let data = named(root, ["cat", "dog"].map(str::to_owned).to_vec()).unwrap();
    assert_eq!(
        data.example(Split::Val, 0).unwrap().labels,
        [255, 0, 255, 0, 255, 255]
    );
    let said = &data.warnings()[0];
    assert!(said.ends_with(
        "labelmap.txt: pixels of background are ignored, as they are none of the classes"
    ));
    // The same from another place, with classes in another order.
    fs::rename(root.join("labelmap.txt"), root.join("colours")).unwrap();
    let files = LabelFiles {
        classes: Some(["cat", "background"].map(str::to_owned).to_vec()),
        colours: Some(root.join("colours")),
        ..LabelFiles::default()
    };
    let data = Pictures::voc(root, files).unwrap();
    assert_eq!(
        data.example(Split::Val, 0).unwrap().labels,
        [1, 0, 1, 0, 255, 1]
    );
    assert_eq!(data.background(), Some(1));
}

#[test]
fn masks_of_0_and_255_need_a_label_map() {
    let dir = folder();
    for name in ["one", "two", "three"] {
        labels(dir.path(), name, (3, 2), &[0, 0, 255, 255, 0, 0]);
    }
    assert!(problem(&dir).contains("--label-map 0=0,255=1"));
    let files = LabelFiles {
        table: "0=0,255=1".parse().unwrap(),
        ..LabelFiles::default()
    };
    let data = Pictures::voc(dir.path(), files).unwrap();
    let summary = check(&data).unwrap();
    assert_eq!(
        (summary.sets[0].classes[1].count, summary.sets[0].ignored),
        (4, 0)
    );
}

#[test]
fn images_are_turned_as_their_exif_orientation_says() {
    let dir = folder();
    let root = dir.path();
    // Left half black, right half white, 16 x 8, in every orientation.
    let pixels: Vec<u8> = (0..16 * 8 * 3)
        .map(|i| if i / 3 % 16 < 8 { 0 } else { 255 })
        .collect();
    for (orientation, size, corner) in [
        (1_u8, (16, 8), 0_usize),
        (3, (16, 8), 15),
        (6, (8, 16), 0),
        (8, (8, 16), 8 * 15),
    ] {
        let path = root.join("JPEGImages/one.jpg");
        write_turned_jpeg(&path, (16, 8), &pixels, orientation);
        labels(root, "one", size, &[0; 128]);
        let example = open(root).unwrap().example(Split::Train, 0).unwrap();
        assert_eq!(
            (example.width, example.height),
            size,
            "orientation {orientation}"
        );
        assert!(example.image[3 * corner] < 50, "orientation {orientation}");
        let far = if corner == 0 { 127 } else { 0 };
        let far = if orientation == 1 { 15 } else { far };
        assert!(example.image[3 * far] > 200, "orientation {orientation}");
    }
}

#[test]
fn other_layouts_are_named_and_roboflows_is_read() {
    let dir = tempdir().unwrap();
    let root = dir.path();
    let said = || message(open(root));
    assert!(
        said().contains("is empty; expected JPEGImages/NAME.jpg"),
        "{}",
        said()
    );
    write_text(&root.join("images/a.jpg"), "");
    assert!(
        said().contains("holds images; expected JPEGImages/NAME.jpg"),
        "{}",
        said()
    );
    write_text(&root.join("task-1-annotation-2-by-1-tag-Car-0.png"), "");
    assert!(
        said().contains("as Label Studio exports them"),
        "{}",
        said()
    );

    for (set, names) in [("train", &["a", "b"][..]), ("valid", &["c"])] {
        write_text(
            &root.join(set).join("_classes.csv"),
            "Pixel Value, Class\n0, background\n3, cat\n",
        );
        for name in names {
            write_rgb(&root.join(format!("{set}/{name}.jpg")), (2, 1), &[5; 6]);
            write_rgb(
                &root.join(format!("{set}/{name}_mask.png")),
                (2, 1),
                &[0, 0, 0, 3, 3, 3],
            );
        }
    }
    let data = open(root).unwrap();
    assert_eq!((data.len(Split::Train), data.len(Split::Val)), (2, 1));
    assert_eq!(
        (data.class_names(), data.background()),
        (&["background", "cat"].map(str::to_owned)[..], Some(0))
    );
    assert_eq!(data.example(Split::Val, 0).unwrap().labels, [0, 1]);
    check(&data).unwrap();
    write_rgb(&root.join("valid/c_mask.png"), (2, 1), &[0, 0, 0, 1, 1, 1]);
    assert!(message(check(&data)).contains("label 1 at column 1, row 0: expected 0, 3, or 255"));
    fs::remove_file(root.join("valid/c_mask.png")).unwrap();
    let said = message(check(&open(root).unwrap()));
    assert!(
        said.contains("c.jpg: has no c_mask.png beside it"),
        "{said}"
    );
    fs::remove_dir_all(root.join("valid")).unwrap();
    assert!(message(open(root)).contains("expected the validation set of Roboflow's export"));
}

#[test]
fn street_scenes_outside_the_repository_are_whole() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/camvid-160x120");
    if !dir.exists() {
        println!("skipped: {} is absent", dir.display());
        return;
    }
    let voc = open(&dir).unwrap();
    assert_eq!((voc.len(Split::Train), voc.len(Split::Val)), (367, 101));
    assert_eq!((voc.class_names().len(), voc.background()), (11, None));
    check(&voc).unwrap();
}
