//! DeepLabV3+ (Chen et al. 2018, "Encoder-Decoder with Atrous Separable
//! Convolution for Semantic Image Segmentation") with plain convolutions.
//!
//! With a ResNet-101 and 21 classes it has 59.34 million parameters, the
//! figure commonly published for this form: five ASPP branches of 256
//! channels, a low-level skip of 48, and a decoder of two 3×3 convolutions.
//! There is no dropout: a proxy training is too short to overfit.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::layers::{ConvBnRelu, ConvShape};
use super::ops;
use super::resnet::{ResNet, ResNetConfig};

/// A DeepLabV3+ over any residual backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepLabConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Dilations of the three atrous branches.
    pub rates: [usize; 3],
    /// Channels of each ASPP branch and of the decoder.
    pub channels: usize,
    /// Channels the first stage's features are reduced to.
    pub low_level_channels: usize,
    /// Number of classes, and so of output channels.
    pub classes: usize,
}

impl DeepLabConfig {
    /// The network, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> DeepLabV3Plus {
        let momentum = self.backbone.momentum;
        let [low, _, _, deep] = self.backbone.channels();
        let layer = |shape| ConvBnRelu::new(shape, momentum, device);
        let channels = self.channels;
        DeepLabV3Plus {
            backbone: self.backbone.init(device),
            pointwise: layer(ConvShape::plain(deep, channels, 1)),
            atrous: self
                .rates
                .map(|rate| layer(ConvShape::plain(deep, channels, 3).dilation(rate))),
            pooled: layer(ConvShape::plain(deep, channels, 1)),
            project: layer(ConvShape::plain(5 * channels, channels, 1)),
            low_level: layer(ConvShape::plain(low, self.low_level_channels, 1)),
            decoder: [
                layer(ConvShape::plain(
                    channels + self.low_level_channels,
                    channels,
                    3,
                )),
                layer(ConvShape::plain(channels, channels, 3)),
            ],
            classifier: ConvShape::plain(channels, self.classes, 1).init(true, device),
        }
    }
}

/// The network built by [`DeepLabConfig`].
#[derive(Module, Debug)]
pub struct DeepLabV3Plus {
    pub(super) backbone: ResNet,
    pointwise: ConvBnRelu,
    atrous: [ConvBnRelu; 3],
    pooled: ConvBnRelu,
    project: ConvBnRelu,
    pub(super) low_level: ConvBnRelu,
    decoder: [ConvBnRelu; 2],
    classifier: Conv2d,
}

impl DeepLabV3Plus {
    /// Logits `[N, classes, H, W]` of the images `[N, 3, H, W]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let [low, _, _, deep] = self.backbone.forward(images);
        let x = self.decoded(self.pyramid(&deep), self.low_level.forward(low));
        ops::resize(ops::conv2d(&self.classifier, x), [height, width])
    }

    /// Atrous spatial pyramid pooling.
    pub(super) fn pyramid(&self, deep: &Tensor<4>) -> Tensor<4> {
        self.project.forward(Tensor::cat(self.branches(deep), 1))
    }

    /// The pyramid's branches: pointwise, atrous by rising rate, pooled.
    pub(super) fn branches(&self, deep: &Tensor<4>) -> Vec<Tensor<4>> {
        let [_, _, height, width] = deep.dims();
        let mean = deep.clone().mean_dim(3).mean_dim(2);
        let mut branches = vec![self.pointwise.forward(deep.clone())];
        for layer in &self.atrous {
            branches.push(layer.forward(deep.clone()));
        }
        branches.push(ops::resize(self.pooled.forward(mean), [height, width]));
        branches
    }

    /// The pyramid's features, joined with the low-level ones at their size.
    pub(super) fn decoded(&self, pyramid: Tensor<4>, low: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = low.dims();
        let pyramid = ops::resize(pyramid, [height, width]);
        let mut x = Tensor::cat(vec![pyramid, low], 1);
        for layer in &self.decoder {
            x = layer.forward(x);
        }
        x
    }
}
