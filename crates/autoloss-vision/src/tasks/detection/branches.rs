//! The branches of detection and instance segmentation, and their order.
//!
//! A class branch has a position for each anchor or region, with the class probabilities `yhat` over
//! the channels, the one-hot `y`, and `w`, the IoU of the box predicted there with its object (0 where
//! there is none). A box branch has a position for each anchor or region with an object, with the
//! four deltas of the box as channels, the areas `i`, `u` and `e`, and, for published losses, the
//! distance `d` of the centres and the difference `v` of the aspects. The mask branch has the mask of
//! each region with an object as an image of two channels, outside and inside. Where a network gives
//! one logit l for two classes (objectness, mask), the two channels have the logits 0 and l: their
//! softmax is the sigmoid of l.

use autoloss_search::{BranchSpec, InputSpec, Role};

/// One value for each branch.
pub(super) struct ByBranch<T> {
    /// Objectness of anchors.
    pub(super) rpn_class: T,
    /// Boxes of anchors with an object.
    pub(super) rpn_box: T,
    /// Classes of regions.
    pub(super) rcnn_class: T,
    /// Boxes of regions with an object.
    pub(super) rcnn_box: T,
    /// Masks of regions with an object, where the network has a mask head.
    pub(super) mask: Option<T>,
}

impl<T> ByBranch<T> {
    /// The values in the task's order of branches.
    pub(super) fn in_order(self) -> Vec<T> {
        let boxes = [self.rpn_class, self.rpn_box, self.rcnn_class, self.rcnn_box];
        boxes.into_iter().chain(self.mask).collect()
    }

    /// Values that are in the task's order of branches; `None` where they are too few.
    pub(super) fn from_order(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut values = values.into_iter();
        Some(Self {
            rpn_class: values.next()?,
            rpn_box: values.next()?,
            rcnn_class: values.next()?,
            rcnn_box: values.next()?,
            mask: values.next(),
        })
    }

    /// References to the values.
    pub(super) fn each_ref(&self) -> ByBranch<&T> {
        ByBranch {
            rpn_class: &self.rpn_class,
            rpn_box: &self.rpn_box,
            rcnn_class: &self.rcnn_class,
            rcnn_box: &self.rcnn_box,
            mask: self.mask.as_ref(),
        }
    }

    /// The function's result for each value.
    pub(super) fn map<U>(self, mut f: impl FnMut(T) -> U) -> ByBranch<U> {
        ByBranch {
            rpn_class: f(self.rpn_class),
            rpn_box: f(self.rpn_box),
            rcnn_class: f(self.rcnn_class),
            rcnn_box: f(self.rcnn_box),
            mask: self.mask.map(f),
        }
    }
}

/// Names and inputs of the branches, with that of masks if `masks` holds.
pub(in crate::tasks) fn specs(masks: bool) -> Vec<BranchSpec> {
    let spec = |name: &str, inputs| BranchSpec {
        name: name.to_owned(),
        inputs,
    };
    let class = || {
        let mut inputs = InputSpec::probabilities_and_target();
        inputs.push(InputSpec::new("w", Role::Constant));
        inputs
    };
    let boxes = || {
        let mut inputs = InputSpec::numbers_and_target();
        inputs.extend(InputSpec::overlaps());
        inputs
    };
    let of_masks = || spec("mask", InputSpec::probabilities_and_target());
    ByBranch {
        rpn_class: spec("rpn_class", class()),
        rpn_box: spec("rpn_box", boxes()),
        rcnn_class: spec("rcnn_class", class()),
        rcnn_box: spec("rcnn_box", boxes()),
        mask: masks.then(of_masks),
    }
    .in_order()
}
