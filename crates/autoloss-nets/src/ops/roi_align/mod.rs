//! RoIAlign (He et al. 2017, "Mask R-CNN"), as torchvision defines it.

mod plain;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{Int, Tensor, TensorData};

use super::tensors::{Tracked, primitive, tracked, untracked};
use crate::boxes::Roi;
use plain::{Axis, Region};

/// Options of the pooling of regions.
#[derive(Debug, Clone, Copy)]
pub struct RoiAlign {
    /// Bins of a pooled region: rows, columns.
    pub output: [usize; 2],
    /// Positions of the map for one pixel of the image.
    pub scale: f32,
    /// Samples along each side of a bin; 0: one for each position that the bin spans, rounded up.
    pub sampling_ratio: usize,
    /// True if the map's first position stands for the centre of its cell (pixel 0.5). False is torchvision's
    /// `aligned=False`: the position stands for pixel 0, and a region covers at least one position.
    pub aligned: bool,
}

impl RoiAlign {
    fn region(&self, roi: &Roi, [height, width]: [usize; 2]) -> Region {
        let axis = |index: usize, size: usize| {
            let offset = if self.aligned { 0.5 } else { 0.0 };
            let bins = self.output[index];
            let first = 1 - index;
            let start = roi.corners[first] * self.scale - offset;
            let length = roi.corners[first + 2] * self.scale - offset - start;
            let length = if self.aligned {
                length
            } else {
                length.max(1.0)
            };
            Axis::new(start, length, bins, size, self.sampling_ratio)
        };
        Region {
            image: roi.image,
            axes: [axis(0, height), axis(1, width)],
        }
    }
}

/// Regions pooled from maps `[N, C, H, W]`; shape `[R, C, h', w']`.
///
/// # Panics
/// If a region's image is not in the batch.
pub fn roi_align(features: Tensor<4>, rois: &[Roi], options: RoiAlign) -> Tensor<4> {
    let dims @ [batch, channels, height, width] = features.dims();
    assert!(
        rois.iter().all(|roi| roi.image < batch),
        "a region of an image beyond the batch of {batch}"
    );
    let [rows, columns] = options.output;
    let regions: Vec<Region> = rois
        .iter()
        .map(|roi| options.region(roi, [height, width]))
        .collect();
    if regions.is_empty() {
        return Tensor::zeros([0, channels, rows, columns], &features.device());
    }
    if let Some(x) = tracked(&features) {
        let y = tracked_roi_align(x, regions, options.output);
        Tensor::from_primitive::<Autodiff<Flex>>(y)
    } else if let Some(x) = untracked(&features) {
        let y = plain::forward(x.storage(), dims, &regions, options.output);
        let dims = [regions.len(), channels, rows, columns];
        Tensor::from_primitive::<Flex>(primitive(y, dims))
    } else {
        gathered(features, &regions, options.output)
    }
}

/// [`roi_align`] by tensor operations, on any device: map positions are gathered once for each pair of a vertical and
/// a horizontal neighbour.
fn gathered(features: Tensor<4>, regions: &[Region], [rows, columns]: [usize; 2]) -> Tensor<4> {
    let device = features.device();
    let [batch, channels, height, width] = features.dims();
    let positions = features
        .permute([0, 2, 3, 1])
        .reshape([batch * height * width, channels]);
    let bins = regions.len() * rows * columns;
    let mut sum = Tensor::zeros([bins, channels], &device);
    let longest = |axis: usize| {
        regions
            .iter()
            .map(|region| region.axes[axis].longest())
            .max()
            // At least one tap, of weight 0, so that the map is part of the sum.
            .map(|longest| longest.max(1))
    };
    for vertical in 0..longest(0).unwrap_or(0) {
        for horizontal in 0..longest(1).unwrap_or(0) {
            let (mut indices, mut weights) = (Vec::with_capacity(bins), Vec::with_capacity(bins));
            for region in regions {
                for row in 0..rows {
                    let (y, y_weight) = region.axes[0].tap(row, vertical);
                    for column in 0..columns {
                        let (x, x_weight) = region.axes[1].tap(column, horizontal);
                        indices.push(((region.image * height + y) * width + x) as i32);
                        weights.push(y_weight * x_weight);
                    }
                }
            }
            let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [bins]), &device);
            let weights = Tensor::<2>::from_data(TensorData::new(weights, [bins, 1]), &device);
            sum = sum + positions.clone().select(0, indices) * weights;
        }
    }
    sum.reshape([regions.len(), rows, columns, channels])
        .permute([0, 3, 1, 2])
}

#[derive(Debug)]
struct RoiAlignStep;

impl Backward<Flex, 1> for RoiAlignStep {
    /// Dimensions of the map, the regions and the bins of each.
    type State = ([usize; 4], Arc<Vec<Region>>, [usize; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (dims, regions, output) = ops.state;
        let [node] = ops.parents;
        unary::<Flex, _>([node], ops.node, gradients, |gradient| {
            let gradient = gradient.to_contiguous();
            let values = plain::backward(gradient.storage(), dims, &regions, output);
            primitive(values, dims)
        });
    }
}

fn tracked_roi_align(x: Tracked, regions: Vec<Region>, output: [usize; 2]) -> Tracked {
    let (x, x_node) = x.into_parts();
    let dims: [usize; 4] = x.shape().dims();
    let y = plain::forward(x.to_contiguous().storage(), dims, &regions, output);
    let y = primitive(y, [regions.len(), dims[1], output[0], output[1]]);
    match RoiAlignStep
        .prepare::<NoCheckpointing>([x_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((dims, Arc::new(regions), output), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}
