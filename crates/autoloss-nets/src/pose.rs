//! Heatmaps of keypoints (Xiao et al. 2018, "Simple Baselines for Human Pose
//! Estimation and Tracking"): a residual backbone, transposed convolutions
//! that double its map (three, the slim network one), and a heatmap for each keypoint.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::error::NetworkError;
use super::layers::{ConvShape, batch_norm, deconvolution};
use super::names::{Backbone, Name, NamedHead};
use super::parameters::parameter_count;
use super::resnet::{ResNet, ResNetConfig};
use super::weights::Weights;
use super::{init, ops, start};

/// Head of a pose network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoseHead {
    /// Heatmaps by transposed convolutions.
    SimpleBaseline,
}

impl NamedHead for PoseHead {
    const ALL: &'static [Self] = &[Self::SimpleBaseline];

    fn text(self) -> &'static str {
        match self {
            Self::SimpleBaseline => "simplebaseline",
        }
    }
}

/// The name of a pose network, `simplebaseline-resnet50` for instance.
pub type PoseName = Name<PoseHead>;

/// Settings of a pose network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoseNetSettings {
    /// Name of the network; default `simplebaseline-slim`.
    pub name: PoseName,
    /// Momentum of the running statistics in batch normalisation; see
    /// [`crate::NetworkSettings::batch_norm_momentum`]. Default 0.1.
    pub batch_norm_momentum: f64,
    /// Weights that the backbone starts from; default random.
    pub weights: Weights,
}

impl Default for PoseNetSettings {
    fn default() -> Self {
        Self {
            name: PoseName {
                head: PoseHead::SimpleBaseline,
                backbone: Backbone::Slim,
            },
            batch_norm_momentum: 0.1,
            weights: Weights::default(),
        }
    }
}

impl PoseNetSettings {
    /// The network these settings describe, with a heatmap for each of `keypoints`.
    ///
    /// # Errors
    /// A momentum outside [0, 1].
    pub fn config(&self, keypoints: usize) -> Result<PoseConfig, NetworkError> {
        let slim = self.name.backbone == Backbone::Slim;
        // Small crops leave a small network few positions: it goes less deep.
        let output_stride = if slim { 8 } else { 32 };
        Ok(PoseConfig {
            backbone: self
                .name
                .backbone
                .resnet(output_stride, self.batch_norm_momentum)?,
            channels: if slim { vec![48; 1] } else { vec![256; 3] },
            keypoints,
        })
    }
}

/// A pose network over any residual backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Channels of the transposed convolutions, each of which doubles the map.
    pub channels: Vec<usize>,
    /// Number of keypoints, and so of heatmaps.
    pub keypoints: usize,
}

impl PoseConfig {
    /// The network, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> PoseNet {
        let [.., mut channels] = self.backbone.channels();
        let mut deconvolutions = Vec::with_capacity(self.channels.len());
        for &width in &self.channels {
            deconvolutions.push(Deconvolution {
                conv: deconvolution([channels, width], 4, false, device),
                bn: batch_norm(width, self.backbone.momentum, device),
            });
            channels = width;
        }
        PoseNet {
            backbone: self.backbone.init(device),
            deconvolutions,
            heatmaps: ConvShape::plain(channels, self.keypoints, 1).init(true, device),
            stride: self.backbone.output_stride >> self.channels.len(),
        }
    }
}

/// The network built by [`PoseConfig`].
#[derive(Module, Debug)]
pub struct PoseNet {
    pub(super) backbone: ResNet,
    deconvolutions: Vec<Deconvolution>,
    heatmaps: Conv2d,
    stride: usize,
}

impl PoseNet {
    /// The network that `settings` describe with a heatmap for each of `keypoints`, its parameters drawn from `rng`
    /// and its backbone started from `settings.weights`.
    ///
    /// A network that is to be trained needs an autodiff device.
    ///
    /// # Errors
    /// Settings out of range, or weights that cannot be used.
    pub fn init(
        settings: &PoseNetSettings,
        keypoints: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        let mut net = init::initialise(settings.config(keypoints)?.init(device), rng);
        start::start_from(&settings.weights, &mut net.backbone, settings.name)?;
        Ok(net)
    }

    /// Heatmaps `[N, keypoints, H / s, W / s]` of the images `[N, 3, H, W]`, with
    /// [`Self::stride`] s, in the data set's order of keypoints.
    ///
    /// H and W are multiples of the backbone's output stride (32, for the slim
    /// network 8); others count as the next multiple.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [.., mut x] = self.backbone.forward(images);
        for layer in &self.deconvolutions {
            x = ops::batch_norm_relu(&layer.bn, ops::conv_transpose2d(&layer.conv, x));
        }
        ops::conv2d(&self.heatmaps, x)
    }

    /// Pixels of the image between two positions of a heatmap: 4.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        parameter_count(self)
    }
}

/// Transposed convolution and batch normalisation, before ReLU.
#[derive(Module, Debug)]
struct Deconvolution {
    conv: ConvTranspose2d,
    bn: BatchNorm,
}
