//! The branches of each kind of task.

use autoloss_search::BranchSpec;

use super::name::Family;
use super::{detection, pose, segmentation};

impl Family {
    /// The branches of tasks of this kind, with their inputs.
    #[must_use]
    pub fn branches(self) -> Vec<BranchSpec> {
        match self {
            Self::Segmentation => segmentation::branch_specs(),
            Self::Detection => detection::branch_specs(false),
            Self::Instances => detection::branch_specs(true),
            Self::Pose => pose::branch_specs(),
        }
    }
}
