//! Networks of segmentation, detection and pose.
//!
//! A network knows nothing of losses, data or training: it maps images to
//! logits. Its random initialisation comes from the generator it is given, so
//! one seed gives one network, whatever else runs in the process.

pub mod anchors;
pub mod boxes;
mod classifier;
pub mod deeplab;
mod detection;
pub mod faster_rcnn;
pub mod fpn;
mod init;
mod layers;
pub mod mask_rcnn;
mod names;
mod ops;
pub mod pose;
pub mod pspnet;
#[cfg(test)]
mod recorded;
pub mod resnet;
mod settings;
mod weights;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

pub use classifier::Classifier;
use deeplab::DeepLabV3Plus;
pub use detection::{DetectionHead, DetectionName, DetectionNetSettings};
pub use faster_rcnn::{BoxPredictions, DetectionNet, RpnLevel};
pub use names::{Backbone, Name, NamedHead};
pub use pose::{PoseHead, PoseName, PoseNet, PoseNetSettings};
use pspnet::PspNet;
pub use settings::{Head, NetworkError, NetworkName, NetworkSettings};
pub use weights::{Weights, WeightsError, save as save_backbone};

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
        weights::start_from(&settings.weights, backbone, settings.name)?;
        Ok(net)
    }

    /// The network without its numbers: nothing is allocated for the
    /// parameters until they are used.
    fn uninitialised(
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
    pub fn backbone(&self) -> &resnet::ResNet {
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

/// Number of trainable parameters of `module`; the running statistics of
/// batch normalisation are none.
fn parameter_count<M: Module>(module: &M) -> usize {
    let mut counter = ParameterCounter {
        path: Vec::new(),
        count: 0,
    };
    module.visit(&mut counter);
    counter.count
}

struct ParameterCounter {
    path: Vec<String>,
    count: usize,
}

impl ModuleVisitor for ParameterCounter {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let running = self
            .path
            .last()
            .is_some_and(|name| name.starts_with("running_"));
        if !running {
            self.count += param.lazy_shape().num_elements();
        }
    }
}

#[cfg(test)]
mod tests;
