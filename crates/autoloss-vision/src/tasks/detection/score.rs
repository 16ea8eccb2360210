//! Scoring a network: its detections in images, as COCO results.

use autoloss_data::PreparedScene;
use autoloss_metrics::coco::Prediction;
use autoloss_nets::DetectionNet;
use autoloss_nets::boxes::Roi;
use burn::tensor::Tensor;

use super::detections::{Candidate, Detection, detections};
use super::proposals::Proposals;
use super::settings::DetectorSettings;
use crate::loss::{host_values, softmax};
use autoloss_expr::Shape;

/// What a network on a plain device finds in a batch: boxes, and masks where it has some.
pub(super) fn results(
    net: &DetectionNet,
    images: Tensor<4>,
    items: &[PreparedScene],
    settings: &DetectorSettings,
) -> Vec<Prediction> {
    let features = net.features(images);
    let proposals = Proposals::new(net, &net.rpn(&features));
    let rois: Vec<Roi> = items
        .iter()
        .enumerate()
        .flat_map(|(image, item)| {
            let boxes = proposals.of_image(image, item.extent(), settings.proposals());
            boxes.into_iter().map(move |corners| Roi { image, corners })
        })
        .collect();
    let found = found(net, &features, &rois, items, settings);
    if net.has_masks() {
        return masks(net, &features, items, &found);
    }
    found
        .iter()
        .map(|(image, detection)| detection.as_box(items[*image].id, items[*image].scale))
        .collect()
}

/// The detections, each with the number of its image in the batch.
fn found(
    net: &DetectionNet,
    features: &[Tensor<4>],
    rois: &[Roi],
    items: &[PreparedScene],
    settings: &DetectorSettings,
) -> Vec<(usize, Detection)> {
    let outputs = net.boxes(features, rois);
    let channels = outputs.class_logits.dims()[1];
    // A region's logits are a position of so many channels each.
    let shape = Shape::new(rois.len(), channels, 1, 1);
    let probabilities = softmax(&host_values(&outputs.class_logits), shape);
    let deltas = host_values(&outputs.deltas);
    let candidate = |number: usize| Candidate {
        corners: rois[number].corners,
        probabilities: probabilities[number * channels..(number + 1) * channels].to_vec(),
        deltas: Box::new({
            let deltas = &deltas;
            move |class| {
                let start = (number * channels + class) * 4;
                std::array::from_fn(|k| deltas[start + k])
            }
        }),
    };
    let mut found = Vec::new();
    for (image, item) in items.iter().enumerate() {
        let here = (0..rois.len()).filter(|number| rois[*number].image == image);
        let candidates: Vec<Candidate<'_>> = here.map(candidate).collect();
        let detections = detections(&candidates, item.extent(), settings);
        found.extend(detections.into_iter().map(|detection| (image, detection)));
    }
    found
}

fn masks(
    net: &DetectionNet,
    features: &[Tensor<4>],
    items: &[PreparedScene],
    found: &[(usize, Detection)],
) -> Vec<Prediction> {
    let roi = |(image, detection): &(usize, Detection)| Roi {
        image: *image,
        corners: detection.corners,
    };
    let rois: Vec<Roi> = found.iter().map(roi).collect();
    let Some(logits) = net.masks(features, &rois) else {
        return Vec::new();
    };
    let [_, channels, side, _] = logits.dims();
    let values = host_values(&logits);
    let mut results = Vec::with_capacity(found.len());
    for (number, (image, detection)) in found.iter().enumerate() {
        let start = (number * channels + detection.class + 1) * side * side;
        let inside: Vec<f32> = values[start..start + side * side]
            .iter()
            .map(|logit| 1.0 / (1.0 + (-logit).exp()))
            .collect();
        let item = &items[*image];
        let [x, y] = item.scale;
        let size = [original(item.width, x), original(item.height, y)];
        results.extend(detection.as_mask(item.id, item.scale, (&inside, side), size));
    }
    results
}

/// Pixels before an image was resized.
fn original(pixels: usize, scale: f32) -> usize {
    (pixels as f32 / scale).round() as usize
}
