//! The operations that take the time of a training step: convolution, and
//! batch normalisation with what follows it.
//!
//! On the CPU (Burn's `flex`) they are computed here, each as one operation
//! with its own backward pass, several times faster than by Burn's; on every
//! other device Burn's operations are used.

mod batch_norm;
mod conv;
mod norm;
mod pooling;
mod resize;
mod roi_align;
mod transposed;
mod unfold;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Bytes, DType, Tensor};

pub(super) use batch_norm::{batch_norm, batch_norm_add_relu, batch_norm_relu};
use resize::Sizes;
pub(super) use roi_align::{RoiAlign, roi_align};
pub(super) use transposed::conv_transpose2d;
use unfold::Geometry;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// The convolution `conv` of `[N, C, H, W]`.
pub(super) fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let Some(geometry) = geometry(conv, x.dims()) else {
        return conv.forward(x);
    };
    let Some(y) = Direction::Convolution.on_cpu(&x, &conv.weight.val(), geometry) else {
        return conv.forward(x);
    };
    match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, geometry.channels_out, 1, 1]),
        None => y,
    }
}

/// Bilinear resizing of `[N, C, h, w]` to `[N, C, height, width]`, with
/// half-pixel centres (PyTorch's `align_corners=False`).
pub(super) fn resize(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let sizes = Sizes {
        from: [h, w],
        to: [height, width],
    };
    if sizes.from == sizes.to {
        x
    } else if sizes.from == [1, 1] {
        x.expand([n, c, height, width])
    } else if let Some(x) = tracked(&x) {
        Tensor::from_primitive::<Autodiff<Flex>>(tracked_resize(x, sizes))
    } else if let Some(x) = plain(&x) {
        let y = resize::forward(x.storage(), sizes);
        Tensor::from_primitive::<Flex>(primitive(y, [n, c, height, width]))
    } else {
        resize::by_products(x, sizes)
    }
}

/// The tensor on the differentiable CPU backend, if it lives there.
fn tracked<const D: usize>(x: &Tensor<D>) -> Option<Tracked> {
    x.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

/// The tensor on the plain CPU backend, in row-major order, if it lives there.
fn plain<const D: usize>(x: &Tensor<D>) -> Option<FlexTensor> {
    let x = x.clone().try_into_primitive::<Flex>().ok()?;
    Some(x.to_contiguous())
}

fn primitive(values: Vec<f32>, dims: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(dims.into()),
        DType::F32,
    )
}

/// What [`conv`] needs to know; none for what it cannot do.
fn geometry(conv: &Conv2d, [batch, channels_in, height, width]: [usize; 4]) -> Option<Geometry> {
    let PaddingConfig2d::Explicit(top, left, bottom, right) = conv.padding else {
        return None;
    };
    let [channels_out, weight_channels, _, _] = conv.weight.dims();
    if conv.groups != 1 || weight_channels != channels_in || top != bottom || left != right {
        return None;
    }
    let (size_in, padding) = ([height, width], [top, left]);
    let mut size_out = [0; 2];
    for axis in 0..2 {
        let reach = conv.dilation[axis] * (conv.kernel_size[axis] - 1);
        let room = (size_in[axis] + 2 * padding[axis]).checked_sub(reach + 1)?;
        size_out[axis] = room / conv.stride[axis] + 1;
    }
    Some(Geometry {
        batch,
        channels_in,
        channels_out,
        size_in,
        size_out,
        kernel: conv.kernel_size,
        stride: conv.stride,
        padding,
        dilation: conv.dilation,
    })
}

fn input_dims(g: &Geometry) -> [usize; 4] {
    [g.batch, g.channels_in, g.size_in[0], g.size_in[1]]
}

fn output_dims(g: &Geometry) -> [usize; 4] {
    [g.batch, g.channels_out, g.size_out[0], g.size_out[1]]
}

/// A convolution by a weight, or the transposed one: each is the other's way back.
#[derive(Clone, Copy, Debug)]
enum Direction {
    Convolution,
    Transposed,
}

impl Direction {
    /// The output of contiguous operands; `g` is the convolution's.
    fn output(self, x: &FlexTensor, weight: &FlexTensor, g: &Geometry) -> FlexTensor {
        match self {
            Self::Convolution => primitive(
                conv::forward(x.storage(), weight.storage(), g),
                output_dims(g),
            ),
            Self::Transposed => primitive(
                conv::input_gradient(weight.storage(), x.storage(), g),
                input_dims(g),
            ),
        }
    }

    const fn reversed(self) -> Self {
        match self {
            Self::Convolution => Self::Transposed,
            Self::Transposed => Self::Convolution,
        }
    }

    fn weight_gradient(
        self,
        x: &FlexTensor,
        output_gradient: &FlexTensor,
        g: &Geometry,
    ) -> FlexTensor {
        let (wide, narrow) = match self {
            Self::Convolution => (x, output_gradient),
            Self::Transposed => (output_gradient, x),
        };
        let values = conv::weight_gradient(wide.storage(), narrow.storage(), g);
        let dims = [g.channels_out, g.channels_in, g.kernel[0], g.kernel[1]];
        primitive(values, dims)
    }

    /// The output on the CPU, with or without autodiff; none elsewhere.
    fn on_cpu(self, x: &Tensor<4>, weight: &Tensor<4>, g: Geometry) -> Option<Tensor<4>> {
        if let (Some(x), Some(weight)) = (tracked(x), tracked(weight)) {
            let y = tracked_conv(self, x, weight, g);
            Some(Tensor::from_primitive::<Autodiff<Flex>>(y))
        } else {
            let y = self.output(&plain(x)?, &plain(weight)?, &g);
            Some(Tensor::from_primitive::<Flex>(y))
        }
    }
}

#[derive(Debug)]
struct ConvStep(Direction);

impl Backward<Flex, 2> for ConvStep {
    type State = (FlexTensor, FlexTensor, Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let Self(direction) = self;
        let output_gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, g) = ops.state;
        let [x_node, weight_node] = ops.parents;
        if let Some(node) = x_node {
            let gradient = direction.reversed().output(&output_gradient, &weight, &g);
            gradients.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = weight_node {
            let gradient = direction.weight_gradient(&x, &output_gradient, &g);
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

fn tracked_conv(direction: Direction, x: Tracked, weight: Tracked, g: Geometry) -> Tracked {
    let (x, x_node) = x.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let y = direction.output(&x, &weight, &g);
    match ConvStep(direction)
        .prepare::<NoCheckpointing>([x_node, weight_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((x, weight, g), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct ResizeStep;

impl Backward<Flex, 1> for ResizeStep {
    /// Dimensions of the input and sizes of the maps.
    type State = ([usize; 4], Sizes);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (dims, sizes) = ops.state;
        let [node] = ops.parents;
        unary::<Flex, _>([node], ops.node, gradients, |gradient| {
            let gradient = gradient.to_contiguous();
            primitive(resize::backward(gradient.storage(), sizes), dims)
        });
    }
}

fn tracked_resize(x: Tracked, sizes: Sizes) -> Tracked {
    let (x, x_node) = x.into_parts();
    let dims: [usize; 4] = x.shape().dims();
    let [n, c, _, _] = dims;
    let y = resize::forward(x.to_contiguous().storage(), sizes);
    let y = primitive(y, [n, c, sizes.to[0], sizes.to[1]]);
    match ResizeStep
        .prepare::<NoCheckpointing>([x_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((dims, sizes), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[cfg(test)]
mod tests;
