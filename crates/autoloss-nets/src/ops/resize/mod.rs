//! Bilinear resizing of maps.

mod plain;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};

use super::tensors::{Tracked, primitive, tracked, untracked};
use plain::Sizes;

/// Bilinear resizing of `[N, C, h, w]` to `[N, C, height, width]`, with
/// half-pixel centres (PyTorch's `align_corners=False`).
pub fn resize(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
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
    } else if let Some(x) = untracked(&x) {
        let y = plain::forward(x.storage(), sizes);
        Tensor::from_primitive::<Flex>(primitive(y, [n, c, height, width]))
    } else {
        by_products(x, sizes)
    }
}

/// Bilinear resizing on any device, as one product with a constant matrix for each axis. Burn's own interpolation has
/// no gradient on the backends for GPUs.
fn by_products(x: Tensor<4>, sizes: Sizes) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let [height, width] = sizes.to;
    let device = x.device();
    let matrix = |axis: usize| {
        let shape = [sizes.to[axis], sizes.from[axis]];
        Tensor::<2>::from_data(TensorData::new(sizes.matrix(axis), shape), &device)
    };
    let columns = matrix(1).transpose();
    let rows = matrix(0).unsqueeze::<3>();
    let wide = x.reshape([n * c * h, w]).matmul(columns);
    let maps = rows.matmul(wide.reshape([n * c, h, width]));
    maps.reshape([n, c, height, width])
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
            primitive(plain::backward(gradient.storage(), sizes), dims)
        });
    }
}

fn tracked_resize(x: Tracked, sizes: Sizes) -> Tracked {
    let (x, x_node) = x.into_parts();
    let dims: [usize; 4] = x.shape().dims();
    let [n, c, _, _] = dims;
    let y = plain::forward(x.to_contiguous().storage(), sizes);
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
