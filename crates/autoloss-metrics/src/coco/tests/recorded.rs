//! Numbers of pycocotools.

use std::path::Path;

use super::*;
use crate::coco;

#[path = "../../../tests/reference/check.rs"]
mod check;

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
