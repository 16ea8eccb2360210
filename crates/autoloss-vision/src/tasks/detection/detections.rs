//! From class probabilities and deltas of regions to detections.

use autoloss_boxes::{HEAD_WEIGHTS, batched_nms, clip, decode};
use autoloss_data::Corners;
use autoloss_metrics::coco::{Mask, Prediction};

use super::masks::pasted;
use super::settings::DetectorSettings;

/// A detection: an object that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct DetectedObject {
    pub(super) corners: Corners,
    /// Counted from 0, without the background.
    pub(super) class: usize,
    pub(super) score: f32,
    /// Number of the region it comes from.
    pub(super) region: usize,
}

/// A region with the outputs of the box head for it.
pub(super) struct ScoredRegion<'a> {
    pub(super) corners: Corners,
    /// Probabilities of the classes, the background first.
    pub(super) probabilities: Vec<f32>,
    /// Deltas for a class, the background being 0.
    pub(super) deltas: Box<dyn Fn(usize) -> [f32; 4] + 'a>,
}

/// The detections of an image of `extent` pixels (width, height), best first.
pub(super) fn detections(
    regions: &[ScoredRegion<'_>],
    extent: [f32; 2],
    settings: &DetectorSettings,
) -> Vec<DetectedObject> {
    let mut found = Vec::new();
    for (region, scored) in regions.iter().enumerate() {
        for (class, &score) in scored.probabilities.iter().enumerate().skip(1) {
            if score.is_nan() || score <= settings.score_threshold {
                continue;
            }
            let deltas = (scored.deltas)(class);
            let corners = clip(decode(scored.corners, deltas, HEAD_WEIGHTS), extent);
            if corners[2] > corners[0] && corners[3] > corners[1] {
                found.push(DetectedObject {
                    corners,
                    class: class - 1,
                    score,
                    region,
                });
            }
        }
    }
    let boxes: Vec<Corners> = found.iter().map(|d| d.corners).collect();
    let scores: Vec<f32> = found.iter().map(|d| d.score).collect();
    let classes: Vec<usize> = found.iter().map(|d| d.class).collect();
    let mut kept = batched_nms(&boxes, &scores, &classes, settings.detections_nms);
    kept.truncate(settings.detections);
    kept.into_iter().map(|place| found[place]).collect()
}

impl DetectedObject {
    /// The box as a COCO result of an image that is larger by 1 / `scale` (x, y).
    pub(super) fn as_box(&self, image_id: i64, scale: [f32; 2]) -> Prediction {
        let [x1, y1, x2, y2] = self.unscaled(scale).map(f64::from);
        let bbox = [x1, y1, x2 - x1, y2 - y1];
        Prediction::of_box(image_id, self.category(), f64::from(self.score), bbox)
    }

    /// The mask as a COCO result: probabilities of `side` rows and columns in an image of `size` (columns, rows).
    pub(super) fn as_mask(
        &self,
        image_id: i64,
        scale: [f32; 2],
        (probabilities, side): (&[f32], usize),
        size: [usize; 2],
    ) -> Option<Prediction> {
        let bitmap = pasted(probabilities, side, self.unscaled(scale), size);
        let (width, height) = (u32::try_from(size[0]).ok()?, u32::try_from(size[1]).ok()?);
        let mask = Mask::from_bitmap(&bitmap, height, width).ok()?;
        let score = f64::from(self.score);
        Some(Prediction::of_mask(image_id, self.category(), score, mask))
    }

    fn category(&self) -> i64 {
        i64::try_from(self.class).map_or(i64::MAX, |class| class + 1)
    }

    fn unscaled(&self, [x, y]: [f32; 2]) -> Corners {
        let [x1, y1, x2, y2] = self.corners;
        [x1 / x, y1 / y, x2 / x, y2 / y]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::TaskName;
    use crate::tasks::detection::DetectionSettings;

    #[test]
    fn the_best_of_overlapping_boxes_of_a_class_stays() {
        let settings: DetectionSettings = crate::tasks::settings::preset(TaskName::DigitsDetection);
        let scored = |corners, probabilities: &[f32]| ScoredRegion {
            corners,
            probabilities: probabilities.to_vec(),
            deltas: Box::new(|_| [0.0; 4]),
        };
        let regions = [
            scored([0.0, 0.0, 10.0, 10.0], &[0.1, 0.6, 0.3]),
            scored([0.0, 0.0, 10.0, 9.0], &[0.0, 0.9, 0.1]),
            scored([20.0, 20.0, 80.0, 30.0], &[0.0, 0.04, f32::NAN]),
            scored([20.0, 20.0, 80.0, 30.0], &[0.5, 0.5, 0.0]),
        ];
        let found = detections(&regions, [40.0, 40.0], &settings.detector);
        let got: Vec<(usize, usize)> = found.iter().map(|d| (d.region, d.class)).collect();
        assert_eq!(got, [(1, 0), (3, 0), (0, 1)]);
        assert_eq!(found[1].corners, [20.0, 20.0, 40.0, 30.0]);
        let Prediction { region, .. } = found[1].as_box(7, [2.0, 0.5]);
        let want = autoloss_metrics::coco::Region::Box([10.0, 40.0, 10.0, 20.0]);
        assert_eq!(region, want);
    }
}
