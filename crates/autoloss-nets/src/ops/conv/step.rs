//! Convolution and transposed convolution as one operation of Burn's autodiff.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;

use super::plain;
use super::unfold::Geometry;
use crate::ops::tensors::{Tracked, primitive, tracked, untracked};

fn input_dims(g: &Geometry) -> [usize; 4] {
    [g.batch, g.channels_in, g.size_in[0], g.size_in[1]]
}

fn output_dims(g: &Geometry) -> [usize; 4] {
    [g.batch, g.channels_out, g.size_out[0], g.size_out[1]]
}

/// A convolution by a weight, or the transposed one. The backward pass of each applies the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Convolution,
    Transposed,
}

impl Direction {
    /// The output of contiguous operands; `g` is the convolution's.
    fn output(self, x: &FlexTensor, weight: &FlexTensor, g: &Geometry) -> FlexTensor {
        match self {
            Self::Convolution => primitive(
                plain::forward(x.storage(), weight.storage(), g),
                output_dims(g),
            ),
            Self::Transposed => primitive(
                plain::input_gradient(weight.storage(), x.storage(), g),
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
        let values = plain::weight_gradient(wide.storage(), narrow.storage(), g);
        let dims = [g.channels_out, g.channels_in, g.kernel[0], g.kernel[1]];
        primitive(values, dims)
    }

    /// The output on the CPU, with or without autodiff; none on other devices.
    pub(super) fn on_cpu(
        self,
        x: &Tensor<4>,
        weight: &Tensor<4>,
        g: Geometry,
    ) -> Option<Tensor<4>> {
        if let (Some(x), Some(weight)) = (tracked(x), tracked(weight)) {
            let y = tracked_conv(self, x, weight, g);
            Some(Tensor::from_primitive::<Autodiff<Flex>>(y))
        } else {
            let y = self.output(&untracked(x)?, &untracked(weight)?, &g);
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
