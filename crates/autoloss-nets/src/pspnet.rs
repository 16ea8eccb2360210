//! PSPNet (Zhao et al. 2017, "Pyramid Scene Parsing Network"), without the
//! auxiliary head and without dropout.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::layers::{ConvBnRelu, ConvShape};
use super::ops;
use super::resnet::{ResNet, ResNetConfig};

/// Cells along each side of the pooled maps.
const BINS: [usize; 4] = [1, 2, 3, 6];

/// A PSPNet over any residual backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct PspNetConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Channels of the convolution after the pyramid.
    pub channels: usize,
    /// Number of classes, and so of output channels.
    pub classes: usize,
}

impl PspNetConfig {
    /// The network, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> PspNet {
        let momentum = self.backbone.momentum;
        let [_, _, _, deep] = self.backbone.channels();
        let branch = deep / BINS.len();
        let layer = |shape| ConvBnRelu::new(shape, momentum, device);
        PspNet {
            backbone: self.backbone.init(device),
            pyramid: BINS.map(|_| layer(ConvShape::plain(deep, branch, 1))),
            fuse: layer(ConvShape::plain(
                deep + BINS.len() * branch,
                self.channels,
                3,
            )),
            classifier: ConvShape::plain(self.channels, self.classes, 1).init(true, device),
        }
    }
}

/// The network built by [`PspNetConfig`].
#[derive(Module, Debug)]
pub struct PspNet {
    pub(super) backbone: ResNet,
    pyramid: [ConvBnRelu; 4],
    fuse: ConvBnRelu,
    classifier: Conv2d,
}

impl PspNet {
    /// Logits `[N, classes, H, W]` of the images `[N, 3, H, W]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let [_, _, _, deep] = self.backbone.forward(images);
        let x = self.fused(deep);
        ops::resize(ops::conv2d(&self.classifier, x), [height, width])
    }

    /// The features joined with their pyramid.
    pub(super) fn fused(&self, deep: Tensor<4>) -> Tensor<4> {
        let mut maps = self.means(&deep);
        maps.insert(0, deep);
        self.fuse.forward(Tensor::cat(maps, 1))
    }

    /// The features' means over 1, 2, 3 and 6 cells a side, at their size.
    pub(super) fn means(&self, deep: &Tensor<4>) -> Vec<Tensor<4>> {
        let [_, _, height, width] = deep.dims();
        let layers = self.pyramid.iter().zip(BINS);
        let means = layers.map(|(layer, bin)| {
            let pooled = layer.forward(adaptive_avg_pool2d(deep.clone(), [bin, bin]));
            ops::resize(pooled, [height, width])
        });
        means.collect()
    }
}
