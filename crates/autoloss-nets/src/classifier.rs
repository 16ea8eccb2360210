//! A classifier of images: a backbone, the mean of its last features, and a linear layer.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::layers::ConvShape;
use super::resnet::{ResNet, ResNetConfig};
use super::{init, ops};

/// A backbone under a linear classifier.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The backbone.
    pub backbone: ResNet,
    classifier: Conv2d,
}

impl Classifier {
    /// The network with parameters drawn from `rng`.
    pub fn init(
        backbone: &ResNetConfig,
        classes: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let [.., deep] = backbone.channels();
        let net = Self {
            backbone: backbone.init(device),
            classifier: ConvShape::plain(deep, classes, 1).init(true, device),
        };
        init::initialise(net, rng)
    }

    /// Logits `[N, classes, 1, 1]` of the images `[N, 3, H, W]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [.., deep] = self.backbone.forward(images);
        ops::conv2d(&self.classifier, deep.mean_dim(3).mean_dim(2))
    }
}
