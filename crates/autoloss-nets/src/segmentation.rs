//! The segmentation networks behind one type.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::deeplab::DeepLabV3Plus;
use super::error::NetworkError;
use super::parameters::parameter_count;
use super::pspnet::PspNet;
use super::resnet::ResNet;
use super::settings::{Head, NetworkSettings};
use super::{init, start};

/// A segmentation network.
///
/// `clone` shares the running statistics of batch normalisation with the
/// original (Burn's `RunningState`), so training a clone changes the
/// original's predictions; `valid` copies them.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a process holds a few networks, each of many megabytes"
)]
pub enum SegmentationNet {
    /// DeepLabV3+.
    DeepLab(DeepLabV3Plus),
    /// PSPNet.
    PspNet(PspNet),
}

impl SegmentationNet {
    /// The network that `settings` describe, its parameters drawn from `rng`
    /// and its backbone started from `settings.weights`.
    ///
    /// A network that is to be trained needs an autodiff device.
    ///
    /// # Errors
    /// Settings out of range, or weights that cannot be used.
    pub fn init(
        settings: &NetworkSettings,
        classes: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        let mut net = init::initialise(Self::uninitialised(settings, classes, device)?, rng);
        let backbone = match &mut net {
            Self::DeepLab(net) => &mut net.backbone,
            Self::PspNet(net) => &mut net.backbone,
        };
        start::start_from(&settings.weights, backbone, settings.name)?;
        Ok(net)
    }

    /// The network without parameters: they are allocated when they are first used.
    pub(crate) fn uninitialised(
        settings: &NetworkSettings,
        classes: usize,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        if classes == 0 {
            return Err(NetworkError::NoClasses);
        }
        Ok(match settings.name.head {
            Head::DeepLabV3Plus => Self::DeepLab(settings.deeplab(classes)?.init(device)),
            Head::PspNet => Self::PspNet(settings.pspnet(classes)?.init(device)),
        })
    }

    /// Logits `[N, classes, H, W]` of the images `[N, 3, H, W]`, for any H and
    /// W.
    ///
    /// On an autodiff device batch normalisation uses the statistics of the
    /// batch and updates the running ones, on a plain device (`net.valid()`)
    /// it uses the running ones.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        match self {
            Self::DeepLab(net) => net.forward(images),
            Self::PspNet(net) => net.forward(images),
        }
    }

    /// The backbone.
    pub fn backbone(&self) -> &ResNet {
        match self {
            Self::DeepLab(net) => &net.backbone,
            Self::PspNet(net) => &net.backbone,
        }
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        parameter_count(self)
    }
}
