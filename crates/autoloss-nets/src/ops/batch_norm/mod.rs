//! Batch normalisation, fused with the ReLU and the residual sum that follow it.

mod plain;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::nn::BatchNorm;
use burn::tensor::{Tensor, TensorData, activation};

use super::tensors::{Tracked, primitive, tracked, untracked};
use plain::{Shape, Statistics};

/// Batch normalisation of maps `[N, C, H, W]`.
pub fn batch_norm(bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    normalised(bn, &x, None, false).unwrap_or_else(|| bn.forward(x))
}

/// Batch normalisation of maps `[N, C, H, W]`, then ReLU.
pub fn batch_norm_relu(bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    normalised(bn, &x, None, true).unwrap_or_else(|| activation::relu(bn.forward(x)))
}

/// Batch normalisation of maps `[N, C, H, W]`, the residual added, then ReLU.
pub fn batch_norm_add_relu(bn: &BatchNorm, x: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
    normalised(bn, &x, Some(&residual), true)
        .unwrap_or_else(|| activation::relu(bn.forward(x) + residual))
}

/// The layer `bn` as one operation of the CPU; none on other devices, and for a layer in evaluation mode under autodiff.
fn normalised(
    bn: &BatchNorm,
    x: &Tensor<4>,
    residual: Option<&Tensor<4>>,
    relu: bool,
) -> Option<Tensor<4>> {
    if x.device().is_autodiff() {
        if !bn.training.is_enabled() {
            return None;
        }
        let residual = match residual {
            Some(residual) => Some(tracked(residual)?),
            None => None,
        };
        let parameters = [tracked(&bn.gamma.val())?, tracked(&bn.beta.val())?];
        let (y, statistics) = tracked_norm(tracked(x)?, residual, parameters, relu, bn.epsilon);
        update_running(bn, &statistics);
        return Some(Tensor::from_primitive::<Autodiff<Flex>>(y));
    }
    let dims = x.dims();
    let residual = match residual {
        Some(residual) => Some(untracked(residual)?),
        None => None,
    };
    let x = untracked(x)?;
    let [scale, offset] = [untracked(&bn.gamma.val())?, untracked(&bn.beta.val())?];
    let mean = untracked(&bn.running_mean.value())?
        .storage::<f32>()
        .to_vec();
    let variance = untracked(&bn.running_var.value())?
        .storage::<f32>()
        .to_vec();
    let statistics = Statistics {
        inverse_deviation: variance
            .iter()
            .map(|variance| plain::inverse_deviation(f64::from(*variance), bn.epsilon))
            .collect(),
        mean,
        variance,
    };
    let y = plain::normalise(
        x.storage(),
        residual.as_ref().map(FlexTensor::storage),
        &statistics,
        [scale.storage(), offset.storage()],
        relu,
        norm_shape(dims),
    );
    Some(Tensor::from_primitive::<Flex>(primitive(y, dims)))
}

fn norm_shape([batch, channels, height, width]: [usize; 4]) -> Shape {
    Shape {
        batch,
        channels,
        pixels: height * width,
    }
}

/// Update of the running statistics: `running = (1 - momentum) · running + momentum · batch`.
fn update_running(bn: &BatchNorm, statistics: &Statistics) {
    let momentum = bn.momentum as f32;
    for (running, batch) in [
        (&bn.running_mean, &statistics.mean),
        (&bn.running_var, &statistics.variance),
    ] {
        let value = running.value_sync();
        let device = value.device();
        let mut values: Vec<f32> = value.into_data().iter::<f32>().collect();
        for (value, batch) in values.iter_mut().zip(batch) {
            *value += momentum * (batch - *value);
        }
        let length = values.len();
        running.update(Tensor::from_data(
            TensorData::new(values, [length]),
            &device,
        ));
    }
}

#[derive(Debug)]
struct NormStep;

/// Values that the backward pass of a normalisation reads.
#[derive(Debug, Clone)]
struct NormState {
    x: FlexTensor,
    y: FlexTensor,
    scale: FlexTensor,
    statistics: Statistics,
    relu: bool,
    residual: bool,
    dims: [usize; 4],
}

impl<const N: usize> Backward<Flex, N> for NormStep {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<NormState, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let state = ops.state;
        let values = plain::gradients(
            output_gradient.storage(),
            state.x.storage(),
            state.y.storage(),
            &state.statistics,
            state.scale.storage(),
            [state.relu, state.residual],
            norm_shape(state.dims),
        );
        let channels = [state.dims[1]];
        let all = [
            Some(primitive(values.x, state.dims)),
            Some(primitive(values.scale, channels)),
            Some(primitive(values.offset, channels)),
            values.residual.map(|values| primitive(values, state.dims)),
        ];
        for (node, gradient) in ops.parents.into_iter().zip(all) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

fn tracked_norm(
    x: Tracked,
    residual: Option<Tracked>,
    [scale, offset]: [Tracked; 2],
    relu: bool,
    epsilon: f64,
) -> (Tracked, Statistics) {
    let dims = x.shape().dims();
    let shape = norm_shape(dims);
    let (x, x_node) = x.into_parts();
    let (scale, scale_node) = scale.into_parts();
    let (offset, offset_node) = offset.into_parts();
    let (residual, residual_node) = residual.map(Tracked::into_parts).unzip();
    let (x, scale, offset) = (
        x.to_contiguous(),
        scale.to_contiguous(),
        offset.to_contiguous(),
    );
    let residual = residual.map(|residual| residual.to_contiguous());

    let statistics = plain::statistics(x.storage(), shape, epsilon);
    let y = plain::normalise(
        x.storage(),
        residual.as_ref().map(FlexTensor::storage),
        &statistics,
        [scale.storage(), offset.storage()],
        relu,
        shape,
    );
    let y = primitive(y, dims);
    let state = NormState {
        x,
        y: y.clone(),
        scale,
        statistics: statistics.clone(),
        relu,
        residual: residual.is_some(),
        dims,
    };
    let nodes = [x_node, scale_node, offset_node];
    let y = match residual_node {
        None => finish(nodes, state, y),
        Some(residual_node) => {
            let [x, scale, offset] = nodes;
            finish([x, scale, offset, residual_node], state, y)
        }
    };
    (y, statistics)
}

fn finish<const N: usize>(nodes: [NodeGuard; N], state: NormState, y: FlexTensor) -> Tracked {
    match NormStep
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(state, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}
