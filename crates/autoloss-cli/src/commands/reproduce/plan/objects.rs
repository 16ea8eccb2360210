//! Tables 4 to 7: object detection, instance segmentation and keypoints.

use anyhow::Result;

use super::{Data, Group, Plan, Row, Scale, Setup, folder, search, searched_in, seeds};

/// COCO's metrics of a table; the embedded objects are all small, so that metrics by area tell nothing.
fn coco_metrics(scale: Scale) -> &'static [&'static str] {
    match scale {
        Scale::Tiny => &["ap", "ap50", "ap75"],
        Scale::Small | Scale::Paper => &["ap", "ap50", "ap75", "aps", "apm", "apl"],
    }
}

/// Hand-written losses of boxes; `mask` completes them for instances.
fn written(mask: &str) -> Vec<Row> {
    let of = |class: &str, boxes: &str| {
        format!(
            "rpn_class = zoo:cross_entropy; rpn_box = zoo:smooth_l1; rcnn_class = zoo:{class}; \
             rcnn_box = zoo:{boxes}{mask}"
        )
    };
    [
        ("cross entropy + smooth L1", "cross_entropy", "smooth_l1"),
        ("cross entropy + IoU", "cross_entropy", "iou"),
        ("cross entropy + GIoU", "cross_entropy", "giou"),
        ("CSE-AutoLoss-A", "cse_a_class", "cse_a_box"),
    ]
    .map(|(name, class, boxes)| Row::Written(name, of(class, boxes)))
    .to_vec()
}

/// A table of one search for AP: hand-written losses and the best one of the search, in some setups.
struct OneSearch {
    title: &'static str,
    /// Beginning of the key of the search.
    key: &'static str,
    searched: Setup,
    written: Vec<Row>,
    trained: Vec<Setup>,
    metrics: &'static [&'static str],
}

impl OneSearch {
    /// The table with trainings in the setup of the search.
    fn plan(mut self, scale: Scale) -> Plan {
        self.trained = vec![self.searched.clone()];
        self.plan_elsewhere(scale)
    }

    /// The table with trainings in `trained`.
    fn plan_elsewhere(self, scale: Scale) -> Plan {
        let search = search(self.key, &self.searched, "ap", scale, 1.0);
        let mut rows = self.written;
        rows.push(Row::found(&search, "ap"));
        Plan {
            title: self.title,
            searches: vec![search],
            rows,
            setups: self.trained,
            metrics: self.metrics.to_vec(),
            seeds: seeds(scale),
            published: Vec::new(),
        }
    }
}

fn of_detection(scale: Scale, data: &Data<'_>) -> Result<OneSearch> {
    let tasks = ["digits-detection", "coco-detection"];
    Ok(OneSearch {
        title: "Object detection",
        key: "detection",
        searched: searched_in(tasks, scale, data, &[Group::Detection, Group::Boxes])?,
        written: written(""),
        trained: Vec::new(),
        metrics: coco_metrics(scale),
    })
}

/// Table 4.
pub(super) fn detection(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    Ok(of_detection(scale, data)?.plan(scale))
}

/// Table 5.
pub(super) fn detection_transfer(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let table = of_detection(scale, data)?;
    let other = table.searched.renamed("detection-other", "other data");
    let other = match scale {
        Scale::Tiny => other
            .with_value("task.digits.seed", 1)
            .with_value("task.digits.size", 80),
        Scale::Small | Scale::Paper => {
            let layout = "another data set in COCO's layout";
            let transfer = folder(data.transfer, "--transfer-data", layout)?;
            other.with_value("task.data", transfer)
        }
    };
    let table = OneSearch {
        title: "Object detection: the searched loss on other data",
        trained: vec![other],
        ..table
    };
    Ok(table.plan_elsewhere(scale))
}

/// Table 6.
pub(super) fn instances(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let tasks = ["digits-instances", "coco-instances"];
    let table = OneSearch {
        title: "Instance segmentation",
        key: "instances",
        searched: searched_in(tasks, scale, data, &[Group::Detection, Group::Instances])?,
        written: written("; mask = zoo:cross_entropy"),
        trained: Vec::new(),
        metrics: coco_metrics(scale),
    };
    Ok(table.plan(scale))
}

/// Table 7.
pub(super) fn pose(scale: Scale, data: &Data<'_>) -> Result<Plan> {
    let written = [("MSE", "zoo:mse"), ("OHKM", "zoo:ohkm")];
    let table = OneSearch {
        title: "Pose estimation",
        key: "pose",
        searched: searched_in(["figures-pose", "coco-pose"], scale, data, &[Group::Pose])?,
        written: written
            .map(|(name, loss)| Row::Written(name, loss.to_owned()))
            .to_vec(),
        trained: Vec::new(),
        metrics: &["ap", "ap50", "ap75", "apm", "apl", "ar"],
    };
    Ok(table.plan(scale))
}
