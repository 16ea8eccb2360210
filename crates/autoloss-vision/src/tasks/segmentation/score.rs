//! Scores of a network: label maps against targets.

use autoloss_data::{Batch, DataError, Example, Prepared};
use autoloss_metrics::{
    SegmentationScore, SegmentationSettings as ScoreSettings, SegmentationTarget, argmax_channels,
};
use autoloss_nets::SegmentationNet;
use autoloss_search::Interrupt;
use burn::module::Module;
use burn::tensor::Device;

use crate::loss::host_values;
use crate::train::{TrainError, images};

/// Images that are scored in one forward pass.
const SCORED_TOGETHER: usize = 8;

/// Scores a network that was trained on `device` on some examples.
///
/// # Errors
/// An interrupt, or data that cannot be read.
pub(super) fn score(
    net: &SegmentationNet,
    device: &Device,
    examples: impl Iterator<Item = Result<Example, DataError>>,
    settings: &ScoreSettings,
    interrupt: &Interrupt,
) -> Result<SegmentationScore, TrainError> {
    let net = net.valid();
    let device = device.clone().inner();
    let mut score = SegmentationScore::new(settings.clone()).map_err(between)?;
    let mut waiting: Vec<Prepared> = Vec::new();
    for example in examples {
        if interrupt.is_set() {
            return Err(TrainError::Interrupted);
        }
        let example = Prepared::whole(&example?);
        let other_size = waiting
            .first()
            .is_some_and(|w| (w.height, w.width) != (example.height, example.width));
        if other_size || waiting.len() == SCORED_TOGETHER {
            add_scores(&net, &device, &mut waiting, &mut score)?;
        }
        waiting.push(example);
    }
    add_scores(&net, &device, &mut waiting, &mut score)?;
    Ok(score)
}

/// Scores the waiting examples, which are of one size, and empties the list.
fn add_scores(
    net: &SegmentationNet,
    device: &Device,
    waiting: &mut Vec<Prepared>,
    score: &mut SegmentationScore,
) -> Result<(), TrainError> {
    let size = waiting
        .first()
        .map_or([0; 2], |first| [first.width, first.height]);
    predict(net, device, waiting, |target, prediction| {
        let [w, h] = size;
        let target = SegmentationTarget::new(target.to_vec(), w, h, score.settings());
        score
            .add(&target.map_err(between)?, prediction)
            .map_err(between)
    })
}

/// Calls `f` with the target and the predicted label map of the examples, which are of one size, and
/// empties the list.
pub(super) fn predict(
    net: &SegmentationNet,
    device: &Device,
    examples: &mut Vec<Prepared>,
    mut f: impl FnMut(&[u8], &[u8]) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    if examples.is_empty() {
        return Ok(());
    }
    let batch = Batch::stack(examples)?;
    examples.clear();
    let (h, w) = (batch.h, batch.w);
    let labels = batch.labels.clone();
    let logits = net.forward(images(batch.images, [batch.n, h, w], device));
    let classes = logits.dims()[1];
    let mut prediction = vec![0; h * w];
    let values = host_values(&logits);
    let each = values.chunks_exact(classes * h * w);
    for (logits, labels) in each.zip(labels.chunks_exact(h * w)) {
        argmax_channels(logits, classes, h * w, &mut prediction).map_err(between)?;
        f(labels, &prediction)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn between(error: autoloss_metrics::MetricError) -> TrainError {
    TrainError::Between(error.to_string())
}
