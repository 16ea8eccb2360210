//! Masks as COCO keeps them: lengths of runs, column by column.

use std::cmp::min;

use super::error::MaskError;

/// The most pixels a mask may have: up to here the lengths of runs survive
/// COCO's compressed form in every implementation.
pub(super) const MAX_PIXELS: u64 = 1 << 29;

/// A binary mask, run-length encoded.
///
/// The pixels are counted down the columns, from left to right. The runs are in
/// turn outside and inside the mask, beginning outside; a run may be empty.
///
/// ```
/// use autoloss_metrics::coco::Mask;
///
/// let mask = Mask::from_bitmap(&[0, 0, 1, /* second row */ 0, 1, 1], 2, 3)?;
/// assert_eq!(mask.runs(), [3, 3]);
/// assert_eq!(mask.area(), 3);
/// assert_eq!(Mask::from_compressed(&mask.to_compressed(), 2, 3)?, mask);
/// # Ok::<(), autoloss_metrics::coco::MaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    height: u32,
    width: u32,
    runs: Vec<u32>,
    area: u32,
    /// Whether an empty run lies between others.
    broken: bool,
}

impl Mask {
    /// A mask of `height` rows and `width` columns from its runs.
    ///
    /// # Errors
    /// The runs do not cover all pixels (unless there is at most one: then no
    /// pixel is in the mask, however long it is), or there are too many pixels.
    pub fn from_runs(mut runs: Vec<u32>, height: u32, width: u32) -> Result<Self, MaskError> {
        let pixels = pixels(height, width)?;
        if runs.len() < 2 {
            runs = vec![pixels];
        }
        let covered: u64 = runs.iter().copied().map(u64::from).sum();
        if covered != u64::from(pixels) {
            return Err(MaskError::Covered {
                covered,
                height,
                width,
            });
        }
        let area = runs.iter().skip(1).step_by(2).sum();
        let broken = runs.len() > 2 && runs[1..runs.len() - 1].contains(&0);
        Ok(Self {
            height,
            width,
            runs,
            area,
            broken,
        })
    }

    /// A mask from COCO's compressed form: each run as its difference to the
    /// one before the last, in groups of 5 bits, a character each.
    ///
    /// # Errors
    /// Characters outside of the form, runs that do not cover all pixels, too
    /// many pixels.
    pub fn from_compressed(text: &str, height: u32, width: u32) -> Result<Self, MaskError> {
        Self::from_runs(decode(text)?, height, width)
    }

    /// A mask from a row-major bitmap: a pixel that is not 0 is in the mask.
    ///
    /// # Shapes
    /// `bitmap` is (height, width).
    ///
    /// # Errors
    /// A bitmap of another size, too many pixels.
    pub fn from_bitmap(bitmap: &[u8], height: u32, width: u32) -> Result<Self, MaskError> {
        let pixels = pixels(height, width)? as usize;
        if bitmap.len() != pixels {
            return Err(MaskError::Bitmap {
                found: bitmap.len(),
                height,
                width,
            });
        }
        let (rows, columns) = (height as usize, width as usize);
        let mut runs = vec![0];
        let mut inside = false;
        for column in 0..columns {
            for row in 0..rows {
                if (bitmap[row * columns + column] != 0) != inside {
                    inside = !inside;
                    runs.push(0);
                }
                if let Some(run) = runs.last_mut() {
                    *run += 1;
                }
            }
        }
        Self::from_runs(runs, height, width)
    }

    /// The mask of all pixels in any of `spans`, which hold the first pixel and
    /// the one after the last, in any order, and are never empty.
    pub(super) fn from_spans(
        spans: &mut [(u32, u32)],
        height: u32,
        width: u32,
    ) -> Result<Self, MaskError> {
        spans.sort_unstable();
        let mut runs = Vec::with_capacity(2 * spans.len() + 1);
        // The end of the last run.
        let mut covered = 0;
        for &(start, end) in spans.iter() {
            if start > covered || runs.is_empty() {
                runs.push(start - covered);
                runs.push(end - start);
                covered = end;
            } else if end > covered {
                if let Some(run) = runs.last_mut() {
                    *run += end - covered;
                }
                covered = end;
            }
        }
        let rest = pixels(height, width)?.saturating_sub(covered);
        if rest > 0 || runs.is_empty() {
            runs.push(rest);
        }
        Self::from_runs(runs, height, width)
    }

    /// Number of rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The lengths of the runs.
    #[must_use]
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Number of pixels in the mask.
    #[must_use]
    pub fn area(&self) -> u32 {
        self.area
    }

    /// COCO's compressed form.
    #[must_use]
    pub fn to_compressed(&self) -> String {
        let mut text = String::with_capacity(2 * self.runs.len());
        for (index, &run) in self.runs.iter().enumerate() {
            let before = if index > 2 { self.runs[index - 2] } else { 0 };
            let mut rest = i64::from(run) - i64::from(before);
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                // The highest bit of the last group is the sign.
                let last = rest == if group & 0x10 == 0 { 0 } else { -1 };
                let more = if last { 0 } else { 0x20 };
                text.push(char::from(FIRST + (group | more)));
                if last {
                    break;
                }
            }
        }
        text
    }

    /// The row-major bitmap: 1 in the mask, else 0.
    #[must_use]
    pub fn to_bitmap(&self) -> Vec<u8> {
        let (rows, columns) = (self.height as usize, self.width as usize);
        let mut bitmap = vec![0; rows * columns];
        let mut pixel = 0;
        for (index, &run) in self.runs.iter().enumerate() {
            let next = pixel + run as usize;
            if index % 2 == 1 {
                for inside in pixel..next {
                    bitmap[inside % rows * columns + inside / rows] = 1;
                }
            }
            pixel = next;
        }
        bitmap
    }

    /// The smallest box around the mask: x, y, width, height.
    ///
    /// As in COCO, a mask of a single run has an empty box at the origin, and
    /// one whose runs inside are all empty has a box of 2³² pixels and more,
    /// which begins where the image ends.
    #[must_use]
    pub fn bbox(&self) -> [f64; 4] {
        self.extent().map(f64::from)
    }

    /// The box around the mask in pixels.
    pub(super) fn extent(&self) -> [u32; 4] {
        if self.runs.len() < 2 {
            return [0; 4];
        }
        let height = self.height;
        let (mut left, mut top, mut right, mut bottom) = (self.width, height, 0, 0);
        // The column that the pixel lies in, and its first pixel.
        let (mut pixel, mut column, mut first) = (0, 0, 0);
        for pair in self.runs.chunks_exact(2) {
            let start = pixel + pair[0];
            pixel = start + pair[1];
            if pair[1] == 0 {
                continue;
            }
            // Mostly the next column: a division would be slow.
            if start - first >= height {
                let steps = match start - first < 2 * height {
                    true => 1,
                    false => (start - first) / height,
                };
                column += steps;
                first += steps * height;
            }
            let (row, last) = (start - first, pixel - 1 - first);
            left = left.min(column);
            if last < height {
                right = right.max(column);
                top = top.min(row);
                bottom = bottom.max(last);
            } else {
                right = right.max(column + last / height);
                top = 0;
                bottom = height - 1;
            }
        }
        let side = |from: u32, to: u32| to.wrapping_sub(from).wrapping_add(1);
        [left, top, side(left, right), side(top, bottom)]
    }

    /// Intersection over union with a target; with a crowd, the share of this
    /// mask that lies in it. −1 if the masks differ in size and their boxes
    /// overlap.
    #[must_use]
    pub fn iou(&self, target: &Self, crowd: bool) -> f64 {
        if !extents_overlap(self.extent(), target.extent()) {
            return 0.0;
        }
        self.iou_of_overlapping(target, crowd)
    }

    /// As [`Self::iou`] where that is at least one half, else anything below;
    /// `extents` are those of both masks.
    pub(super) fn iou_from_half(&self, target: &Self, crowd: bool, extents: [[u32; 4]; 2]) -> f64 {
        let (area, other) = (u64::from(self.area), u64::from(target.area));
        let [ours, theirs] = extents;
        if area == 0 || other == 0 || !extents_overlap(ours, theirs) {
            return 0.0;
        }
        // What is counted may end early at empty runs: no bound holds then.
        if !(self.broken && target.broken) {
            let shared = |at: usize| {
                let end = min(ours[at] + ours[at + 2], theirs[at] + theirs[at + 2]);
                u64::from(end.saturating_sub(ours[at].max(theirs[at])))
            };
            let most = area.min(other).min(shared(0) * shared(1));
            let least_union = if crowd { area } else { area + other - most };
            if 2 * most < least_union {
                return 0.0;
            }
        }
        self.iou_of_overlapping(target, crowd)
    }

    fn iou_of_overlapping(&self, target: &Self, crowd: bool) -> f64 {
        if (self.height, self.width) != (target.height, target.width) {
            return -1.0;
        }
        let (intersection, union) = self.common(target);
        match (intersection, crowd) {
            (0, _) => 0.0,
            (_, false) => f64::from(intersection) / f64::from(union),
            (_, true) => f64::from(intersection) / f64::from(self.area),
        }
    }

    /// Pixels in both masks, and in any of them.
    ///
    /// Counting ends early where both masks go on with an empty run at the same
    /// pixel, as it does in COCO's own implementation.
    fn common(&self, other: &Self) -> (u32, u32) {
        let (a, b) = (&self.runs, &other.runs);
        let (mut at_a, mut at_b) = (0, 0);
        let (mut left_a, mut left_b) = (a[0], b[0]);
        let (mut intersection, mut union) = (0, 0);
        loop {
            let step = min(left_a, left_b);
            // Runs of odd place are inside.
            let (in_a, in_b) = (at_a as u32 & 1, at_b as u32 & 1);
            union += step * (in_a | in_b);
            intersection += step * (in_a & in_b);
            left_a -= step;
            left_b -= step;
            if left_a == 0 && at_a + 1 < a.len() {
                at_a += 1;
                left_a = a[at_a];
            }
            if left_b == 0 && at_b + 1 < b.len() {
                at_b += 1;
                left_b = b[at_b];
            }
            if left_a == 0 && left_b == 0 {
                return (intersection, union);
            }
        }
    }
}

/// The character of an empty group.
const FIRST: u8 = b'0';

/// The runs of a compressed mask.
pub(super) fn decode(text: &str) -> Result<Vec<u32>, MaskError> {
    let mut runs: Vec<u32> = Vec::with_capacity(text.len());
    let (mut value, mut shift) = (0_i64, 0_u32);
    for (position, byte) in text.bytes().enumerate() {
        let group = byte.wrapping_sub(FIRST);
        if group >= 0x40 {
            return Err(MaskError::Alphabet { position, byte });
        }
        let run = runs.len();
        // Seven groups hold every difference of two runs.
        if shift >= 35 {
            return Err(MaskError::Run { run });
        }
        value |= i64::from(group & 0x1f) << shift;
        shift += 5;
        if group & 0x20 != 0 {
            continue;
        }
        if group & 0x10 != 0 {
            value |= -1 << shift;
        }
        if run > 2 {
            value += i64::from(runs[run - 2]);
        }
        match u32::try_from(value) {
            Ok(length) if u64::from(length) <= MAX_PIXELS => runs.push(length),
            _ => return Err(MaskError::Run { run }),
        }
        (value, shift) = (0, 0);
    }
    match shift {
        0 => Ok(runs),
        _ => Err(MaskError::Truncated),
    }
}

/// The number of pixels of a mask.
fn pixels(height: u32, width: u32) -> Result<u32, MaskError> {
    let pixels = u64::from(height) * u64::from(width);
    match u32::try_from(pixels) {
        Ok(few) if pixels <= MAX_PIXELS => Ok(few),
        _ => Err(MaskError::TooLarge { height, width }),
    }
}

/// Whether two boxes of pixels share any.
fn extents_overlap(a: [u32; 4], b: [u32; 4]) -> bool {
    let overlap = |at: usize| {
        let end = |of: [u32; 4]| u64::from(of[at]) + u64::from(of[at + 2]);
        end(a).min(end(b)) > u64::from(a[at].max(b[at]))
    };
    overlap(0) && overlap(1)
}

#[cfg(test)]
pub(super) mod tests {
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
}
