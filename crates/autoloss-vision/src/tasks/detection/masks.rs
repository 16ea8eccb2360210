//! Masks between images and regions: from an object's bitmap to a region's target, and from a region's mask to a
//! bitmap.

use autoloss_data::{Corners, within};

/// Target of a region's mask of `side` rows and columns: pixels whose middle is inside the object by bilinear
/// interpolation of its bitmap, of `width` columns and `height` rows.
pub(super) fn mask_target(
    bitmap: &[u8],
    [width, height]: [usize; 2],
    corners: Corners,
    side: usize,
) -> Vec<bool> {
    let [x1, y1, x2, y2] = corners;
    let (step_x, step_y) = ((x2 - x1) / side as f32, (y2 - y1) / side as f32);
    let inside = |row: isize, column: isize| {
        let known = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
        known && bitmap[row as usize * width + column as usize] != 0
    };
    let at = |place: usize| {
        let (row, column) = ((place / side) as f32, (place % side) as f32);
        let (x, y) = (x1 + (column + 0.5) * step_x, y1 + (row + 0.5) * step_y);
        interpolated(inside, x - 0.5, y - 0.5) >= 0.5
    };
    (0..side * side).map(at).collect()
}

/// Bitmap of an image of `width` columns and `height` rows by a region's mask: pixels whose middle is inside with a
/// probability of a half or more.
pub(super) fn pasted(
    probabilities: &[f32],
    side: usize,
    corners: Corners,
    [width, height]: [usize; 2],
) -> Vec<u8> {
    let [x1, y1, x2, y2] = corners;
    let mut bitmap = vec![0; width * height];
    if x2 <= x1 || y2 <= y1 {
        return bitmap;
    }
    let (scale_x, scale_y) = (side as f32 / (x2 - x1), side as f32 / (y2 - y1));
    let value = |row: isize, column: isize| {
        let known = (0..side as isize).contains(&row) && (0..side as isize).contains(&column);
        match known {
            true => probabilities[row as usize * side + column as usize],
            false => 0.0,
        }
    };
    let (left, right) = within(x1, x2, width);
    let (top, bottom) = within(y1, y2, height);
    for row in top..bottom {
        let y = (row as f32 + 0.5 - y1) * scale_y - 0.5;
        for column in left..right {
            let x = (column as f32 + 0.5 - x1) * scale_x - 0.5;
            let inside = bilinear(value, x, y) >= 0.5;
            bitmap[row * width + column] = u8::from(inside);
        }
    }
    bitmap
}

fn interpolated(inside: impl Fn(isize, isize) -> bool, x: f32, y: f32) -> f32 {
    bilinear(|row, column| f32::from(u8::from(inside(row, column))), x, y)
}

/// The value between those of (row, column), at column x and row y.
fn bilinear(value: impl Fn(isize, isize) -> f32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right, down) = (x - left, y - top);
    let (column, row) = (left as isize, top as isize);
    let above = value(row, column) * (1.0 - right) + value(row, column + 1) * right;
    let below = value(row + 1, column) * (1.0 - right) + value(row + 1, column + 1) * right;
    above * (1.0 - down) + below * down
}

/// The intersection over union of two masks of a region.
pub(super) fn mask_iou(a: &[bool], b: &[bool]) -> f64 {
    let count = |of: fn(bool, bool) -> bool| a.iter().zip(b).filter(|(a, b)| of(**a, **b)).count();
    match count(|a, b| a | b) {
        0 => 1.0,
        union => count(|a, b| a & b) as f64 / union as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A rectangle of an image of 40 columns and 30 rows.
    fn rectangle([x1, y1, x2, y2]: [usize; 4]) -> Vec<u8> {
        let inside = |place: usize| {
            let (row, column) = (place / 40, place % 40);
            (y1..y2).contains(&row) && (x1..x2).contains(&column)
        };
        (0..1200).map(|place| u8::from(inside(place))).collect()
    }

    proptest! {
        #[test]
        fn a_mask_comes_back_from_its_region(
            x1 in 0..20usize, y1 in 0..15usize, width in 4..20usize, height in 4..15usize,
        ) {
            let bitmap = rectangle([x1, y1, x1 + width, y1 + height]);
            // A region around it, in which every pixel has two samples a side.
            let corners = [x1 as f32 - 4.0, y1 as f32 - 4.0, x1 as f32 + 24.0, y1 as f32 + 24.0];
            let target = mask_target(&bitmap, [40, 30], corners, 56);
            let probabilities: Vec<f32> = target.iter().map(|t| f32::from(u8::from(*t))).collect();
            prop_assert_eq!(pasted(&probabilities, 56, corners, [40, 30]), bitmap);
        }
    }

    #[test]
    fn a_mask_outside_the_image_is_empty() {
        let full = vec![1; 1200];
        let outside = [100.0, 100.0, 120.0, 120.0];
        assert!(mask_target(&full, [40, 30], outside, 4).iter().all(|t| !t));
        assert_eq!(pasted(&[1.0; 16], 4, outside, [40, 30]), vec![0; 1200]);
        let flat = [5.0, 5.0, 5.0, 9.0];
        assert_eq!(pasted(&[1.0; 16], 4, flat, [40, 30]), vec![0; 1200]);
    }

    #[test]
    fn overlaps_of_masks_worked_by_hand() {
        assert_eq!(mask_iou(&[true, true, false], &[true, false, false]), 0.5);
        assert_eq!(mask_iou(&[false], &[false]), 1.0);
        assert_eq!(mask_iou(&[true], &[false]), 0.0);
    }
}
