//! What the fuzz targets do with their bytes: whatever these are, they are read or refused, and what
//! was read keeps its promises.

use autoloss_metrics::coco::{Annotations, Kind, Mask, Results, evaluate};

const KINDS: [Kind; 3] = [Kind::Box, Kind::Mask, Kind::Keypoints];

/// An annotation file, polygons and masks in it included.
pub fn annotations(data: &[u8]) {
    for kind in KINDS {
        if let Ok(annotations) = Annotations::from_json(data, kind) {
            score(&annotations, &Results::default());
        }
    }
}

/// An annotation file and, after a byte of 0, a result file for it.
pub fn results(data: &[u8]) {
    let (target, results) = halves(data);
    for kind in KINDS {
        let Ok(annotations) = Annotations::from_json(target, kind) else {
            continue;
        };
        if let Ok(results) = Results::from_json(results, &annotations) {
            score(&annotations, &results);
        }
    }
}

fn score(annotations: &Annotations, results: &Results) {
    let summary = evaluate(annotations, results).expect("files that were read can be compared");
    for (row, value) in summary.rows() {
        assert!(
            value == -1.0 || (0.0..=1.0).contains(&value),
            "{} is {value}",
            row.name()
        );
    }
}

/// The most pixels that are drawn one by one.
const FEW_PIXELS: u32 = 1 << 14;

/// Two compressed masks, a byte of 0 between them, after their height and width.
pub fn masks(data: &[u8]) {
    let Some((height, width, texts)) = size(data) else {
        return;
    };
    let (first, second) = halves(texts);
    let read = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        Mask::from_compressed(text, height, width).ok()
    };
    let Some(mask) = read(first) else { return };
    check(&mask);
    let again = Mask::from_compressed(&mask.to_compressed(), height, width);
    assert_eq!(again.as_ref(), Ok(&mask));
    if let Some(other) = read(second) {
        for crowd in [false, true] {
            let overlap = mask.iou(&other, crowd);
            assert!((0.0..=1.0).contains(&overlap), "an overlap of {overlap}");
        }
    }
}

/// Polygons of 32-bit floats, NaN between two of them, after the height and width of the image.
pub fn polygons(data: &[u8]) {
    let Some((height, width, numbers)) = size(data) else {
        return;
    };
    let (numbers, _) = numbers.as_chunks::<4>();
    let numbers: Vec<f64> = numbers
        .iter()
        .map(|n| f64::from(f32::from_le_bytes(*n)))
        .collect();
    let polygons: Vec<Vec<f64>> = numbers.split(|n| n.is_nan()).map(<[f64]>::to_vec).collect();
    if let Ok(mask) = Mask::from_polygons(&polygons, height, width) {
        assert_eq!((mask.height(), mask.width()), (height, width));
        check(&mask);
        if height * width <= FEW_PIXELS {
            let again = Mask::from_bitmap(&mask.to_bitmap(), height, width);
            assert_eq!(again, Ok(mask));
        }
    }
}

/// A mask has the pixels that it says.
fn check(mask: &Mask) {
    let pixels = mask.height() * mask.width();
    assert_eq!(mask.runs().iter().sum::<u32>(), pixels);
    assert!(mask.area() <= pixels);
    assert!(mask.bbox().iter().all(|value| value.is_finite()));
    if pixels <= FEW_PIXELS {
        let inside = mask.to_bitmap().into_iter().map(u32::from).sum::<u32>();
        assert_eq!(inside, mask.area());
    }
}

/// Height and width of 16 bits each, and the rest.
fn size(data: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (size, rest) = data.split_first_chunk::<4>()?;
    let [a, b, c, d] = *size;
    let side = |bytes| u32::from(u16::from_le_bytes(bytes));
    Some((side([a, b]), side([c, d]), rest))
}

/// What comes before the first byte of 0, and what after it.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = data.splitn(2, |&byte| byte == 0);
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}
