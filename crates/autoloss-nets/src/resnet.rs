//! Residual backbones (He et al. 2016, "Deep Residual Learning for Image
//! Recognition"), as torchvision builds them: same layers, same parameter
//! paths, the stride of a bottleneck in its 3×3 convolution.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::layers::{ConvShape, batch_norm};
use super::ops;

/// The kind of residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1 convolution, with four times as many output channels.
    Bottleneck,
}

impl BlockKind {
    /// Output channels for each channel of the stage's width.
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// The layers before the first stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stem {
    /// 7×7 convolution with stride 2 and 64 channels, then 3×3 max-pooling
    /// with stride 2.
    ImageNet,
    /// 3×3 convolution with stride 2 and this number of channels.
    Slim(usize),
}

impl Stem {
    fn channels(self) -> usize {
        match self {
            Self::ImageNet => 64,
            Self::Slim(channels) => channels,
        }
    }

    /// Pixels of the input between two pixels of the output.
    pub fn stride(self) -> usize {
        match self {
            Self::ImageNet => 4,
            Self::Slim(_) => 2,
        }
    }
}

/// A residual backbone of four stages.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNetConfig {
    /// Kind of the blocks.
    pub block: BlockKind,
    /// Blocks in each stage.
    pub blocks: [usize; 4],
    /// Width of each stage (channels before the expansion of a bottleneck).
    pub widths: [usize; 4],
    /// Layers before the first stage.
    pub stem: Stem,
    /// Pixels of the input between two pixels of the last stage: a power of two, at least the stem's stride. A stage
    /// that would exceed it dilates instead, as torchvision's `replace_stride_with_dilation` does: its first block
    /// keeps the dilation of the stage before, the others double it.
    pub output_stride: usize,
    /// Momentum of the running statistics in batch normalisation; see
    /// [`crate::NetworkSettings::batch_norm_momentum`].
    pub momentum: f64,
}

impl ResNetConfig {
    /// Channels of the feature maps of the four stages.
    pub fn channels(&self) -> [usize; 4] {
        self.widths.map(|width| width * self.block.expansion())
    }

    /// Pixels of the input between two pixels of each stage's map.
    pub fn strides(&self) -> [usize; 4] {
        let stem = self.stem.stride();
        [0, 1, 2, 3].map(|stage| (stem << stage).min(self.output_stride))
    }

    /// The network, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> ResNet {
        let stem = self.stem.channels();
        let (kernel, pool) = match self.stem {
            Stem::ImageNet => (7, true),
            Stem::Slim(_) => (3, false),
        };
        let mut builder = StageBuilder {
            config: self,
            channels: stem,
            stride: self.stem.stride(),
            dilation: 1,
            device,
        };
        ResNet {
            conv1: ConvShape::plain(3, stem, kernel)
                .stride(2)
                .init(false, device),
            bn1: batch_norm(stem, self.momentum, device),
            maxpool: pool.then(|| {
                MaxPool2dConfig::new([3, 3])
                    .with_strides([2, 2])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init()
            }),
            layer1: builder.stage(0),
            layer2: builder.stage(1),
            layer3: builder.stage(2),
            layer4: builder.stage(3),
        }
    }
}

/// Stride, dilation and channels reached while the stages are built.
struct StageBuilder<'a> {
    config: &'a ResNetConfig,
    channels: usize,
    stride: usize,
    dilation: usize,
    device: &'a Device,
}

impl StageBuilder<'_> {
    fn stage(&mut self, index: usize) -> Vec<Block> {
        let first_dilation = self.dilation;
        let wanted = if index == 0 { 1 } else { 2 };
        let stride = if self.stride * wanted <= self.config.output_stride {
            wanted
        } else {
            self.dilation *= wanted;
            1
        };
        self.stride *= stride;
        (0..self.config.blocks[index])
            .map(|block| {
                if block == 0 {
                    // Also without a stride, so that the tensors are the same at every output stride.
                    let projects = index > 0;
                    self.block(index, projects, stride, first_dilation)
                } else {
                    self.block(index, false, 1, self.dilation)
                }
            })
            .collect()
    }

    fn block(&mut self, index: usize, projects: bool, stride: usize, dilation: usize) -> Block {
        let (width, channels_in) = (self.config.widths[index], self.channels);
        let (momentum, device) = (self.config.momentum, self.device);
        let channels_out = width * self.config.block.expansion();
        self.channels = channels_out;

        let inner = ConvShape::plain(width, width, 3).dilation(dilation);
        let (conv1, conv2, conv3) = match self.config.block {
            BlockKind::Basic => (
                ConvShape {
                    channels_in,
                    stride,
                    ..inner
                },
                inner,
                None,
            ),
            BlockKind::Bottleneck => (
                ConvShape::plain(channels_in, width, 1),
                inner.stride(stride),
                Some(ConvShape::plain(width, channels_out, 1)),
            ),
        };
        let downsample = (projects || channels_in != channels_out).then(|| {
            (
                ConvShape::plain(channels_in, channels_out, 1)
                    .stride(stride)
                    .init(false, device),
                batch_norm(channels_out, momentum, device),
            )
        });
        Block {
            conv1: conv1.init(false, device),
            bn1: batch_norm(width, momentum, device),
            conv2: conv2.init(false, device),
            bn2: batch_norm(width, momentum, device),
            conv3: conv3.map(|shape| shape.init(false, device)),
            bn3: conv3.map(|shape| batch_norm(shape.channels_out, momentum, device)),
            downsample,
        }
    }
}

/// A residual block; a basic one has no third convolution.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some((conv, bn)) => ops::batch_norm(bn, ops::conv2d(conv, x.clone())),
            None => x.clone(),
        };
        let y = ops::batch_norm_relu(&self.bn1, ops::conv2d(&self.conv1, x));
        let y = ops::conv2d(&self.conv2, y);
        match (&self.conv3, &self.bn3) {
            (Some(conv3), Some(bn3)) => {
                let y = ops::batch_norm_relu(&self.bn2, y);
                ops::batch_norm_add_relu(bn3, ops::conv2d(conv3, y), shortcut)
            }
            _ => ops::batch_norm_add_relu(&self.bn2, y, shortcut),
        }
    }
}

/// A residual backbone; its fields are named as in torchvision, without the
/// classifier `fc`.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: Option<MaxPool2d>,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

impl ResNet {
    /// Feature maps of the four stages of `[N, 3, H, W]`, each
    /// `[N, C, ⌈H / s⌉, ⌈W / s⌉]` with the stage's channels C and stride s.
    pub fn forward(&self, x: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = ops::batch_norm_relu(&self.bn1, ops::conv2d(&self.conv1, x));
        if let Some(pool) = &self.maxpool {
            x = pool.forward(x);
        }
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].map(|stage| {
            for block in stage {
                x = block.forward(x.clone());
            }
            x.clone()
        })
    }

    /// Dilation of the 3×3 convolution that carries the stride, block by block.
    #[cfg(test)]
    pub(super) fn dilations(&self) -> [Vec<usize>; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].map(|stage| {
            let carrier = |block: &Block| match block.conv3 {
                Some(_) => block.conv2.dilation[0],
                None => block.conv1.dilation[0],
            };
            stage.iter().map(carrier).collect()
        })
    }
}
