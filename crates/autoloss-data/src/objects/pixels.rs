//! Places in images: pixels reach from their column and row to the next.

/// The place of a keypoint of COCO, whose column and row stand for the middle of that pixel. Without the half pixel
/// keypoints of a mirrored image would be a pixel aside.
#[expect(clippy::cast_possible_truncation, reason = "pixels fit f32")]
pub(super) fn keypoint_from_coco([x, y, visibility]: [f64; 3]) -> [f32; 3] {
    let middle = if visibility > 0.0 { 0.5 } else { 0.0 };
    [x + middle, y + middle, visibility].map(|number| number as f32)
}

/// The inverse of `keypoint_from_coco`.
pub fn keypoint_to_coco([x, y, visibility]: [f32; 3]) -> [f64; 3] {
    let middle = if visibility > 0.0 { 0.5 } else { 0.0 };
    [
        f64::from(x) - middle,
        f64::from(y) - middle,
        f64::from(visibility),
    ]
}

/// First and end index of the rows (or columns) between `low` and `high` in an image with `size` of them.
#[must_use]
pub fn within(low: f32, high: f32, size: usize) -> (usize, usize) {
    // Casting to an unsigned number cuts negative ones off at 0.
    let end = (high.ceil() as usize).min(size);
    ((low.floor() as usize).min(end), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_at_the_border() {
        assert_eq!(within(-3.0, 5.5, 16), (0, 6));
        assert_eq!(within(20.0, 30.0, 16), (16, 16));
    }

    #[test]
    fn a_mirrored_keypoint_is_in_the_mirrored_pixel() {
        for column in [0.0, 5.0, 63.0] {
            let [x, y, visibility] = keypoint_from_coco([column, 7.0, 2.0]);
            let mirrored = keypoint_to_coco([64.0 - x, y, visibility]);
            assert_eq!(mirrored, [63.0 - column, 7.0, 2.0]);
        }
        assert_eq!(keypoint_from_coco([0.0; 3]), [0.0; 3]);
        assert_eq!(keypoint_to_coco([0.0; 3]), [0.0; 3]);
    }
}
