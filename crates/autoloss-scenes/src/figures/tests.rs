//! Tests of whole scenes.

use super::pose::KEYPOINTS;
use proptest::prelude::*;

use super::pose::{EAR, NOSE, SHOULDER};
use super::*;
use crate::testing::message;
use autoloss_data::{Object, Scene};

fn figures(seed: u64, size: usize) -> Figures {
    let (train, val) = (300, 100);
    Figures::new(FiguresSettings {
        seed,
        train,
        val,
        size,
    })
    .unwrap()
}

/// Everything that must hold of any scene.
fn assert_sound(scene: &Scene, size: usize) {
    assert_eq!((scene.width, scene.height), (size, size));
    assert_eq!(scene.image.len(), 3 * size * size);
    assert!(scene.objects.len() <= 3);
    let mut taken = vec![0; size * size];
    for object in &scene.objects {
        assert_eq!((object.class, object.crowd), (0, false));
        let bitmap = object.mask.as_ref().unwrap().to_bitmap();
        let pixels = (0..size * size).filter(|&at| bitmap[at] == 1);
        pixels.clone().for_each(|at| taken[at] += 1);
        assert_eq!(object.area, pixels.clone().count() as f64);
        assert!(object.area >= 30.0);
        let columns = pixels.clone().map(|at| at % size);
        let rows = pixels.map(|at| at / size);
        let expected = [
            columns.clone().min().unwrap(),
            rows.clone().min().unwrap(),
            columns.max().unwrap() + 1,
            rows.max().unwrap() + 1,
        ];
        assert_eq!(object.corners, expected.map(|corner| corner as f32));
        assert_keypoints(object, &bitmap, size);
    }
    assert!(taken.iter().all(|&count| count <= 1), "masks overlap");
}

fn assert_keypoints(object: &Object, bitmap: &[u8], size: usize) {
    let keypoints = object.keypoints.as_ref().unwrap();
    assert!(keypoints.iter().any(|point| point[2] > 0.0));
    for &[x, y, visibility] in keypoints {
        if visibility == 0.0 {
            assert_eq!([x, y], [0.0; 2]);
            continue;
        }
        let inside = 0.0..size as f32;
        assert!(inside.contains(&x) && inside.contains(&y));
        if visibility == 2.0 {
            let [left, top, right, bottom] = object.corners;
            assert!((left..right).contains(&x) && (top..bottom).contains(&y));
            assert_eq!(bitmap[y as usize * size + x as usize], 1, "at {x}, {y}");
        } else {
            assert_eq!(visibility, 1.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn scenes_are_sound(seed: u64, index in 0usize..100, size in 32usize..140, train: bool) {
        let split = if train { Split::Train } else { Split::Val };
        let scene = figures(seed, size).scene(split, index).unwrap();
        assert_sound(&scene, size);
        prop_assert_eq!(scene.id, index as i64);
    }
}

#[test]
fn scenes_are_functions_of_seed_split_and_index() {
    let (one, two) = (figures(1, 48), figures(2, 48));
    let backwards: Vec<Scene> = (0..20)
        .rev()
        .map(|i| one.scene(Split::Train, i).unwrap())
        .collect();
    for i in 0..20 {
        let scene = one.scene(Split::Train, i).unwrap();
        assert_eq!(scene, figures(1, 48).scene(Split::Train, i).unwrap());
        assert_eq!(scene, backwards[19 - i]);
        assert_ne!(scene.image, one.scene(Split::Val, i).unwrap().image);
        assert_ne!(scene.image, two.scene(Split::Train, i).unwrap().image);
        assert_ne!(scene.image, one.scene(Split::Train, i + 1).unwrap().image);
    }
}

#[test]
fn scenes_vary_within_reason() {
    let data = figures(3, 96);
    let scenes: Vec<Scene> = (0..300)
        .map(|i| data.scene(Split::Train, i).unwrap())
        .collect();
    let objects: Vec<&Object> = scenes.iter().flat_map(|scene| &scene.objects).collect();
    let mut of_count = [0; 4];
    scenes
        .iter()
        .for_each(|scene| of_count[scene.objects.len()] += 1);
    assert!(of_count[0] <= 6, "{of_count:?} scenes of 0 to 3 figures");
    assert!(
        of_count[1..].iter().all(|&count| count > 60),
        "{of_count:?}"
    );

    // Shares of not labelled, hidden and visible keypoints: of the body, then of the face.
    let mut body = [0; 3];
    let mut face = [0; 3];
    let (mut front, mut in_order) = (0, 0);
    for object in &objects {
        let keypoints = object.keypoints.as_ref().unwrap();
        for (keypoint, point) in keypoints.iter().enumerate() {
            let counts = if keypoint < SHOULDER {
                &mut face
            } else {
                &mut body
            };
            counts[point[2] as usize] += 1;
        }
        // Both ears and the nose seen: from the front.
        let seen = |keypoint: usize| keypoints[keypoint][2] == 2.0;
        if seen(NOSE) && seen(EAR) && seen(EAR + 1) && seen(SHOULDER) && seen(SHOULDER + 1) {
            front += 1;
            in_order += usize::from(keypoints[SHOULDER][0] > keypoints[SHOULDER + 1][0]);
        }
    }
    let share =
        |counts: [usize; 3], of: usize| counts[of] as f64 / counts.iter().sum::<usize>() as f64;
    assert_eq!(
        body.iter().sum::<usize>(),
        objects.len() * (KEYPOINTS - SHOULDER)
    );
    assert!((0.02..0.15).contains(&share(body, 0)), "{body:?}");
    assert!((0.08..0.3).contains(&share(body, 1)), "{body:?}");
    assert!((0.6..0.9).contains(&share(body, 2)), "{body:?}");
    assert!((0.2..0.45).contains(&share(face, 0)), "{face:?}");
    assert!((0.5..0.75).contains(&share(face, 2)), "{face:?}");
    assert!(front > 100, "{front} of {} from the front", objects.len());
    assert_eq!(in_order, front);

    // On average 3 to 16 % of the image.
    let mean = objects.iter().map(|object| object.area).sum::<f64>() / objects.len() as f64;
    assert!((300.0..1500.0).contains(&mean), "{mean} pixels");
}

#[test]
fn size_scales_and_impossible_ones_are_named() {
    for size in [32, 1024] {
        assert_sound(&figures(1, size).scene(Split::Val, 0).unwrap(), size);
    }
    for size in [31, 1025] {
        let settings = FiguresSettings {
            size,
            ..FiguresSettings::default()
        };
        assert_eq!(
            message(Figures::new(settings).map(|_| ())),
            format!("setting figures.size: {size} given, expected 32 to 1024")
        );
    }
    assert_eq!(
        message(figures(1, 32).scene(Split::Val, 100)),
        "the val split has 100 examples, there is no example 100 (counted from 0)"
    );
}

#[test]
fn settings_have_defaults_and_refuse_unknown_fields() {
    let settings: FiguresSettings = toml::from_str("seed = 4\nsize = 64").unwrap();
    assert_eq!(
        (settings.seed, settings.train, settings.val, settings.size),
        (4, 2000, 200, 64)
    );
    let error = toml::from_str::<FiguresSettings>("sizes = 64").unwrap_err();
    assert!(
        error.to_string().contains("unknown field `sizes`"),
        "{error}"
    );
}
