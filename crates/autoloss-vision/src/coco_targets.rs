//! Objects of a data set as targets of the COCO evaluation.

use autoloss_metrics::coco::{Annotations, Category, Image, Kind, Region, Target};

use autoloss_data::{DataError, Object, ObjectData, Scene, Split, keypoint_to_coco, outlines};

/// The targets of the first `count` images of a split (0: all), in their own pixels. Category k + 1
/// is class k. An object without labelled keypoints is ignored; one without the mask or the keypoints that `kind`
/// compares is no target.
///
/// # Errors
/// An image whose objects cannot be read.
pub(crate) fn targets(
    data: &dyn ObjectData,
    split: Split,
    count: usize,
    kind: Kind,
) -> Result<Annotations, DataError> {
    let total = match count {
        0 => data.len(split),
        _ => count.min(data.len(split)),
    };
    let names = data.class_names().iter().zip(1..);
    let skeleton = data.skeleton();
    let categories = names.map(|(name, id)| Category {
        id,
        name: name.clone(),
        keypoints: skeleton.map(|s| s.names.clone()).unwrap_or_default(),
        skeleton: skeleton.map(|s| s.joined.clone()).unwrap_or_default(),
        sigmas: skeleton.map(|s| s.sigmas.clone()).unwrap_or_default(),
    });
    let mut annotations = Annotations {
        images: Vec::with_capacity(total),
        categories: categories.collect(),
        ..Annotations::empty(kind)
    };
    for scene in outlines(data, split, total)? {
        annotations.images.push(Image {
            id: scene.id,
            size: size(&scene),
            ..Image::default()
        });
        let objects = scene.objects.iter();
        annotations
            .targets
            .extend(objects.filter_map(|object| target(object, &scene, kind)));
    }
    Ok(annotations)
}

fn size(scene: &Scene) -> Option<(u32, u32)> {
    let side = |side: usize| u32::try_from(side).ok();
    side(scene.height).zip(side(scene.width))
}

fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An object of an image as a target; none for an object without the region that `kind` compares.
pub(crate) fn target(object: &Object, scene: &Scene, kind: Kind) -> Option<Target> {
    let [x1, y1, x2, y2] = object.corners.map(f64::from);
    let bbox = [x1, y1, x2 - x1, y2 - y1];
    let keypoints = object.keypoints.as_deref();
    let labelled = |points: &[[f32; 3]]| points.iter().any(|point| point[2] > 0.0);
    let region = match kind {
        Kind::Box => Region::Box(bbox),
        Kind::Mask => Region::Mask(object.mask.clone()?),
        Kind::Keypoints => Region::Keypoints {
            points: keypoints?.iter().copied().map(keypoint_to_coco).collect(),
            bbox,
        },
    };
    Some(Target {
        image_id: scene.id,
        category_id: number(object.class) + 1,
        area: object.area,
        crowd: object.crowd,
        ignored: kind == Kind::Keypoints && !keypoints.is_some_and(labelled),
        bbox: Some(bbox),
        region,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use autoloss_metrics::coco::{Mask, Prediction, Results, Summary, evaluate};

    use autoloss_data::CocoData;
    use autoloss_scenes::{Digits, DigitsSettings};

    use super::*;

    fn values(summary: &Summary) -> Vec<f64> {
        summary.rows().map(|(_, value)| value).collect()
    }

    #[test]
    fn scores_are_those_of_the_annotation_file() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/coco-sample");
        if !dir.is_dir() {
            println!("skipped: {} is absent", dir.display());
            return;
        }
        let read = |name: &str| std::fs::read(dir.join("annotations").join(name)).unwrap();
        let json = read("person_keypoints_sample.json");
        let found = read("person_detections_sample.json");
        for kind in [Kind::Box, Kind::Mask, Kind::Keypoints] {
            let data = CocoData::open(&dir, kind, None).unwrap();
            let ours = targets(&data, Split::Val, 0, kind).unwrap();
            let theirs = Annotations::from_json(&json, kind).unwrap();
            assert_eq!(ours.targets.len(), theirs.targets.len());
            let score = |of: &Annotations| {
                let results = match kind {
                    // The sample has no keypoints that were found.
                    Kind::Keypoints => shifted(&theirs),
                    _ => Results::from_json(&found, of).unwrap(),
                };
                values(&evaluate(of, &results).unwrap())
            };
            let (ours, theirs) = (score(&ours), score(&theirs));
            assert!(theirs[0] > 0.0 && theirs[0] < 1.0, "{kind}: {theirs:?}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-9, "{kind}: {ours}, {theirs}");
            }
        }
    }

    /// Predictions of the targets' own keypoints, each a little farther off than the one before.
    fn shifted(annotations: &Annotations) -> Results {
        let predictions = annotations.targets.iter().zip(1..);
        let predictions = predictions.map(|(target, number)| {
            let Region::Keypoints { points, .. } = &target.region else {
                panic!("{target:?}")
            };
            let off = f64::from(number);
            let points = points.iter().map(|[x, y, _]| [x + off, *y, 1.0]).collect();
            Prediction::of_keypoints(target.image_id, target.category_id, 1.0 / off, points)
        });
        predictions.collect::<Vec<_>>().into()
    }

    #[test]
    fn digits_that_are_predicted_as_they_are_score_all() {
        let data = Digits::new(DigitsSettings::default()).unwrap();
        let targets = targets(&data, Split::Val, 20, Kind::Mask).unwrap();
        assert_eq!((targets.images.len(), targets.categories.len()), (20, 10));
        assert_eq!(targets.categories[4].name, "4");
        let predictions = targets.targets.iter().map(|target| {
            let Region::Mask(mask) = &target.region else {
                panic!("{target:?}")
            };
            assert_eq!(target.area, f64::from(mask.area()));
            Prediction::of_mask(target.image_id, target.category_id, 0.5, mask.clone())
        });
        let results = predictions.collect::<Vec<_>>().into();
        let summary = evaluate(&targets, &results).unwrap();
        assert!((summary.get("AP").unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn objects_become_targets_of_their_kind() {
        let mut object = Object {
            class: 2,
            corners: [1.0, 2.0, 4.0, 8.0],
            area: 7.5,
            crowd: true,
            mask: None,
            keypoints: None,
        };
        let scene = Scene {
            image: Vec::new(),
            width: 9,
            height: 9,
            name: String::new(),
            id: 11,
            objects: Vec::new(),
        };
        let of_box = target(&object, &scene, Kind::Box).unwrap();
        assert_eq!(of_box.region, Region::Box([1.0, 2.0, 3.0, 6.0]));
        assert_eq!(of_box.image_id, 11);
        assert_eq!((of_box.category_id, of_box.area), (3, 7.5));
        assert!(of_box.crowd && !of_box.ignored);
        assert_eq!(target(&object, &scene, Kind::Mask), None);
        assert_eq!(target(&object, &scene, Kind::Keypoints), None);

        object.mask = Some(Mask::from_runs(vec![3, 6], 3, 3).unwrap());
        assert!(target(&object, &scene, Kind::Mask).is_some());
        for (visible, ignored) in [(0.0, true), (1.0, false), (2.0, false)] {
            let mut points = vec![[0.0; 3]; 5];
            points[3] = [2.0, 3.0, visible];
            object.keypoints = Some(points);
            let target = target(&object, &scene, Kind::Keypoints).unwrap();
            assert_eq!(target.ignored, ignored);
        }
    }
}
