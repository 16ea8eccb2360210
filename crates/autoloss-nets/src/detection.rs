//! Settings of networks for detection and instance segmentation.

use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::error::NetworkError;
use super::faster_rcnn::{DetectionConfig, DetectionNet};
use super::mask_rcnn::MaskHeadConfig;
use super::names::{Backbone, Name, NamedHead};
use super::weights::Weights;
use super::{init, start};

/// Head of a detection network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DetectionHead {
    /// Classes and boxes.
    FasterRcnn,
    /// Classes, boxes and masks.
    MaskRcnn,
}

impl NamedHead for DetectionHead {
    const ALL: &'static [Self] = &[Self::FasterRcnn, Self::MaskRcnn];

    fn text(self) -> &'static str {
        match self {
            Self::FasterRcnn => "fasterrcnn",
            Self::MaskRcnn => "maskrcnn",
        }
    }
}

/// The name of a detection network, `fasterrcnn-resnet50` for instance.
pub type DetectionName = Name<DetectionHead>;

/// Settings of a detection network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectionNetSettings {
    /// Name of the network; default `fasterrcnn-slim`. The `maskrcnn` networks
    /// predict masks too.
    pub name: DetectionName,
    /// Momentum of the running statistics in batch normalisation; see
    /// [`crate::NetworkSettings::batch_norm_momentum`]. Default 0.1.
    pub batch_norm_momentum: f64,
    /// Weights that the backbone starts from; default random.
    pub weights: Weights,
    /// Square roots of the anchors' areas in pixels, one for each level of the pyramid, finest first (strides 4, 8,
    /// 16 and so on). Levels beyond the list grow by the ratio of its last two sizes, or double. Default 32, doubling up to 512 at stride 64, for the
    /// slim networks 8, doubling up to 32 at stride 16.
    pub anchor_sizes: Option<Vec<f32>>,
    /// Square root of the area, in pixels, from which on a region is pooled from the level of stride 16 (slim
    /// networks: 8). Each halving of the size takes a level finer. Default 224, for the slim networks 32.
    pub canonical_size: Option<f32>,
}

impl Default for DetectionNetSettings {
    fn default() -> Self {
        Self {
            name: DetectionName {
                head: DetectionHead::FasterRcnn,
                backbone: Backbone::Slim,
            },
            batch_norm_momentum: 0.1,
            weights: Weights::default(),
            anchor_sizes: None,
            canonical_size: None,
        }
    }
}

impl DetectionNetSettings {
    /// The network these settings describe.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn config(&self, classes: usize) -> Result<DetectionConfig, NetworkError> {
        if classes == 0 {
            return Err(NetworkError::NoClasses);
        }
        let slim = self.name.backbone == Backbone::Slim;
        let output_stride = if slim { 16 } else { 32 };
        let backbone = self
            .name
            .backbone
            .resnet(output_stride, self.batch_norm_momentum)?;
        let masks = (self.name.head == DetectionHead::MaskRcnn).then_some(MaskHeadConfig {
            convolutions: if slim { 2 } else { 4 },
            channels: if slim { 32 } else { 256 },
            pooled: if slim { 12 } else { 14 },
        });
        let levels = if slim { 3 } else { 5 };
        Ok(DetectionConfig {
            backbone,
            first_stage: usize::from(slim),
            channels: if slim { 32 } else { 256 },
            extra_level: !slim,
            anchor_sizes: self.sizes_of_anchors(levels, if slim { 8.0 } else { 32.0 })?,
            aspect_ratios: vec![0.5, 1.0, 2.0],
            canonical_size: self.checked_canonical_size(if slim { 32.0 } else { 224.0 })?,
            canonical_level: if slim { 1 } else { 2 },
            hidden: if slim { 128 } else { 1024 },
            masks,
            classes,
        })
    }

    /// Size of the anchors of each level; `finest` is the default of the first level.
    fn sizes_of_anchors(&self, levels: usize, finest: f32) -> Result<Vec<f32>, NetworkError> {
        let mut sizes = self.anchor_sizes.clone().unwrap_or(vec![finest]);
        let positive = sizes.iter().all(|size| *size > 0.0 && size.is_finite());
        if !positive || !(1..=levels).contains(&sizes.len()) {
            return Err(NetworkError::AnchorSizes {
                sizes,
                network: self.name.to_string(),
                levels,
            });
        }
        let growth = match sizes.as_slice() {
            [.., finer, coarser] => coarser / finer,
            _ => 2.0,
        };
        while let (Some(last), true) = (sizes.last(), sizes.len() < levels) {
            sizes.push(last * growth);
        }
        Ok(sizes)
    }

    fn checked_canonical_size(&self, default: f32) -> Result<f32, NetworkError> {
        let size = self.canonical_size.unwrap_or(default);
        if size > 0.0 && size.is_finite() {
            Ok(size)
        } else {
            Err(NetworkError::CanonicalSize(size))
        }
    }
}

impl DetectionNet {
    /// The network that `settings` describe for so many classes of objects
    /// (without the background), its parameters drawn from `rng` and its
    /// backbone started from `settings.weights`.
    ///
    /// A network that is to be trained needs an autodiff device.
    ///
    /// # Errors
    /// Settings out of range, or weights that cannot be used.
    pub fn init(
        settings: &DetectionNetSettings,
        classes: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        let mut net = init::initialise(settings.config(classes)?.init(device), rng);
        start::start_from(&settings.weights, &mut net.backbone, settings.name)?;
        Ok(net)
    }
}
