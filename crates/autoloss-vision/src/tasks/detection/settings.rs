//! Settings of a task of detection or instance segmentation.

use autoloss_data::Augmentation;
use autoloss_metrics::coco::Kind;
use autoloss_nets::{DetectionHead, DetectionNetSettings};
use autoloss_scenes::DigitsSettings;
use serde::{Deserialize, Serialize};

use super::areas::AreaUnit;
use super::assign::Matching;
use super::proposals::ProposalRule;
use crate::tasks::errors::TaskSettingsError;
use crate::tasks::keys::task_settings;
use crate::tasks::name::Family;

task_settings! {
    /// Settings of a task of detection or instance segmentation.
    pub struct DetectionSettings {
        own {
            /// Images are resized so that the shorter side has this many pixels; 0: as they are.
            short_side: usize,
            /// But so that the longer side has at most this many; 0: no limit.
            long_side: usize,
        }
        scenes {
            /// Scenes of the embedded tasks.
            digits: DigitsSettings,
        }
        networks {
            /// The network.
            network: DetectionNetSettings,
            /// Anchors, regions and detections.
            detector: DetectorSettings,
        }
        augmentation: Augmentation,
        free: [short_side, long_side],
    }
}

/// Anchors, regions and detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorSettings {
    /// An anchor is to find an object from this IoU on.
    pub rpn_positive: f32,
    /// An anchor is to find nothing below this IoU.
    pub rpn_negative: f32,
    /// Anchors that are sampled in an image for an update.
    pub rpn_samples: usize,
    /// The largest share of them with an object.
    pub rpn_share: f32,
    /// The best anchors of each level that become proposals.
    pub proposals_per_level: usize,
    /// Of two proposals with an IoU above this the better one stays.
    pub proposals_nms: f32,
    /// The best proposals of an image that are left.
    pub proposals: usize,
    /// A region is to find an object from this IoU on, else nothing.
    pub roi_positive: f32,
    /// Regions that are sampled in an image for an update.
    pub roi_samples: usize,
    /// The largest share of them with an object.
    pub roi_share: f32,
    /// Regions with an object whose masks are sampled in an image for an update.
    #[serde(default, skip_serializing_if = "crate::train::is_zero")]
    pub mask_samples: usize,
    /// Unit of a loss's areas `i`, `u` and `e`.
    pub area_unit: AreaUnit,
    /// Detections with a lower score are dropped.
    pub score_threshold: f32,
    /// Of two detections of a class with an IoU above this the better one stays.
    pub detections_nms: f32,
    /// The best detections of an image that are left.
    pub detections: usize,
}

impl DetectorSettings {
    pub(super) const fn anchor_matching(&self) -> Matching {
        Matching {
            positive: self.rpn_positive,
            negative: self.rpn_negative,
            best: true,
        }
    }

    pub(super) const fn region_matching(&self) -> Matching {
        Matching {
            positive: self.roi_positive,
            negative: self.roi_positive,
            best: false,
        }
    }

    pub(super) const fn proposals(&self) -> ProposalRule {
        ProposalRule {
            per_level: self.proposals_per_level,
            nms: self.proposals_nms,
            count: self.proposals,
        }
    }

    fn check(&self) -> Result<(), TaskSettingsError> {
        let shares = [
            ("rpn_positive", self.rpn_positive),
            ("rpn_negative", self.rpn_negative),
            ("rpn_share", self.rpn_share),
            ("proposals_nms", self.proposals_nms),
            ("roi_positive", self.roi_positive),
            ("roi_share", self.roi_share),
            ("score_threshold", self.score_threshold),
            ("detections_nms", self.detections_nms),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(TaskSettingsError(format!(
                    "task.detector.{name} is {value}, expected 0 to 1"
                )));
            }
        }
        let counts = [
            ("rpn_samples", self.rpn_samples),
            ("proposals_per_level", self.proposals_per_level),
            ("proposals", self.proposals),
            ("roi_samples", self.roi_samples),
            ("detections", self.detections),
        ];
        for (name, value) in counts {
            if !(1..=1_000_000).contains(&value) {
                return Err(TaskSettingsError(format!(
                    "task.detector.{name} is {value}, expected 1 to 1000000"
                )));
            }
        }
        Ok(())
    }
}

impl DetectionSettings {
    /// Kind of results that are scored: boxes, or masks.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.name.family() {
            Family::Instances => Kind::Mask,
            _ => Kind::Box,
        }
    }

    /// The error naming the first value outside its range.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), TaskSettingsError> {
        let common = self.common();
        common.check()?;
        if self.training.crop != 0 {
            return Err(TaskSettingsError(
                "task.training.crop: this task uses whole images; set task.short_side".to_owned(),
            ));
        }
        for (name, side) in [
            ("short_side", self.short_side),
            ("long_side", self.long_side),
        ] {
            if side > 8192 {
                return Err(TaskSettingsError(format!(
                    "task.{name} is {side}, expected at most 8192"
                )));
            }
        }
        common.check_data()?;
        let masks = self.network.name.head == DetectionHead::MaskRcnn;
        if masks != (self.kind() == Kind::Mask) {
            return Err(TaskSettingsError(format!(
                "task.network.name is {}, but the task `{}` is for {}",
                self.network.name,
                self.name,
                if masks {
                    "boxes: use fasterrcnn"
                } else {
                    "masks: use maskrcnn"
                },
            )));
        }
        self.detector.check()?;
        if masks && self.detector.mask_samples == 0 {
            return Err(TaskSettingsError(
                "task.detector.mask_samples is 0, expected at least 1".to_owned(),
            ));
        }
        self.augmentation
            .check()
            .map_err(|error| TaskSettingsError(format!("task.{error}")))
    }
}
