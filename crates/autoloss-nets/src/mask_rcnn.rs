//! Mask head (He et al. 2017, "Mask R-CNN").

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::{Device, Tensor, activation};

use super::layers::{ConvShape, deconvolution};
use super::ops;

/// A mask head.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskHeadConfig {
    /// 3×3 convolutions before the masks are doubled in size.
    pub convolutions: usize,
    /// Their channels.
    pub channels: usize,
    /// Rows and columns that a region is pooled to, half of a mask's.
    pub pooled: usize,
}

impl MaskHeadConfig {
    /// The head for features of so many channels; `outputs` are the classes
    /// with the background.
    pub fn init(&self, channels_in: usize, outputs: usize, device: &Device) -> MaskHead {
        let channels = self.channels;
        MaskHead {
            convolutions: (0..self.convolutions)
                .map(|index| if index == 0 { channels_in } else { channels })
                .map(|channels_in| ConvShape::plain(channels_in, channels, 3).init(true, device))
                .collect(),
            doubling: deconvolution([channels, channels], 2, true, device),
            masks: ConvShape::plain(channels, outputs, 1).init(true, device),
            pooled: self.pooled,
        }
    }
}

/// The head built by [`MaskHeadConfig`].
#[derive(Module, Debug)]
pub struct MaskHead {
    convolutions: Vec<Conv2d>,
    doubling: ConvTranspose2d,
    masks: Conv2d,
    pub(super) pooled: usize,
}

impl MaskHead {
    /// Logits `[R, K + 1, 2 h, 2 w]` of pooled regions `[R, C, h, w]`.
    pub fn forward(&self, mut x: Tensor<4>) -> Tensor<4> {
        for layer in &self.convolutions {
            x = activation::relu(ops::conv2d(layer, x));
        }
        let x = activation::relu(ops::conv_transpose2d(&self.doubling, x));
        ops::conv2d(&self.masks, x)
    }

    /// The logits for no regions.
    pub(super) fn nothing(&self) -> Tensor<4> {
        let [outputs, ..] = self.masks.weight.dims();
        let size = 2 * self.pooled;
        Tensor::zeros([0, outputs, size, size], &self.masks.weight.val().device())
    }
}
