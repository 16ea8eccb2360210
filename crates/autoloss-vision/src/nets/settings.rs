//! Which network: its name and its settings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::deeplab::DeepLabConfig;
use super::pspnet::PspNetConfig;
use super::resnet::{BlockKind, ResNetConfig, Stem};
use super::weights::WeightsError;

/// A segmentation network and how it starts.
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
    /// Weights of the backbone, a state dict of the torchvision ResNet of the
    /// same depth (.safetensors, .pth or .pt). None (default): random.
    pub weights: Option<PathBuf>,
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
            weights: None,
        }
    }
}

/// Why a network could not be built.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A name that no network has.
    #[error(
        "unknown network `{name}`; did you mean `{nearest}`? known: {}",
        known_names()
    )]
    UnknownName {
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: String,
    },
    /// An output stride the network does not offer.
    #[error("output_stride {output_stride}: {network} offers {offered:?}")]
    OutputStride {
        /// The stride given.
        output_stride: usize,
        /// The network.
        network: NetworkName,
        /// The strides it offers.
        offered: [usize; 3],
    },
    /// A momentum outside [0, 1].
    #[error("batch_norm_momentum {0}: expected a number from 0 to 1")]
    Momentum(f64),
    /// A network without classes.
    #[error("a network needs at least one class, got 0")]
    NoClasses,
    /// Weights for a backbone of which no pretrained weights exist.
    #[error("weights are given, but {0} has no torchvision counterpart; leave `weights` out")]
    WeightsForSlim(NetworkName),
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// What a network makes of its backbone's features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Head {
    /// Atrous pyramid and decoder, [`super::deeplab`].
    DeepLabV3Plus,
    /// Pooling pyramid, [`super::pspnet`].
    PspNet,
}

/// The backbone of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backbone {
    /// 18 layers, basic blocks.
    ResNet18,
    /// 34 layers, basic blocks.
    ResNet34,
    /// 50 layers, bottlenecks.
    ResNet50,
    /// 101 layers, bottlenecks.
    ResNet101,
    /// One narrow basic block a stage, for proxies on a CPU.
    Slim,
}

/// The name of a network, `deeplabv3plus-resnet50` for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName {
    /// What is made of the features.
    pub head: Head,
    /// What makes the features.
    pub backbone: Backbone,
}

impl NetworkName {
    /// Every network there is.
    pub fn all() -> impl Iterator<Item = Self> {
        [Head::DeepLabV3Plus, Head::PspNet]
            .into_iter()
            .flat_map(|head| {
                [
                    Backbone::ResNet18,
                    Backbone::ResNet34,
                    Backbone::ResNet50,
                    Backbone::ResNet101,
                    Backbone::Slim,
                ]
                .map(|backbone| Self { head, backbone })
            })
    }
}

fn known_names() -> String {
    let names: Vec<String> = NetworkName::all().map(String::from).collect();
    names.join(", ")
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = match self.head {
            Head::DeepLabV3Plus => "deeplabv3plus",
            Head::PspNet => "pspnet",
        };
        let backbone = match self.backbone {
            Backbone::ResNet18 => "resnet18",
            Backbone::ResNet34 => "resnet34",
            Backbone::ResNet50 => "resnet50",
            Backbone::ResNet101 => "resnet101",
            Backbone::Slim => "slim",
        };
        write!(f, "{head}-{backbone}")
    }
}

impl FromStr for NetworkName {
    type Err = NetworkError;

    fn from_str(name: &str) -> Result<Self, NetworkError> {
        if let Some(known) = Self::all().find(|known| known.to_string() == name) {
            return Ok(known);
        }
        let nearest = Self::all()
            .map(String::from)
            .min_by_key(|known| strsim::damerau_levenshtein(known, name))
            .unwrap_or_default();
        Err(NetworkError::UnknownName {
            name: name.to_owned(),
            nearest,
        })
    }
}

impl TryFrom<String> for NetworkName {
    type Error = NetworkError;

    fn try_from(name: String) -> Result<Self, NetworkError> {
        name.parse()
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.to_string()
    }
}

impl NetworkSettings {
    /// The output stride, checked against what the network offers.
    fn checked_output_stride(&self) -> Result<usize, NetworkError> {
        let (default, offered) = match (self.name.backbone, self.name.head) {
            (Backbone::Slim, Head::DeepLabV3Plus) => (8, [4, 8, 16]),
            // Nothing but this stride decides how fine its predictions are.
            (Backbone::Slim, Head::PspNet) => (4, [4, 8, 16]),
            _ => (16, [8, 16, 32]),
        };
        let output_stride = self.output_stride.unwrap_or(default);
        if offered.contains(&output_stride) {
            Ok(output_stride)
        } else {
            Err(NetworkError::OutputStride {
                output_stride,
                network: self.name,
                offered,
            })
        }
    }

    /// The backbone these settings describe.
    ///
    /// # Errors
    /// An output stride the network does not offer, a momentum outside [0, 1].
    pub fn backbone(&self) -> Result<ResNetConfig, NetworkError> {
        let momentum = self.batch_norm_momentum;
        if !(0.0..=1.0).contains(&momentum) {
            return Err(NetworkError::Momentum(momentum));
        }
        let (block, blocks) = match self.name.backbone {
            Backbone::ResNet18 => (BlockKind::Basic, [2, 2, 2, 2]),
            Backbone::ResNet34 => (BlockKind::Basic, [3, 4, 6, 3]),
            Backbone::ResNet50 => (BlockKind::Bottleneck, [3, 4, 6, 3]),
            Backbone::ResNet101 => (BlockKind::Bottleneck, [3, 4, 23, 3]),
            Backbone::Slim => (BlockKind::Basic, [1, 1, 1, 1]),
        };
        let (stem, widths) = match self.name.backbone {
            Backbone::Slim => (Stem::Slim(16), [16, 32, 48, 48]),
            _ => (Stem::ImageNet, [64, 128, 256, 512]),
        };
        Ok(ResNetConfig {
            block,
            blocks,
            widths,
            stem,
            output_stride: self.checked_output_stride()?,
            momentum,
        })
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
