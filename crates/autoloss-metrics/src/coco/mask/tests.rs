//! Forms and overlaps of masks against their bitmaps.

use super::compressed::decode;
use super::*;
use proptest::prelude::*;

/// A row-major bitmap and its size; some are empty or full.
pub(in crate::coco) fn bitmaps() -> impl Strategy<Value = (Vec<u8>, u32, u32)> {
    (1..9_u32, 1..9_u32).prop_flat_map(|(height, width)| bitmap_of(height, width))
}

fn bitmap_of(height: u32, width: u32) -> impl Strategy<Value = (Vec<u8>, u32, u32)> {
    let pixels = (height * width) as usize;
    let share = prop_oneof![Just(0.0), Just(1.0), 0.1..0.9];
    share.prop_flat_map(move |share| {
        let pixel = prop::bool::weighted(share).prop_map(u8::from);
        prop::collection::vec(pixel, pixels).prop_map(move |bitmap| (bitmap, height, width))
    })
}

/// Two bitmaps of one size.
fn pairs() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, u32, u32)> {
    (1..9_u32, 1..9_u32).prop_flat_map(|(height, width)| {
        let pair = (bitmap_of(height, width), bitmap_of(height, width));
        pair.prop_map(move |(a, b)| (a.0, b.0, height, width))
    })
}

fn mask(runs: &[u32], height: u32, width: u32) -> Mask {
    Mask::from_runs(runs.to_vec(), height, width).unwrap()
}

#[test]
fn bad_masks_are_named() {
    let compressed = |text| Mask::from_compressed(text, 2, 2).unwrap_err();
    assert_eq!(
        compressed("1 3"),
        MaskError::Alphabet {
            position: 1,
            byte: b' '
        }
    );
    assert_eq!(compressed("1P"), MaskError::Truncated);
    assert_eq!(compressed("oooooooo0"), MaskError::Run { run: 0 });
    assert_eq!(compressed("1O"), MaskError::Run { run: 1 });
    let covered = |covered| MaskError::Covered {
        covered,
        height: 2,
        width: 2,
    };
    assert_eq!(compressed("12"), covered(3));
    let runs = |runs: &[u32]| Mask::from_runs(runs.to_vec(), 2, 2).unwrap_err();
    assert_eq!(runs(&[3, 3]), covered(6));
    assert_eq!(
        runs(&[u32::MAX, u32::MAX]),
        covered(u64::from(u32::MAX) * 2)
    );
    assert!(Mask::from_runs(Vec::new(), u32::MAX, u32::MAX).is_err());
    assert!(Mask::from_bitmap(&[1; 3], 2, 2).is_err());
}

#[test]
fn few_runs_are_empty_masks() {
    for runs in [vec![], vec![3], vec![4]] {
        let mask = Mask::from_runs(runs, 2, 2).unwrap();
        assert_eq!(
            (mask.runs(), mask.area(), mask.bbox()),
            (&[4][..], 0, [0.0; 4])
        );
    }
    assert_eq!(Mask::from_compressed("", 2, 2).unwrap(), mask(&[4], 2, 2));
    assert_eq!(mask(&[0], 0, 7).area(), 0);
}

#[test]
fn odd_masks_are_treated_as_in_pycocotools() {
    // Runs inside, but empty: the box begins at the end and is as wide as 32 bits are.
    let empty = mask(&[100, 0], 10, 10);
    let wrapped = f64::from(u32::MAX) - 8.0;
    assert_eq!(empty.bbox(), [10.0, 10.0, wrapped, wrapped]);
    let full = mask(&[0, 100], 10, 10);
    assert_eq!(empty.iou(&empty, false), 0.0);
    assert_eq!(empty.iou(&full, false), 0.0);
    let extents = [empty.extent(), empty.extent()];
    assert_eq!(empty.iou_from_half(&empty, true, extents), 0.0);
    // An empty run at the same pixel ends the count: the rest is not seen.
    let broken = mask(&[10, 5, 20, 0, 0, 65], 10, 10);
    assert_eq!(broken.area(), 70);
    assert_eq!(broken.iou(&broken, false), 1.0);
    let broken = mask(&[10, 0, 0, 90], 10, 10);
    assert_eq!(broken.iou(&broken, false), 0.0);
    assert_eq!(broken.iou(&mask(&[10, 90], 10, 10), false), 1.0);
    // Another size.
    assert_eq!(full.iou(&mask(&[0, 100], 20, 5), false), -1.0);
}

proptest! {
    #[test]
    fn every_form_gives_the_mask_back((bitmap, height, width) in bitmaps()) {
        let mask = Mask::from_bitmap(&bitmap, height, width).unwrap();
        prop_assert_eq!(mask.to_bitmap(), bitmap);
        let text = mask.to_compressed();
        prop_assert_eq!(&Mask::from_compressed(&text, height, width).unwrap(), &mask);
        let runs = mask.runs().to_vec();
        prop_assert_eq!(Mask::from_runs(runs, height, width).unwrap(), mask);
    }

    #[test]
    fn long_runs_survive_compression(runs in prop::collection::vec(0..=MAX_PIXELS as u32, 0..20)) {
        let text = Mask { height: 0, width: 0, runs: runs.clone(), area: 0, broken: false }.to_compressed();
        prop_assert_eq!(decode(&text).unwrap(), runs);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-o]{0,40}", height in 0..20_u32, width in 0..20_u32) {
        if let Ok(mask) = Mask::from_compressed(&text, height, width) {
            let area = mask.to_bitmap().iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
            prop_assert_eq!(mask.area(), area);
            prop_assert!(mask.iou(&mask, false) <= 1.0);
            let again = Mask::from_compressed(&mask.to_compressed(), height, width);
            prop_assert_eq!(again.unwrap(), mask);
        }
    }

    #[test]
    fn area_and_box_are_those_of_the_bitmap((bitmap, height, width) in bitmaps()) {
        let mask = Mask::from_bitmap(&bitmap, height, width).unwrap();
        let inside = (0..height * width).filter(|&pixel| bitmap[pixel as usize] == 1);
        let places: Vec<(u32, u32)> = inside.map(|pixel| (pixel % width, pixel / width)).collect();
        prop_assert_eq!(mask.area() as usize, places.len());
        if places.is_empty() {
            prop_assert_eq!(mask.bbox(), [0.0; 4]);
            return Ok(());
        }
        let range = |of: fn(&(u32, u32)) -> u32| {
            let values = places.iter().map(of);
            let (low, high) = (values.clone().min().unwrap(), values.max().unwrap());
            (f64::from(low), f64::from(high - low + 1))
        };
        let ((x, w), (y, h)) = (range(|place| place.0), range(|place| place.1));
        prop_assert_eq!(mask.bbox(), [x, y, w, h]);
    }

    #[test]
    fn overlap_is_that_of_the_bitmaps((a, b, height, width) in pairs(), crowd in any::<bool>()) {
        let ours = Mask::from_bitmap(&a, height, width).unwrap();
        let theirs = Mask::from_bitmap(&b, height, width).unwrap();
        let count = |of: fn(u8, u8) -> u8| {
            f64::from(a.iter().zip(&b).map(|(&a, &b)| u32::from(of(a, b))).sum::<u32>())
        };
        let intersection = count(|a, b| a & b);
        let union = if crowd { count(|a, _| a) } else { count(|a, b| a | b) };
        let expected = if intersection == 0.0 { 0.0 } else { intersection / union };
        prop_assert_eq!(ours.iou(&theirs, crowd), expected);
        let fast = ours.iou_from_half(&theirs, crowd, [ours.extent(), theirs.extent()]);
        prop_assert!(fast == expected || (fast < 0.5 && expected < 0.5));
    }
}
