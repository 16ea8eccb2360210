//! Faster R-CNN over a feature pyramid (Ren et al. 2015; Lin et al. 2017), and
//! with a mask head Mask R-CNN (He et al. 2017).
//!
//! The networks are torchvision's `fasterrcnn_resnet50_fpn` and
//! `maskrcnn_resnet50_fpn` layer by layer, except that batch normalisation is
//! trained (torchvision freezes it, scale and offset included) and that regions
//! are pooled with aligned corners. The choice among the predictions is made by
//! the caller.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::anchors::AnchorLevel;
use super::boxes::{self, Corners, Roi};
use super::fpn::{FeaturePyramid, PyramidConfig};
use super::layers::ConvShape;
use super::mask_rcnn::{MaskHead, MaskHeadConfig};
use super::ops::{self, RoiAlign};
use super::parameters::parameter_count;
use super::resnet::{ResNet, ResNetConfig};

/// Rows and columns that the box head pools a region to.
const POOLED: usize = 7;

/// Samples along each side of a bin when a region is pooled.
const SAMPLING_RATIO: usize = 2;

/// A Faster R-CNN or Mask R-CNN over any residual backbone.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// First stage of the backbone (0 to 3) whose map enters the pyramid.
    pub first_stage: usize,
    /// Channels of the pyramid and of the proposals' hidden layer.
    pub channels: usize,
    /// True for one more, coarser level, which serves proposals only.
    pub extra_level: bool,
    /// Square root of the anchors' area for each level, in pixels.
    pub anchor_sizes: Vec<f32>,
    /// Heights over widths of the anchors.
    pub aspect_ratios: Vec<f32>,
    /// Square root of the area, in pixels, of the smallest region that is
    /// pooled from the level `canonical_level`.
    pub canonical_size: f32,
    /// The level that `canonical_size` belongs to; the finest is 0.
    pub canonical_level: usize,
    /// Width of the box head's two hidden layers.
    pub hidden: usize,
    /// The mask head, if there is one.
    pub masks: Option<MaskHeadConfig>,
    /// Classes of objects, without the background.
    pub classes: usize,
}

impl DetectionConfig {
    /// The pyramid over the backbone.
    pub fn pyramid(&self) -> PyramidConfig {
        PyramidConfig {
            channels_in: self.backbone.channels()[self.first_stage..].to_vec(),
            channels: self.channels,
            extra_level: self.extra_level,
        }
    }

    /// Pixels of the image between two positions of each level.
    fn strides(&self) -> Vec<usize> {
        let mut strides = self.backbone.strides()[self.first_stage..].to_vec();
        if self.extra_level {
            strides.extend(strides.last().map(|stride| 2 * stride));
        }
        strides
    }

    /// The network, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> DetectionNet {
        let (channels, hidden, outputs) = (self.channels, self.hidden, self.classes + 1);
        let levels = self.strides().into_iter().zip(&self.anchor_sizes);
        let levels: Vec<AnchorLevel> = levels
            .map(|(stride, size)| AnchorLevel {
                sizes: vec![*size],
                aspect_ratios: self.aspect_ratios.clone(),
                stride,
            })
            .collect();
        let anchors = self.aspect_ratios.len();
        DetectionNet {
            backbone: self.backbone.init(device),
            pyramid: self.pyramid().init(device),
            proposals: ProposalHead {
                conv: ConvShape::plain(channels, channels, 3).init(true, device),
                logits: ConvShape::plain(channels, anchors, 1).init(true, device),
                deltas: ConvShape::plain(channels, 4 * anchors, 1).init(true, device),
            },
            boxes: BoxHead {
                hidden: [
                    linear(channels * POOLED * POOLED, hidden, device),
                    linear(hidden, hidden, device),
                ],
                logits: linear(hidden, outputs, device),
                deltas: linear(hidden, 4 * outputs, device),
            },
            masks: self
                .masks
                .as_ref()
                .map(|config| config.init(channels, outputs, device)),
            first_stage: self.first_stage,
            levels,
            pooling: PoolingLevels {
                count: self.backbone.channels().len() - self.first_stage,
                canonical_size: self.canonical_size,
                canonical_level: self.canonical_level,
            },
        }
    }
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// The network built by [`DetectionConfig`].
#[derive(Module, Debug)]
pub struct DetectionNet {
    pub(super) backbone: ResNet,
    pyramid: FeaturePyramid,
    proposals: ProposalHead,
    pub(super) boxes: BoxHead,
    pub(super) masks: Option<MaskHead>,
    first_stage: usize,
    #[module(skip)]
    levels: Vec<AnchorLevel>,
    #[module(skip)]
    pooling: PoolingLevels,
}

/// Predictions of the region proposal network for one level.
#[derive(Debug, Clone)]
pub struct RpnLevel {
    /// Logits of an object at each anchor, `[N, A, H, W]`.
    pub logits: Tensor<4>,
    /// Deltas of each anchor, `[N, 4 A, H, W]`; number k of anchor a is channel
    /// 4 a + k. See [`boxes::decode`] with [`boxes::PROPOSAL_WEIGHTS`].
    pub deltas: Tensor<4>,
}

/// Predictions of the box head for regions.
#[derive(Debug, Clone)]
pub struct BoxPredictions {
    /// Logits of the classes, `[R, K + 1]`; the first is the background's.
    pub class_logits: Tensor<2>,
    /// Deltas for each class, `[R, 4 (K + 1)]`; number k for class c (0: the
    /// background) is column 4 c + k. See [`boxes::decode`] with
    /// [`boxes::HEAD_WEIGHTS`].
    pub deltas: Tensor<2>,
}

impl DetectionNet {
    /// The pyramid's levels of the images `[N, 3, H, W]`, finest first, each
    /// `[N, C, ⌈H / s⌉, ⌈W / s⌉]` with its stride s.
    pub fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        let maps = self.backbone.forward(images);
        self.pyramid.forward(&maps[self.first_stage..])
    }

    /// Pixels of the image between two positions of each level.
    pub fn strides(&self) -> Vec<usize> {
        self.levels.iter().map(|level| level.stride).collect()
    }

    /// Predictions for the anchors of each level.
    pub fn rpn(&self, features: &[Tensor<4>]) -> Vec<RpnLevel> {
        features.iter().map(|x| self.proposals.forward(x)).collect()
    }

    /// Anchors of each level, for levels of so many rows and columns, in the
    /// order row, column, anchor: that of [`RpnLevel`]'s predictions of one
    /// image once they are brought to (H, W, A).
    pub fn anchors(&self, sizes: &[[usize; 2]]) -> Vec<Vec<Corners>> {
        let levels = self.levels.iter().zip(sizes);
        levels.map(|(level, size)| level.anchors(*size)).collect()
    }

    /// Predictions for the regions, in their order; `features` are those of
    /// [`Self::features`].
    ///
    /// # Panics
    /// If a region's image is not in the batch.
    pub fn boxes(&self, features: &[Tensor<4>], rois: &[Roi]) -> BoxPredictions {
        let (class_logits, deltas) = match self.pooled(features, rois, POOLED) {
            Some((pooled, order)) => {
                let (class_logits, deltas) = self.boxes.forward(pooled.flatten(1, 3));
                (order.restore(class_logits), order.restore(deltas))
            }
            None => self.boxes.nothing(),
        };
        BoxPredictions {
            class_logits,
            deltas,
        }
    }

    /// Logits `[R, K + 1, M, M]` of the regions' masks for each class (0: the
    /// background), in the regions' order; none for a network without masks.
    ///
    /// # Panics
    /// If a region's image is not in the batch.
    pub fn masks(&self, features: &[Tensor<4>], rois: &[Roi]) -> Option<Tensor<4>> {
        let head = self.masks.as_ref()?;
        Some(match self.pooled(features, rois, head.pooled) {
            Some((pooled, order)) => order.restore(head.forward(pooled)),
            None => head.nothing(),
        })
    }

    /// True if the network predicts masks.
    pub fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Rows and columns of a mask, M; none for a network without masks.
    pub fn mask_size(&self) -> Option<usize> {
        self.masks.as_ref().map(|head| 2 * head.pooled)
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        parameter_count(self)
    }

    /// The regions `[R, C, size, size]` level by level, and their order; none
    /// without regions.
    fn pooled(
        &self,
        features: &[Tensor<4>],
        rois: &[Roi],
        size: usize,
    ) -> Option<(Tensor<4>, Order)> {
        let (mut pooled, mut order) = (Vec::new(), Vec::with_capacity(rois.len()));
        for (index, (features, level)) in features.iter().zip(&self.levels).enumerate() {
            let here = |roi: usize| self.pooling.level(rois[roi].corners) == index;
            let chosen: Vec<usize> = (0..rois.len()).filter(|roi| here(*roi)).collect();
            if chosen.is_empty() {
                continue;
            }
            let chosen_rois: Vec<Roi> = chosen.iter().map(|roi| rois[*roi]).collect();
            let options = RoiAlign {
                output: [size; 2],
                scale: 1.0 / level.stride as f32,
                sampling_ratio: SAMPLING_RATIO,
                aligned: true,
            };
            pooled.push(ops::roi_align(features.clone(), &chosen_rois, options));
            order.extend(chosen);
        }
        match pooled.len() {
            0 => None,
            1 => Some((pooled.remove(0), Order(order))),
            _ => Some((Tensor::cat(pooled, 0), Order(order))),
        }
    }
}

/// Choice of the level that a region is pooled from.
#[derive(Debug, Clone, Copy)]
struct PoolingLevels {
    /// Number of levels to choose from, the finest ones.
    count: usize,
    canonical_size: f32,
    canonical_level: usize,
}

impl PoolingLevels {
    /// The level of a region (Lin et al. 2017, equation 1): one coarser for
    /// each doubling of its size.
    fn level(&self, corners: Corners) -> usize {
        let size = boxes::area(corners).sqrt() / self.canonical_size;
        // As in torchvision, a size just short of the step counts as the step.
        let steps = (size.log2() + 1e-6).floor() as isize;
        let level = (self.canonical_level as isize).saturating_add(steps);
        level.clamp(0, self.count as isize - 1) as usize
    }
}

/// Position of each row of a tensor in the caller's order.
struct Order(Vec<usize>);

impl Order {
    /// The rows of `x` in the caller's order.
    fn restore<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.0.is_sorted() {
            return x;
        }
        let mut rows = vec![0i32; self.0.len()];
        for (row, position) in self.0.iter().enumerate() {
            rows[*position] = row as i32;
        }
        let rows = TensorData::new(rows, [self.0.len()]);
        let rows = Tensor::<1, Int>::from_data(rows, &x.device());
        x.select(0, rows)
    }
}

/// Region proposals: for each anchor a logit of an object, and deltas of its box.
#[derive(Module, Debug)]
struct ProposalHead {
    conv: Conv2d,
    logits: Conv2d,
    deltas: Conv2d,
}

impl ProposalHead {
    fn forward(&self, x: &Tensor<4>) -> RpnLevel {
        let x = activation::relu(ops::conv2d(&self.conv, x.clone()));
        RpnLevel {
            logits: ops::conv2d(&self.logits, x.clone()),
            deltas: ops::conv2d(&self.deltas, x),
        }
    }
}

/// Classes and boxes of pooled regions.
#[derive(Module, Debug)]
pub(super) struct BoxHead {
    hidden: [Linear; 2],
    logits: Linear,
    deltas: Linear,
}

impl BoxHead {
    /// Class logits and deltas of `[R, C · h · w]`.
    pub(super) fn forward(&self, mut x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        for layer in &self.hidden {
            x = activation::relu(layer.forward(x));
        }
        (self.logits.forward(x.clone()), self.deltas.forward(x))
    }

    /// The predictions for no regions.
    fn nothing(&self) -> (Tensor<2>, Tensor<2>) {
        let empty = |layer: &Linear| {
            let [_, outputs] = layer.weight.dims();
            Tensor::zeros([0, outputs], &layer.weight.val().device())
        };
        (empty(&self.logits), empty(&self.deltas))
    }
}
