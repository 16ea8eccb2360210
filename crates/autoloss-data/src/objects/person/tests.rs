use super::*;
use crate::objects::scene::Keypoints;
use crate::objects::skeleton::Skeleton;
use crate::streams::{Purpose, stream};
use crate::testing::MemoryScenes;
use proptest::prelude::*;

const KEYPOINTS: usize = 17;

const SIZE: PersonSize = PersonSize {
    keypoints: KEYPOINTS,
    crop: [64, 48],
    stride: 2,
    sigma: 1.5,
};

/// The places of a person's keypoints in a mirrored image.
fn swapped() -> Vec<usize> {
    Skeleton::person().mirrored.unwrap()
}

proptest! {
    #[test]
    fn crops_map_there_and_back(
        x in -50.0..150.0f32, y in -50.0..150.0f32, scale in 0.7..1.3f32, turn in -1.0..1.0f32,
        flip in any::<bool>(),
    ) {
        let map = CropMap::around([10.0, 20.0, 60.0, 120.0], SIZE.crop, scale, turn, flip);
        let there = map.to_image(map.to_crop([x, y]));
        prop_assert!((there[0] - x).abs() < 1e-2 && (there[1] - y).abs() < 1e-2);
    }

    #[test]
    fn keypoints_come_back_from_their_heatmaps(
        places in prop::collection::vec((10.0..60.0f32, 20.0..120.0f32), KEYPOINTS),
        turn in -0.5..0.5f32, flip in any::<bool>(),
    ) {
        let map = CropMap::around([10.0, 20.0, 60.0, 120.0], SIZE.crop, 1.3, turn, flip);
        let keypoints: Keypoints = places.iter().map(|(x, y)| [*x, *y, 2.0]).collect();
        let swapped = swapped();
        let mirrored = flip.then_some(&swapped[..]);
        let (heatmaps, counts) = encode_heatmaps(&keypoints, &map, SIZE, mirrored);
        let decoded = decode_heatmaps(&heatmaps, SIZE);
        for number in 0..KEYPOINTS {
            if !counts[number] {
                continue;
            }
            let from = if flip { swapped[number] } else { number };
            let want = map.to_crop([keypoints[from][0], keypoints[from][1]]);
            let [x, y, score] = decoded[number];
            // Half a pixel of the heatmap.
            prop_assert!((x - want[0]).abs() <= 1.01 && (y - want[1]).abs() <= 1.01);
            prop_assert_eq!(score, 1.0);
        }
    }
}

#[test]
fn the_box_is_in_its_crop() {
    let map = CropMap::around([10.0, 20.0, 60.0, 120.0], SIZE.crop, 1.0, 0.0, false);
    assert_eq!(map.to_crop([35.0, 70.0]), [24.0, 32.0]);
    let [x, y] = map.to_crop([10.0, 20.0]);
    // 100 rows enlarged to 125 over 64 pixels.
    assert!((y - 6.4).abs() < 1e-4 && (x - (24.0 - 25.0 * 64.0 / 125.0)).abs() < 1e-4);
}

#[test]
fn decoding_leans_towards_the_higher_neighbour() {
    let mut heatmaps = vec![0.0; KEYPOINTS * 32 * 24];
    let at = |row: usize, column: usize| row * 24 + column;
    heatmaps[at(5, 7)] = 1.0;
    heatmaps[at(5, 8)] = 0.5;
    heatmaps[at(4, 7)] = 0.5;
    let [x, y, score] = decode_heatmaps(&heatmaps, SIZE)[0];
    assert_eq!([x, y, score], [7.75 * 2.0, 5.25 * 2.0, 1.0]);
}

/// A person whose keypoint k is at (20 + k, 30 + 3 k), in an image whose bytes all differ.
fn scene() -> Scene {
    let place = |k: usize| {
        let visible = if k == 4 { 0.0 } else { 2.0 };
        [20.25 + k as f32, 30.25 + 3.0 * k as f32, visible]
    };
    let keypoints: Keypoints = (0..KEYPOINTS).map(place).collect();
    let (width, height) = (60, 110);
    Scene {
        image: (0..3 * width * height)
            .map(|i| (i * 7 % 251) as u8)
            .collect(),
        width,
        height,
        name: String::new(),
        id: 1,
        objects: vec![Object {
            class: 0,
            corners: [10.0, 20.0, 50.0, 90.0],
            area: 2800.0,
            crowd: false,
            mask: None,
            keypoints: Some(keypoints),
        }],
    }
}

const NONE: PersonAugmentation = PersonAugmentation {
    scale: 0.0,
    rotation: 0.0,
    rotated: 1.0,
    flip: false,
};

fn rng(seed: u64) -> ChaCha8Rng {
    stream(seed, Purpose::Augmentation, 0)
}

#[test]
fn no_variation_is_the_whole_person() {
    let whole = PreparedPerson::whole(&scene(), 0, SIZE);
    let varied = PreparedPerson::varied(&scene(), 0, (SIZE, None), &NONE, &mut rng(1));
    assert_eq!(whole, varied);
    let counts = whole.counts.iter().enumerate();
    assert!(counts.into_iter().all(|(k, counts)| *counts == (k != 4)));
}

/// The rows of planes of `width` columns mirrored.
fn mirrored(planes: &[f32], width: usize) -> Vec<f32> {
    let rows = planes.chunks(width);
    rows.flat_map(|row| row.iter().rev().copied()).collect()
}

#[test]
fn a_mirrored_crop_has_left_and_right_keypoints_exchanged() {
    let scene = scene();
    let corners = scene.objects[0].corners;
    let swapped = swapped();
    let made = |flip: bool| {
        let map = CropMap::around(corners, SIZE.crop, 1.0, 0.0, flip);
        let mirrored = flip.then_some(&swapped[..]);
        PreparedPerson::new(&scene, 0, SIZE, (map, mirrored), &ColourTransform::IDENTITY)
    };
    let (plain, flipped) = (made(false), made(true));
    let image = mirrored(&plain.image, 48);
    let pairs = image.iter().zip(&flipped.image);
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-3));
    let heatmaps = mirrored(&plain.heatmaps, 24);
    for (number, from) in swapped.iter().copied().enumerate() {
        assert_eq!(swapped[from], number);
        assert_eq!(flipped.counts[number], plain.counts[from]);
        let heatmap = |k: usize| k * 24 * 32..(k + 1) * 24 * 32;
        assert_eq!(flipped.heatmaps[heatmap(number)], heatmaps[heatmap(from)]);
    }
}

#[test]
fn crowds_empty_boxes_and_people_without_keypoints_are_not_learnt() {
    let whole = scene().objects.remove(0);
    assert!(is_learnt(&whole));
    let changes: [fn(&mut Object); 5] = [
        |object| object.crowd = true,
        |object| object.keypoints = None,
        |object| object.corners[2] = object.corners[0],
        |object| object.corners[3] = f32::NAN,
        |object| {
            let points = object.keypoints.as_mut().unwrap();
            points.iter_mut().for_each(|point| point[2] = 0.0);
        },
    ];
    for change in changes {
        let mut object = whole.clone();
        change(&mut object);
        assert!(!is_learnt(&object), "{object:?}");
    }
}

#[test]
fn batches_of_persons_do_not_depend_on_the_workers() {
    let skeleton = Skeleton::person();
    let scenes = (0..6).map(|number| {
        let mut scene = scene();
        scene.image.iter_mut().for_each(|byte| *byte ^= number);
        scene
    });
    let data: Arc<dyn ObjectData> =
        Arc::new(MemoryScenes::new(scenes.collect()).with_skeleton(skeleton));
    let found: Arc<[Person]> = persons(&*data, Split::Train).unwrap().into();
    assert!(found.len() >= 6);
    let augmentation = PersonAugmentation {
        scale: 0.3,
        rotation: 40.0,
        rotated: 0.6,
        flip: true,
    };
    let batches = |workers: usize, seed: u64| {
        let what = (SIZE, augmentation.clone());
        let loader = PersonLoader::persons(data.clone(), found.clone(), what, (4, workers), seed);
        let batches = loader.unwrap().take(5).map(Result::unwrap);
        batches.collect::<Vec<PersonBatch>>()
    };
    let alone = batches(0, 7);
    assert_eq!(alone, batches(2, 7));
    assert_ne!(alone, batches(0, 8));
    assert_eq!(alone[0].images.len(), 4 * 3 * 64 * 48);
    assert_eq!(alone[0].heatmaps.len(), 4 * KEYPOINTS * 32 * 24);
}

#[test]
fn settings_out_of_range_are_named() {
    let check = |change: fn(&mut PersonAugmentation)| {
        let mut augmentation = NONE;
        change(&mut augmentation);
        augmentation.check().unwrap_err().to_string()
    };
    assert_eq!(
        check(|a| a.rotation = f32::NAN),
        "setting augmentation.rotation: NaN given, expected 0 to 180"
    );
    assert_eq!(
        check(|a| a.scale = 1.0),
        "setting augmentation.scale: 1 given, expected 0 to 0.9"
    );
    NONE.check().unwrap();
}
