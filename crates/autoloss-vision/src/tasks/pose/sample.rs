//! Screening samples of keypoints.

use autoloss_data::{PersonBatch, PreparedPerson, Scene};
use autoloss_metrics::coco::{Annotations, Image, Kind};
use autoloss_search::{BranchSample, EvaluationSet, Sample};

use super::Pose;
use super::results::keypoints;
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
