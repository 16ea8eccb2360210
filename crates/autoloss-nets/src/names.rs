//! Names of networks: a head and a backbone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::NetworkError;
use super::resnet::{BlockKind, ResNetConfig, Stem};

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

impl Backbone {
    const ALL: [Self; 5] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::Slim,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::Slim => "slim",
        }
    }

    /// The backbone with that output stride. The slim one is the same for all
    /// networks, so that its weights serve each of them.
    ///
    /// # Errors
    /// A momentum outside [0, 1].
    pub(super) fn resnet(
        self,
        output_stride: usize,
        momentum: f64,
    ) -> Result<ResNetConfig, NetworkError> {
        if !(0.0..=1.0).contains(&momentum) {
            return Err(NetworkError::Momentum(momentum));
        }
        let (block, blocks) = match self {
            Self::ResNet18 => (BlockKind::Basic, [2, 2, 2, 2]),
            Self::ResNet34 => (BlockKind::Basic, [3, 4, 6, 3]),
            Self::ResNet50 => (BlockKind::Bottleneck, [3, 4, 6, 3]),
            Self::ResNet101 => (BlockKind::Bottleneck, [3, 4, 23, 3]),
            Self::Slim => (BlockKind::Basic, [1, 1, 1, 1]),
        };
        let (stem, widths) = match self {
            Self::Slim => (Stem::Slim(16), [16, 32, 48, 48]),
            _ => (Stem::ImageNet, [64, 128, 256, 512]),
        };
        Ok(ResNetConfig {
            block,
            blocks,
            widths,
            stem,
            output_stride,
            momentum,
        })
    }
}

/// Heads of a family of networks: the first part of a network's name.
pub trait NamedHead: fmt::Debug + Copy + Eq + 'static {
    /// Every head of the family.
    const ALL: &'static [Self];

    /// Its text in a network's name.
    fn text(self) -> &'static str;
}

/// The name of a network, `deeplabv3plus-resnet50` for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    try_from = "String",
    into = "String",
    bound(serialize = "H: NamedHead", deserialize = "H: NamedHead")
)]
pub struct Name<H> {
    /// The head, which reads the features.
    pub head: H,
    /// The backbone, which makes the features.
    pub backbone: Backbone,
}

impl<H: NamedHead> Name<H> {
    /// Every network of the family.
    pub fn all() -> impl Iterator<Item = Self> {
        H::ALL
            .iter()
            .flat_map(|&head| Backbone::ALL.map(|backbone| Self { head, backbone }))
    }
}

impl<H: NamedHead> fmt::Display for Name<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.head.text(), self.backbone.text())
    }
}

impl<H: NamedHead> FromStr for Name<H> {
    type Err = NetworkError;

    fn from_str(name: &str) -> Result<Self, NetworkError> {
        if let Some(known) = Self::all().find(|known| known.to_string() == name) {
            return Ok(known);
        }
        let known: Vec<String> = Self::all().map(String::from).collect();
        let nearest = known
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        Err(NetworkError::UnknownName {
            name: name.to_owned(),
            nearest: nearest.cloned().unwrap_or_default(),
            known: known.join(", "),
        })
    }
}

impl<H: NamedHead> TryFrom<String> for Name<H> {
    type Error = NetworkError;

    fn try_from(name: String) -> Result<Self, NetworkError> {
        name.parse()
    }
}

impl<H: NamedHead> From<Name<H>> for String {
    fn from(name: Name<H>) -> Self {
        name.to_string()
    }
}
