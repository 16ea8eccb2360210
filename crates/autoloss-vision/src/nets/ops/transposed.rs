//! Transposed convolution: the map that a convolution of the same kernel,
//! stride and padding applies to gradients, going forward. So its forward pass
//! is that convolution's backward pass, and its backward pass the forward one.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::nn::conv::ConvTranspose2d;
use burn::tensor::Tensor;

use super::unfold::Geometry;
use super::{Tracked, conv, input_dims, output_dims, plain, primitive, tracked};

/// The transposed convolution `layer` of `[N, C, H, W]`.
pub(crate) fn conv_transpose2d(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    let Some(geometry) = geometry(layer, x.dims()) else {
        return layer.forward(x);
    };
    let weight = layer.weight.val();
    let y = if let (Some(x), Some(weight)) = (tracked(&x), tracked(&weight)) {
        Tensor::from_primitive::<Autodiff<Flex>>(tracked_transposed(x, weight, geometry))
    } else if let (Some(x), Some(weight)) = (plain(&x), plain(&weight)) {
        let y = conv::input_gradient(weight.storage(), x.storage(), &geometry);
        Tensor::from_primitive::<Flex>(primitive(y, input_dims(&geometry)))
    } else {
        return layer.forward(x);
    };
    match &layer.bias {
        Some(bias) => y + bias.val().reshape([1, geometry.channels_in, 1, 1]),
        None => y,
    }
}

/// The convolution whose transpose the layer is, from the layer's output to
/// its input; none for what [`conv`] cannot do.
pub(super) fn geometry(
    layer: &ConvTranspose2d,
    [batch, channels, height, width]: [usize; 4],
) -> Option<Geometry> {
    let [weight_channels, channels_out, _, _] = layer.weight.dims();
    if layer.groups != 1 || weight_channels != channels || height * width == 0 {
        return None;
    }
    let size = [height, width];
    let mut transposed_size = [0; 2];
    for axis in 0..2 {
        // Beyond the stride, rows at the end would see no input.
        if layer.padding_out[axis] >= layer.stride[axis] {
            return None;
        }
        let reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1);
        let spread = (size[axis] - 1) * layer.stride[axis] + reach + 1 + layer.padding_out[axis];
        transposed_size[axis] = spread.checked_sub(2 * layer.padding[axis])?;
    }
    Some(Geometry {
        batch,
        channels_in: channels_out,
        channels_out: channels,
        size_in: transposed_size,
        size_out: size,
        kernel: layer.kernel_size,
        stride: layer.stride,
        padding: layer.padding,
        dilation: layer.dilation,
    })
}

#[derive(Debug)]
struct TransposedStep;

impl Backward<Flex, 2> for TransposedStep {
    type State = (FlexTensor, FlexTensor, Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, g) = ops.state;
        let [x_node, weight_node] = ops.parents;
        if let Some(node) = x_node {
            let values = conv::forward(output_gradient.storage(), weight.storage(), &g);
            gradients.register::<Flex>(node.id, primitive(values, output_dims(&g)));
        }
        if let Some(node) = weight_node {
            let values = conv::weight_gradient(output_gradient.storage(), x.storage(), &g);
            let dims = [g.channels_out, g.channels_in, g.kernel[0], g.kernel[1]];
            gradients.register::<Flex>(node.id, primitive(values, dims));
        }
    }
}

fn tracked_transposed(x: Tracked, weight: Tracked, g: Geometry) -> Tracked {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let y = conv::input_gradient(weight.storage(), x.storage(), &g);
    let y = primitive(y, input_dims(&g));
    match TransposedStep
        .prepare::<NoCheckpointing>([x_node, weight_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((x, weight, g), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}
