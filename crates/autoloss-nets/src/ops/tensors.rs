//! Tensors of Burn's CPU backend `flex` and the numbers in them.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, DType, Tensor};

/// A tensor of the CPU that records its operations for the backward pass.
pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// The tensor on the CPU with autodiff; none on other devices.
pub(super) fn tracked<const D: usize>(x: &Tensor<D>) -> Option<Tracked> {
    x.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

/// The tensor on the CPU without autodiff, in row-major order; none on other devices.
pub(super) fn untracked<const D: usize>(x: &Tensor<D>) -> Option<FlexTensor> {
    let x = x.clone().try_into_primitive::<Flex>().ok()?;
    Some(x.to_contiguous())
}

/// The tensor of these numbers in row-major order.
pub(super) fn primitive(values: Vec<f32>, dims: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(dims.into()),
        DType::F32,
    )
}
