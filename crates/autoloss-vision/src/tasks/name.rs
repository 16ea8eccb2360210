//! The names of the tasks, and the settings they start from.

use std::fmt;
use std::str::FromStr;

use autoloss_search::{BranchSpec, InputSpec};
use serde::{Deserialize, Serialize};

use super::{SettingsError, detection};

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

/// What a task asks of a network.
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

/// What there is to know of a task by its name.
struct Row {
    name: &'static str,
    preset: &'static str,
    family: Family,
    /// Whether its data are in the program.
    embedded: bool,
}

const fn row(name: &'static str, preset: &'static str, family: Family, embedded: bool) -> Row {
    Row {
        name,
        preset,
        family,
        embedded,
    }
}

impl Family {
    /// The branches of tasks of this kind, with their inputs.
    #[must_use]
    pub fn branches(self) -> Vec<BranchSpec> {
        let only = |name: &str, inputs| {
            let name = name.to_owned();
            vec![BranchSpec { name, inputs }]
        };
        match self {
            Self::Segmentation => only("segmentation", InputSpec::probabilities_and_target()),
            Self::Detection => detection::branch_specs(false),
            Self::Instances => detection::branch_specs(true),
            Self::Pose => only("heatmap", InputSpec::numbers_and_target()),
        }
    }
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

    const fn row(self) -> Row {
        use Family::{Detection, Instances, Pose, Segmentation};
        match self {
            Self::Digits => row("digits", include_str!("digits.toml"), Segmentation, true),
            Self::Voc => row("voc", include_str!("voc.toml"), Segmentation, false),
            Self::Cityscapes => {
                let preset = include_str!("cityscapes.toml");
                row("cityscapes", preset, Segmentation, false)
            }
            Self::DigitsDetection => {
                let preset = include_str!("digits-detection.toml");
                row("digits-detection", preset, Detection, true)
            }
            Self::DigitsInstances => {
                let preset = include_str!("digits-instances.toml");
                row("digits-instances", preset, Instances, true)
            }
            Self::FiguresPose => row(
                "figures-pose",
                include_str!("figures-pose.toml"),
                Pose,
                true,
            ),
            Self::CocoDetection => {
                let preset = include_str!("coco-detection.toml");
                row("coco-detection", preset, Detection, false)
            }
            Self::CocoInstances => {
                let preset = include_str!("coco-instances.toml");
                row("coco-instances", preset, Instances, false)
            }
            Self::CocoPose => row("coco-pose", include_str!("coco-pose.toml"), Pose, false),
        }
    }

    /// The name users type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Its settings with their comments: the preset that a user's settings change.
    #[must_use]
    pub const fn preset(self) -> &'static str {
        self.row().preset
    }

    /// What it asks of a network.
    #[must_use]
    pub const fn family(self) -> Family {
        self.row().family
    }

    /// The settings of a search whose defaults depend on the task, as TOML. (ours)
    ///
    /// An early look is worth its risk where the stored predictions begin near their targets, as class
    /// probabilities of pixels do. Untrained masks and heatmaps need most of the steps to get there.
    ///
    /// Heatmaps have no bounds: a loss that only ever raises them, a little faster at the keypoint,
    /// keeps their order right for 500 steps (g up to 0.88) and trains a network to nothing; losses
    /// that train one have g above 0.9. One random tree in some ten thousand passes that, so that
    /// evolution begins with fewer of them, and has none to choose from.
    ///
    /// On embedded data a search makes tens of evaluations, not thousands: 5 % of so few members would
    /// be any one of them.
    #[must_use]
    pub const fn search_settings(self) -> &'static str {
        match (self.family(), self.is_embedded()) {
            (Family::Segmentation, true) => "[search]\ninitial = 10\ntournament = 0.3\n",
            (Family::Segmentation, false) => "",
            (Family::Detection | Family::Instances, true) => {
                "[search]\ninitial = 10\ntournament = 0.3\nchoices = 30\n[screening]\nearly_share = 0.0\n"
            }
            (Family::Detection | Family::Instances, false) => {
                "[search]\nchoices = 30\n[screening]\nearly_share = 0.0\n"
            }
            (Family::Pose, _) => {
                "[search]\ninitial = 5\nchoices = 1\n[screening]\nthreshold = 0.9\nearly_share = 0.0\n"
            }
        }
    }

    /// Whether its data are in the program.
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
    type Err = SettingsError;

    fn from_str(name: &str) -> Result<Self, SettingsError> {
        let found = Self::ALL.into_iter().find(|task| task.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|task| task.name()).collect();
            let hint = autoloss_expr::nearest(name, names.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            SettingsError(format!(
                "unknown task `{name}`; {hint}known: {}",
                names.join(", ")
            ))
        })
    }
}
