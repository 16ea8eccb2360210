//! Overlap of two masks.

use std::cmp::min;

use super::Mask;

impl Mask {
    /// Intersection over union with a target; with a crowd, the share of this
    /// mask that lies in the crowd. −1 if the masks differ in size and their boxes
    /// overlap.
    #[must_use]
    pub fn iou(&self, target: &Self, crowd: bool) -> f64 {
        if !extents_overlap(self.extent(), target.extent()) {
            return 0.0;
        }
        self.iou_of_overlapping(target, crowd)
    }

    /// The result of [`Self::iou`] where it is at least one half, else any smaller
    /// number; `extents` are those of both masks.
    pub(in crate::coco) fn iou_from_half(
        &self,
        target: &Self,
        crowd: bool,
        extents: [[u32; 4]; 2],
    ) -> f64 {
        let (area, other) = (u64::from(self.area), u64::from(target.area));
        let [ours, theirs] = extents;
        if area == 0 || other == 0 || !extents_overlap(ours, theirs) {
            return 0.0;
        }
        // No bound holds where counting may end early, at empty runs.
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

    /// Number of pixels in both masks, and in any of them.
    ///
    /// Counting ends early where both masks go on with an empty run at the same
    /// pixel, as in COCO's own implementation.
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

/// Whether two boxes of pixels share any.
fn extents_overlap(a: [u32; 4], b: [u32; 4]) -> bool {
    let overlap = |at: usize| {
        let end = |of: [u32; 4]| u64::from(of[at]) + u64::from(of[at + 2]);
        end(a).min(end(b)) > u64::from(a[at].max(b[at]))
    };
    overlap(0) && overlap(1)
}
