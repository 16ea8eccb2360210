//! Tests of [`super`].

use super::*;
use crate::streams::{Purpose, stream};
use crate::testing::{message, numbered};
use proptest::prelude::*;

fn rng(seed: u64) -> ChaCha8Rng {
    stream(seed, Purpose::Augmentation, 0)
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 2e-4)
}

/// Left and right exchanged.
fn mirrored(example: &Example) -> Example {
    let image = example.image.chunks(3 * example.width);
    let image = image.flat_map(|row| row.chunks(3).rev().flatten().copied());
    let labels = example.labels.chunks(example.width);
    Example {
        image: image.collect(),
        labels: labels.flat_map(|row| row.iter().rev().copied()).collect(),
        ..example.clone()
    }
}

/// The image resized as a whole, straight from the definition: each source
/// pixel weighs max(0, 1 - distance) along either axis, borders repeated.
fn resized_directly(example: &Example, (height, width): (usize, usize)) -> Vec<f32> {
    let weight = |at: usize, scaled: usize, source: usize, i: usize| {
        let centre = (at as f64 + 0.5) * source as f64 / scaled as f64 - 0.5;
        let clamped = centre.max(0.0).min(source as f64 - 1.0);
        (1.0 - (clamped - i as f64).abs()).max(0.0)
    };
    let mut out = Vec::new();
    for c in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0.0;
                for i in 0..example.height {
                    for j in 0..example.width {
                        let byte = example.image[(i * example.width + j) * 3 + c];
                        sum += weight(y, height, example.height, i)
                            * weight(x, width, example.width, j)
                            * f64::from(byte);
                    }
                }
                let value = sum as f32 / 255.0;
                out.push((value - IMAGENET_MEAN[c]) / IMAGENET_STD[c]);
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn resizing_agrees_with_its_definition(
        source in (1usize..12, 1usize..12), size in (1usize..14, 1usize..14), number in 0usize..50,
    ) {
        let example = numbered(number, source.0, source.1);
        let prepared = Prepared::resized(&example, size);
        prop_assert!(close(&prepared.image, &resized_directly(&example, size)));
        prop_assert_eq!(prepared.labels.len(), size.0 * size.1);
    }

    #[test]
    fn crops_have_their_size_and_no_new_labels(
        source in (1usize..30, 1usize..30), crop in (1usize..40, 1usize..40),
        number in 0usize..50, seed in any::<u64>(),
    ) {
        let example = numbered(number, source.0, source.1);
        let out = Augmentation::default().apply(&example, crop, &mut rng(seed));
        prop_assert_eq!((out.height, out.width), crop);
        prop_assert_eq!(out.labels.len(), crop.0 * crop.1);
        prop_assert_eq!(out.image.len(), 3 * crop.0 * crop.1);
        prop_assert!(out.image.iter().all(|x| x.is_finite() && x.abs() < 3.0));
        for label in &out.labels {
            prop_assert!(*label == IGNORE || example.labels.contains(label));
        }
    }

    #[test]
    fn padding_is_ignored_and_of_mean_colour(
        source in (1usize..10, 1usize..10), extra in (0usize..9, 0usize..9), seed in any::<u64>(),
    ) {
        let example = numbered(3, source.0, source.1);
        let crop = (source.1 + extra.0, source.0 + extra.1);
        let out = Augmentation::none().apply(&example, crop, &mut rng(seed));
        let padded = out.labels.iter().filter(|label| **label == IGNORE).count();
        prop_assert_eq!(padded, crop.0 * crop.1 - source.0 * source.1);
        for (at, _) in out.labels.iter().enumerate().filter(|(_, label)| **label == IGNORE) {
            for c in 0..3 {
                prop_assert_eq!(out.image[c * crop.0 * crop.1 + at], 0.0);
            }
        }
    }

    #[test]
    fn crops_without_variation_are_windows_of_the_whole(
        crop in (1usize..10, 1usize..12), seed in any::<u64>(),
    ) {
        let example = numbered(1, 12, 10);
        let whole = Prepared::whole(&example);
        let out = Augmentation::none().apply(&example, crop, &mut rng(seed));
        let window = |top: usize, left: usize| {
            (0..crop.0).all(|y| (0..crop.1).all(|x| {
                let (here, there) = (y * crop.1 + x, (top + y) * 12 + left + x);
                out.labels[here] == whole.labels[there]
                    && (0..3).all(|c| out.image[c * crop.0 * crop.1 + here] == whole.image[c * 120 + there])
            }))
        };
        prop_assert!((0..=10 - crop.0).any(|top| (0..=12 - crop.1).any(|left| window(top, left))));
    }

    #[test]
    fn flipping_a_mirrored_example_gives_it_back(number in 0usize..50, seed in any::<u64>()) {
        let example = numbered(number, 12, 10);
        let flip = Augmentation { flip: true, ..Augmentation::none() };
        let out = flip.apply(&example, (10, 12), &mut rng(seed));
        let back = flip.apply(&mirrored(&example), (10, 12), &mut rng(seed));
        let whole = Prepared::whole(&example);
        let turned = Prepared::whole(&mirrored(&example));
        // The same seed flips both or neither.
        let kept = out.labels == whole.labels && out.image == whole.image;
        prop_assert_eq!(&out, if kept { &whole } else { &turned });
        prop_assert_eq!(&back, if kept { &turned } else { &whole });
        prop_assert_eq!(mirrored(&mirrored(&example)), example);
    }

    #[test]
    fn grey_stays_grey_under_saturation_and_hue(grey in 0.0f32..1.0, amount in 0.0f32..2.0, angle in -3.2f32..3.2) {
        let matrix = product(&hue_matrix(angle), &saturation_matrix(amount));
        let out = ColourTransform { matrix, offset: [0.0; 3] }.apply([grey; 3]);
        prop_assert!(close(&out, &[grey; 3]));
    }
}

#[test]
fn both_flips_occur_and_none_when_off() {
    let example = numbered(0, 12, 10);
    let whole = Prepared::whole(&example);
    let flip = Augmentation {
        flip: true,
        ..Augmentation::none()
    };
    let kept = |augmentation: &Augmentation| {
        let same = |seed: &u64| augmentation.apply(&example, (10, 12), &mut rng(*seed)) == whole;
        (0..100).filter(same).count()
    };
    assert!((30..70).contains(&kept(&flip)));
    assert_eq!(kept(&Augmentation::none()), 100);
}

#[test]
fn numbers_worked_by_hand() {
    let example = Example {
        image: vec![0, 0, 0, 255, 255, 255],
        labels: vec![1, 2],
        width: 2,
        height: 1,
        name: String::new(),
    };
    let out = Prepared::resized(&example, (1, 4));
    assert_eq!(out.labels, [1, 1, 2, 2]);
    let red: Vec<f32> = [0.0, 0.25, 0.75, 1.0].map(|x| (x - 0.485) / 0.229).to_vec();
    assert!(close(&out.image[..4], &red), "{:?}", out.image);
    // A full turn changes nothing, half saturation of pure red is half red and half its grey.
    assert!(close(
        hue_matrix(std::f32::consts::TAU).as_flattened(),
        ColourTransform::IDENTITY.matrix.as_flattened()
    ));
    let matrix = saturation_matrix(0.5);
    let out = ColourTransform {
        matrix,
        offset: [0.0; 3],
    }
    .apply([1.0, 0.0, 0.0]);
    assert!(close(&out, &[0.6065, 0.1065, 0.1065]), "{out:?}");
}

#[test]
fn the_comparison_can_fail() {
    assert!(!close(&[1.0], &[1.001]));
    assert!(!close(&[1.0], &[1.0, 1.0]));
    assert!(!close(&[f32::NAN], &[f32::NAN]));
}

#[test]
fn settings_outside_their_range_are_named() {
    let base = Augmentation::default;
    assert!(base().check().is_ok() && Augmentation::none().check().is_ok());
    let refuse = |augmentation: Augmentation| message(augmentation.check());
    assert_eq!(
        refuse(Augmentation {
            scale_min: 0.0,
            ..base()
        }),
        "setting augmentation.scale_min: 0 given, expected 0.05 to 20"
    );
    assert_eq!(
        refuse(Augmentation {
            scale_min: 3.0,
            ..base()
        }),
        "setting augmentation.scale_max: 2 given, expected 3 to 20"
    );
    assert_eq!(
        refuse(Augmentation {
            hue: f32::NAN,
            ..base()
        }),
        "setting augmentation.hue: NaN given, expected 0 to 180"
    );
}
