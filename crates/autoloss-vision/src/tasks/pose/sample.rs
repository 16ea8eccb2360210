//! Screening samples of keypoints, and heatmaps as COCO results.

use autoloss_data::{
    CropMap, PersonBatch, PersonSize, PreparedPerson, Scene, decode_heatmaps, keypoint_to_coco,
};
use autoloss_metrics::coco::{Annotations, Image, Kind, Prediction};
use autoloss_search::{BranchSample, EvaluationSet, Sample};

use super::Pose;
use crate::coco_targets::target;
use crate::loss::PartialTarget;
use crate::tasks::coco_metric::scored;

impl Pose {
    /// The screening sample of a person with the untrained network's heatmaps.
    pub(super) fn sample(
        &self,
        prepared: PreparedPerson,
        alone: Annotations,
        yhat: Vec<f32>,
    ) -> Sample {
        let mut inputs = vec![yhat, prepared.heatmaps.clone()];
        let (map, size, metric) = (prepared.map, self.size, self.metric);
        let person = alone.targets.first().map_or(1, |target| target.category_id);
        let batch = PersonBatch::stack(&[prepared]);
        self.target(&batch).clear(&mut inputs[0]);
        let score = move |heatmaps: &[f32]| {
            let of = (alone.images[0].id, person);
            let found = keypoints(heatmaps, &map, size, of);
            metric.of(&scored(&alone, vec![found]))
        };
        // Heatmaps are coarse, and what is beyond the crop is not found: as a share of what the
        // targets themselves reach.
        let best = score(&inputs[1]);
        let scorer = move |predictions: &[&[f32]]| match best > 0.0 {
            true => score(predictions[0]) / best,
            false => 0.0,
        };
        Sample {
            branches: vec![BranchSample::only(self.shape(1), inputs)],
            scorer: Box::new(scorer),
        }
    }

    /// The targets of an image with no other person than one.
    pub(super) fn alone(&self, scene: &Scene, object: usize) -> Annotations {
        let target = target(&scene.objects[object], scene, Kind::Keypoints);
        Annotations {
            images: vec![Image {
                id: scene.id,
                ..Image::default()
            }],
            categories: self
                .scored
                .get(EvaluationSet::Search)
                .targets
                .categories
                .clone(),
            targets: target.into_iter().collect(),
            ..Annotations::empty(Kind::Keypoints)
        }
    }
}

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
