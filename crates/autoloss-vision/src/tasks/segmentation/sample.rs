//! Screening samples of semantic segmentation.

use autoloss_data as data;
use autoloss_expr::Shape;
use autoloss_metrics::{
    Metric, SegmentationScore, SegmentationSettings as ScoreSettings, SegmentationTarget,
    argmax_channels,
};
use autoloss_search::{BranchSample, Sample, TaskError};

use crate::learner::failed;
use crate::loss::{for_ignored, one_hot};

/// One screening sample; ignored pixels are predicted perfectly from the start, as in training.
pub(in crate::tasks) fn sample(
    shape: Shape,
    labels: &[u8],
    mut yhat: Vec<f32>,
    settings: &ScoreSettings,
    metric: Metric,
) -> Result<Sample, TaskError> {
    let y = one_hot(labels, shape);
    for_ignored(labels, shape, |i| yhat[i] = y[i]);
    let target = SegmentationTarget::new(labels.to_vec(), shape.w, shape.h, settings);
    let target = target.map_err(failed)?;
    let settings = settings.clone();
    let scorer = move |predictions: &[&[f32]]| {
        let pixels = shape.h * shape.w;
        let mut labels = vec![0; pixels];
        let mut score = SegmentationScore::new(settings.clone()).expect("settings checked above");
        let found = argmax_channels(predictions[0], shape.c, pixels, &mut labels);
        // The prediction for an ignored pixel is uniform: its largest class would be the first by its place alone,
        // and make edges.
        for (label, target) in labels.iter_mut().zip(target.labels()) {
            if usize::from(*target) >= shape.c {
                *label = data::IGNORE;
            }
        }
        found
            .and_then(|()| score.score(&target, &labels, metric))
            .expect("predictions have the sample's shape")
    };
    Ok(Sample {
        branches: vec![BranchSample::only(shape, vec![yhat, y])],
        scorer: Box::new(scorer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_pixels_start_as_predicted_perfectly() {
        let shape = Shape::new(1, 2, 1, 2);
        let settings = ScoreSettings {
            classes: 2,
            background: None,
            distance: 1,
            metrics: vec![Metric::MIoU],
        };
        let yhat = vec![0.9, 0.8, 0.1, 0.2];
        let sample = sample(shape, &[1, 255], yhat, &settings, Metric::MIoU).unwrap();
        assert_eq!(sample.branches[0].inputs[0], [0.9, 0.5, 0.1, 0.5]);
        assert_eq!(sample.branches[0].inputs[1], [0.0, 0.5, 1.0, 0.5]);
        assert_eq!((sample.scorer)(&[&[0.9, 0.5, 0.1, 0.5]]), 0.0);
        assert_eq!((sample.scorer)(&[&[0.1, 0.5, 0.9, 0.5]]), 1.0);
    }

    /// A perfect prediction of all that counts has the target's edges, whatever lies beside it.
    #[test]
    fn ignored_pixels_make_no_edges_in_screening() {
        let shape = Shape::new(1, 2, 1, 6);
        let labels = [1, 1, 255, 255, 0, 1];
        for metric in Metric::ALL {
            let settings = ScoreSettings {
                classes: 2,
                background: None,
                distance: 0,
                metrics: vec![metric],
            };
            let sample = sample(shape, &labels, vec![0.5; 12], &settings, metric).unwrap();
            let right = sample.branches[0].inputs[1].clone();
            assert_eq!((sample.scorer)(&[&right]), 1.0, "{metric:?}");
        }
    }
}
