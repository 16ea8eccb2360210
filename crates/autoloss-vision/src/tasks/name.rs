//! The names of the tasks: a row a task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::errors::TaskSettingsError;

/// The tasks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// Semantic segmentation of embedded scenes of handwritten digits.
    Digits,
    /// Semantic segmentation, PASCAL VOC folder layout.
    Voc,
    /// Semantic segmentation, Cityscapes folder layout.
    Cityscapes,
    /// Object detection in embedded scenes of handwritten digits.
    DigitsDetection,
    /// Instance segmentation of embedded scenes of handwritten digits.
    DigitsInstances,
    /// Keypoints of embedded, drawn figures.
    FiguresPose,
    /// Object detection, COCO folder layout.
    CocoDetection,
    /// Instance segmentation, COCO folder layout.
    CocoInstances,
    /// Keypoints of persons, COCO folder layout.
    CocoPose,
}

/// Kind of a task: the outputs of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The class of every pixel.
    Segmentation,
    /// Boxes of objects with their classes.
    Detection,
    /// Masks of objects with their classes.
    Instances,
    /// Keypoints of persons.
    Pose,
}

/// The preset files of a task, the lowest first.
pub(super) type Layers = &'static [&'static str];

/// Settings of every task.
const BASE: &str = include_str!("presets/base.toml");
/// Settings of tasks on whole images.
const IMAGES: &str = include_str!("presets/images.toml");
/// Settings of semantic segmentation.
const SEGMENTATION: &str = include_str!("presets/segmentation.toml");
/// Settings of object detection and instance segmentation.
const DETECTION: &str = include_str!("presets/detection.toml");
/// Settings of instance segmentation.
const INSTANCES: &str = include_str!("presets/instances.toml");
/// Settings of keypoints.
const POSE: &str = include_str!("presets/pose.toml");
/// Settings of embedded scenes of digits.
const SCENES: &str = include_str!("presets/scenes.toml");

/// Properties of a task.
struct Row {
    name: &'static str,
    family: Family,
    /// True if its data are in the program.
    embedded: bool,
    layers: Layers,
}

/// The row of a task whose uppermost layer of settings is the file of its name.
macro_rules! row {
    ($name:literal, $family:ident, $embedded:literal, [$($layer:ident),+]) => {
        Row {
            name: $name,
            family: Family::$family,
            embedded: $embedded,
            layers: &[$($layer,)+ include_str!(concat!("presets/", $name, ".toml"))],
        }
    };
}

impl TaskName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Digits,
        Self::Voc,
        Self::Cityscapes,
        Self::DigitsDetection,
        Self::DigitsInstances,
        Self::FiguresPose,
        Self::CocoDetection,
        Self::CocoInstances,
        Self::CocoPose,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        match self {
            Self::Digits => row!("digits", Segmentation, true, [BASE, IMAGES, SEGMENTATION, SCENES]),
            Self::Voc => row!("voc", Segmentation, false, [BASE, IMAGES, SEGMENTATION]),
            Self::Cityscapes => row!("cityscapes", Segmentation, false, [BASE, IMAGES, SEGMENTATION]),
            Self::DigitsDetection => {
                row!("digits-detection", Detection, true, [BASE, IMAGES, DETECTION, SCENES])
            }
            Self::DigitsInstances => {
                row!("digits-instances", Instances, true, [BASE, IMAGES, DETECTION, INSTANCES, SCENES])
            }
            Self::FiguresPose => row!("figures-pose", Pose, true, [BASE, POSE]),
            Self::CocoDetection => row!("coco-detection", Detection, false, [BASE, IMAGES, DETECTION]),
            Self::CocoInstances => {
                row!("coco-instances", Instances, false, [BASE, IMAGES, DETECTION, INSTANCES])
            }
            Self::CocoPose => row!("coco-pose", Pose, false, [BASE, POSE]),
        }
    }

    /// The name users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The files of its settings, the lowest first.
    pub(super) const fn layers(self) -> Layers {
        self.row().layers
    }

    /// Its kind.
    #[must_use]
    pub const fn family(self) -> Family {
        self.row().family
    }

    /// True if its data are in the program.
    #[must_use]
    pub const fn is_embedded(self) -> bool {
        self.row().embedded
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TaskName {
    type Err = TaskSettingsError;

    fn from_str(name: &str) -> Result<Self, TaskSettingsError> {
        let found = Self::ALL.into_iter().find(|task| task.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|task| task.name()).collect();
            let hint = autoloss_expr::nearest(name, names.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            TaskSettingsError(format!(
                "unknown task `{name}`; {hint}known: {}",
                names.join(", ")
            ))
        })
    }
}
