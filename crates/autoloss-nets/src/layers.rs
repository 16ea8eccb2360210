//! Layers that the networks share. Convolutions start at zero;
//! [`crate::init::initialise`] draws their weights.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::ops;

/// Shape of a square convolution that keeps the size of its input (divided by
/// `stride`): padding is `dilation · (kernel - 1) / 2`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
}

impl ConvShape {
    /// A convolution with stride 1 and no dilation.
    pub(super) fn plain(channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel,
            stride: 1,
            dilation: 1,
        }
    }

    pub(super) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(super) fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// The convolution, with a bias only where no normalisation follows.
    pub(super) fn init(self, bias: bool, device: &Device) -> Conv2d {
        let padding = self.dilation * (self.kernel - 1) / 2;
        Conv2dConfig::new(
            [self.channels_in, self.channels_out],
            [self.kernel, self.kernel],
        )
        .with_stride([self.stride; 2])
        .with_dilation([self.dilation; 2])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(bias)
        .with_initializer(Initializer::Zeros)
        .init(device)
    }
}

/// A batch normalisation over `channels`, with scale 1 and offset 0.
///
/// `momentum` has PyTorch's meaning, which is Burn's too: after each training
/// step `running = (1 - momentum) · running + momentum · batch`.
pub(super) fn batch_norm(channels: usize, momentum: f64, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_momentum(momentum)
        .init(device)
}

/// Convolution, batch normalisation and ReLU.
#[derive(Module, Debug)]
pub(super) struct ConvBnRelu {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvBnRelu {
    pub(super) fn new(shape: ConvShape, momentum: f64, device: &Device) -> Self {
        Self {
            conv: shape.init(false, device),
            bn: batch_norm(shape.channels_out, momentum, device),
        }
    }

    /// `[N, C, H, W]` to `[N, C', H / stride, W / stride]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::batch_norm_relu(&self.bn, ops::conv2d(&self.conv, x))
    }
}

/// A transposed convolution that doubles height and width, for an even kernel.
pub(super) fn deconvolution(
    channels: [usize; 2],
    kernel: usize,
    bias: bool,
    device: &Device,
) -> ConvTranspose2d {
    ConvTranspose2dConfig::new(channels, [kernel; 2])
        .with_stride([2, 2])
        .with_padding([(kernel - 2) / 2; 2])
        .with_bias(bias)
        .with_initializer(Initializer::Zeros)
        .init(device)
}
