//! Settings of segmentation networks.

use serde::{Deserialize, Serialize};

use super::deeplab::DeepLabConfig;
use super::error::NetworkError;
use super::names::{Backbone, Name, NamedHead};
use super::pspnet::PspNetConfig;
use super::resnet::ResNetConfig;
use super::weights::Weights;

/// Settings of a segmentation network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// Name of the network; default `deeplabv3plus-slim`.
    pub name: NetworkName,
    /// Pixels of the input between two pixels of the backbone's last stage:
    /// 8, 16 or 32, for the slim networks 4, 8 or 16. Default 16, for
    /// `deeplabv3plus-slim` 8, for `pspnet-slim` 4.
    pub output_stride: Option<usize>,
    /// Momentum of the running statistics in batch normalisation, in [0, 1],
    /// with PyTorch's meaning: after each training step `running = (1 -
    /// momentum) · running + momentum · batch`. Default 0.1. After `n` steps
    /// the initial statistics still weigh `(1 - momentum)ⁿ`.
    pub batch_norm_momentum: f64,
    /// Weights that the backbone starts from; default random.
    pub weights: Weights,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            name: NetworkName {
                head: Head::DeepLabV3Plus,
                backbone: Backbone::Slim,
            },
            output_stride: None,
            batch_norm_momentum: 0.1,
            weights: Weights::default(),
        }
    }
}

/// Head of a segmentation network, which turns the features of the backbone into logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Head {
    /// Atrous pyramid and decoder, [`crate::deeplab`].
    DeepLabV3Plus,
    /// Pooling pyramid, [`crate::pspnet`].
    PspNet,
}

impl NamedHead for Head {
    const ALL: &'static [Self] = &[Self::DeepLabV3Plus, Self::PspNet];

    fn text(self) -> &'static str {
        match self {
            Self::DeepLabV3Plus => "deeplabv3plus",
            Self::PspNet => "pspnet",
        }
    }
}

/// The name of a segmentation network.
pub type NetworkName = Name<Head>;

impl NetworkSettings {
    /// The output stride, checked against what the network offers.
    fn checked_output_stride(&self) -> Result<usize, NetworkError> {
        let (default, offered) = match (self.name.backbone, self.name.head) {
            (Backbone::Slim, Head::DeepLabV3Plus) => (8, [4, 8, 16]),
            // PSPNet has no decoder: this stride alone decides how fine its predictions are.
            (Backbone::Slim, Head::PspNet) => (4, [4, 8, 16]),
            _ => (16, [8, 16, 32]),
        };
        let output_stride = self.output_stride.unwrap_or(default);
        if offered.contains(&output_stride) {
            Ok(output_stride)
        } else {
            Err(NetworkError::OutputStride {
                output_stride,
                network: self.name.to_string(),
                offered,
            })
        }
    }

    /// The backbone these settings describe.
    ///
    /// # Errors
    /// An output stride the network does not offer, a momentum outside [0, 1].
    pub fn backbone(&self) -> Result<ResNetConfig, NetworkError> {
        self.name
            .backbone
            .resnet(self.checked_output_stride()?, self.batch_norm_momentum)
    }

    /// The DeepLabV3+ over [`Self::backbone`].
    ///
    /// The dilations of the pyramid shrink with the output stride as in the
    /// paper: 6, 12, 18 at stride 16 and 12, 24, 36 at stride 8.
    pub(super) fn deeplab(&self, classes: usize) -> Result<DeepLabConfig, NetworkError> {
        let backbone = self.backbone()?;
        let (rate, channels, low_level_channels) = match self.name.backbone {
            Backbone::Slim => (8 / backbone.output_stride.min(8), 24, 8),
            _ => (96 / backbone.output_stride, 256, 48),
        };
        Ok(DeepLabConfig {
            rates: [rate, 2 * rate, 3 * rate],
            backbone,
            channels,
            low_level_channels,
            classes,
        })
    }

    /// The PSPNet over [`Self::backbone`].
    pub(super) fn pspnet(&self, classes: usize) -> Result<PspNetConfig, NetworkError> {
        let channels = match self.name.backbone {
            Backbone::Slim => 48,
            Backbone::ResNet18 | Backbone::ResNet34 => 128,
            _ => 512,
        };
        Ok(PspNetConfig {
            backbone: self.backbone()?,
            channels,
            classes,
        })
    }
}
