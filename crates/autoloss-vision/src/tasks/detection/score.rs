//! Scoring a network: its detections in images, as COCO results.

use autoloss_boxes::Roi;
use autoloss_data::PreparedScene;
use autoloss_expr::{Shape, softmax_channels};
use autoloss_metrics::coco::Prediction;
use autoloss_nets::DetectionNet;
use burn::tensor::Tensor;

use super::detections::{DetectedObject, ScoredRegion, detections};
use super::output::RegionLayout;
use super::proposals::Proposals;
use super::settings::DetectorSettings;
use crate::loss::host_values;

/// Results of a network on a plain device for a batch: boxes, or masks where it has a mask head.
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
) -> Vec<(usize, DetectedObject)> {
    let outputs = net.boxes(features, rois);
    let channels = outputs.class_logits.dims()[1];
    // The logits of a region are those of a position.
    let shape = Shape::new(rois.len(), channels, 1, 1);
    let mut probabilities = host_values(&outputs.class_logits);
    softmax_channels(&mut probabilities, shape);
    let deltas = host_values(&outputs.deltas);
    let layout = RegionLayout { classes: channels };
    let region = |number: usize| ScoredRegion {
        corners: rois[number].corners,
        probabilities: probabilities[layout.logits(number)].to_vec(),
        deltas: Box::new({
            let deltas = &deltas;
            move |class| layout.deltas(number, class).map(|place| deltas[place])
        }),
    };
    let mut found = Vec::new();
    for (image, item) in items.iter().enumerate() {
        let here = (0..rois.len()).filter(|number| rois[*number].image == image);
        let regions: Vec<ScoredRegion<'_>> = here.map(region).collect();
        let detections = detections(&regions, item.extent(), settings);
        found.extend(detections.into_iter().map(|detection| (image, detection)));
    }
    found
}

fn masks(
    net: &DetectionNet,
    features: &[Tensor<4>],
    items: &[PreparedScene],
    found: &[(usize, DetectedObject)],
) -> Vec<Prediction> {
    let roi = |(image, detection): &(usize, DetectedObject)| Roi {
        image: *image,
        corners: detection.corners,
    };
    let rois: Vec<Roi> = found.iter().map(roi).collect();
    let Some(logits) = net.masks(features, &rois) else {
        return Vec::new();
    };
    let [_, classes, side, _] = logits.dims();
    let (layout, values) = (RegionLayout { classes }, host_values(&logits));
    let mut results = Vec::with_capacity(found.len());
    for (number, (image, detection)) in found.iter().enumerate() {
        let inside: Vec<f32> = values[layout.mask(number, detection.class + 1, side * side)]
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
