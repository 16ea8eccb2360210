//! Heatmaps as COCO results.

use autoloss_data::{CropMap, PersonSize, Scene, decode_heatmaps, keypoint_to_coco};
use autoloss_metrics::coco::Prediction;

/// The category of an object as [`crate::coco_targets::targets`] have it.
pub(super) fn category(scene: &Scene, object: usize) -> i64 {
    i64::try_from(scene.objects[object].class).map_or(i64::MAX, |class| class + 1)
}

/// The keypoints that heatmaps of a crop show, as a COCO result of an image and a category.
pub(super) fn keypoints(
    heatmaps: &[f32],
    map: &CropMap,
    size: PersonSize,
    (image_id, category_id): (i64, i64),
) -> Prediction {
    let found = decode_heatmaps(heatmaps, size);
    let score = found.iter().map(|point| point[2]).sum::<f32>() / found.len() as f32;
    let points = found.into_iter().map(|[x, y, score]| {
        let [x, y] = map.to_image([x, y]);
        let [x, y, _] = keypoint_to_coco([x, y, 1.0]);
        [x, y, f64::from(score)]
    });
    Prediction::of_keypoints(image_id, category_id, score.into(), points.collect())
}
