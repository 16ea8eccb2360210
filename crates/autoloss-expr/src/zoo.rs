//! Hand-written losses by name.
//!
//! Losses of classes are over the
//! probabilities `yhat` and the one-hot target `y`, those of numbers (boxes, heatmaps) over the
//! predicted `yhat` and the target `y`. Losses of boxes may also use the intersection `i`, the union
//! `u` and the enclosing area `e` of predicted and target box, which all four channels of a box
//! hold: a quarter of each makes one. `d` and `v` are the boxes' distance and difference in aspect.

use crate::named_loss::{ZooKind, ZooLoss};
use crate::native::NATIVES;
use crate::tree::Tree;

/// The losses that are formulas; [`ZooLoss::all`] has the native ones, too.
const ZOO: &[ZooLoss] = &[
    ZooLoss {
        name: "cross_entropy",
        kind: ZooKind::Classes,
        formula: "-(y * log(yhat))",
        source: "cross entropy of the class probabilities",
    },
    ZooLoss {
        name: "weighted_cross_entropy",
        kind: ZooKind::Classes,
        formula: "-(y * log(yhat) / mean_nhw(y))",
        source: "cross entropy, each class weighted by the inverse of its share of the batch",
    },
    ZooLoss {
        name: "dice",
        kind: ZooKind::Classes,
        formula: "1 - 2 * mean_nhw(y * yhat) / mean_nhw(y + yhat)",
        source: "Dice loss (Sudre et al. 2017, arXiv 1707.03237), per class over the batch",
    },
    ZooLoss {
        name: "binary_cross_entropy",
        kind: ZooKind::Classes,
        formula: "-(y * log(yhat)) - (1 - y) * log(1 - yhat)",
        source: "cross entropy of every class against the rest",
    },
    ZooLoss {
        name: "focal",
        kind: ZooKind::Classes,
        formula: "-(square(1 - yhat) * y * log(yhat))",
        source: "focal loss with gamma = 2 (Lin et al. 2017, arXiv 1708.02002)",
    },
    ZooLoss {
        name: "tversky",
        kind: ZooKind::Classes,
        formula: "1 - mean_nhw(y * yhat) / mean_nhw(y * yhat + 0.3 * (1 - y) * yhat + 0.7 * y * (1 - yhat))",
        source: "Tversky loss with alpha = 0.3, beta = 0.7 (Salehi et al. 2017, arXiv 1706.05721)",
    },
    ZooLoss {
        name: "mse",
        kind: ZooKind::Numbers,
        formula: "square(yhat - y)",
        source: "squared error",
    },
    ZooLoss {
        name: "l1",
        kind: ZooKind::Numbers,
        formula: "abs(yhat - y)",
        source: "absolute error",
    },
    ZooLoss {
        name: "smooth_l1",
        kind: ZooKind::Numbers,
        formula: "4.5 * square(0.5 * (abs(yhat - y) + 0.1111111111111111 - abs(abs(yhat - y) - 0.1111111111111111))) + 0.5 * (abs(yhat - y) - 0.1111111111111111 + abs(abs(yhat - y) - 0.1111111111111111))",
        source: "smooth L1 (Girshick 2015, arXiv 1504.08083), quadratic below 1/9 as torchvision's detectors have it",
    },
    ZooLoss {
        name: "iou",
        kind: ZooKind::Boxes,
        formula: "0.25 * (1 - i / u)",
        source: "IoU loss, linear form (Yu et al. 2016, arXiv 1608.01471)",
    },
    ZooLoss {
        name: "giou",
        kind: ZooKind::Boxes,
        formula: "0.25 * (1 - i / u + (e - u) / e)",
        source: "generalised IoU loss (Rezatofighi et al. 2019, arXiv 1902.09630)",
    },
    ZooLoss {
        name: "diou",
        kind: ZooKind::Boxes,
        formula: "0.25 * (1 - i / u + d)",
        source: "distance IoU loss (Zheng et al. 2020, arXiv 1911.08287); d is the squared distance of the centres by the squared diagonal of the enclosing box",
    },
    ZooLoss {
        name: "ciou",
        kind: ZooKind::Boxes,
        formula: "0.25 * (1 - i / u + d + v * v / (1 - i / u + v))",
        source: "complete IoU loss (the same); v is 4/pi^2 times the squared difference of the aspects' angles, and gradients flow through its weight, too",
    },
    ZooLoss {
        name: "cse_a_class",
        kind: ZooKind::Classes,
        formula: "-(y * (1 + sin(w)) * log(yhat))",
        source: "CSE-AutoLoss-A, class branch (Liu et al. 2021, arXiv 2102.04700); w is the IoU of the predicted box",
    },
    ZooLoss {
        name: "cse_a_box",
        kind: ZooKind::Boxes,
        formula: "0.25 * (1 - i / u + (e - i - 2) / e)",
        source: "CSE-AutoLoss-A, box branch (Liu et al. 2021, arXiv 2102.04700); areas in square pixels (task.detector.area_unit)",
    },
];

/// Names of inputs that branches of any task offer, which formulas of the zoo may use.
pub const INPUTS: [&str; 8] = ["yhat", "y", "i", "u", "e", "d", "v", "w"];

impl ZooLoss {
    /// All named losses, the native ones last.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ZOO.iter().chain(NATIVES.iter().map(|native| &native.zoo))
    }

    /// The loss of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        Self::all().find(|loss| loss.name == name)
    }

    /// The tasks with a branch that the loss fits.
    #[must_use]
    pub fn tasks(&self) -> &'static str {
        match self.kind {
            // Native losses look at whole images.
            ZooKind::Classes if self.tree().native().is_some() => "segmentation, masks",
            ZooKind::Numbers if self.tree().native().is_some() => "pose",
            ZooKind::Classes if self.tree().uses("w") => "detection, instances",
            ZooKind::Classes => "segmentation, detection, instances",
            ZooKind::Numbers => "detection, instances, pose",
            ZooKind::Boxes => "detection, instances",
        }
    }

    /// The loss as a tree.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::parse(self.formula, &INPUTS).expect("the zoo's formulas parse, as tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{ReferenceInput, loss_value};
    use crate::shape::Shape;

    fn value(name: &str, inputs: &[(&'static str, &[f64])]) -> f64 {
        let inputs: Vec<ReferenceInput<'_>> = inputs
            .iter()
            .map(|(name, values)| ReferenceInput { name, values })
            .collect();
        let tree = ZooLoss::from_name(name).unwrap().tree();
        loss_value(&tree, Shape::new(1, 2, 1, 2), &inputs)
    }

    #[test]
    fn values_worked_by_hand() {
        let (yhat, y) = ([0.8, 0.4, 0.2, 0.6], [1.0, 0.0, 0.0, 1.0]);
        let close = |name: &str, want: f64| {
            let got = value(name, &[("yhat", &yhat), ("y", &y), ("w", &[0.5; 4])]);
            assert!((got - want).abs() < 1e-9, "{name}: {got}, not {want}");
        };
        let ln = f64::ln;
        let cross_entropy = -(ln(0.8) + ln(0.6)) / 2.0;
        close("cross_entropy", cross_entropy);
        // A half of the pixels each: the means of the two classes add up.
        close("weighted_cross_entropy", -ln(0.8) - ln(0.6));
        close("cse_a_class", (1.0 + 0.5f64.sin()) * cross_entropy);
        close("binary_cross_entropy", -(ln(0.8) + ln(0.6)));
        close("focal", -(0.04 * ln(0.8) + 0.16 * ln(0.6)) / 2.0);
        close("mse", (0.04 + 0.16) * 2.0 / 2.0);
        close("l1", (0.2 + 0.4) * 2.0 / 2.0);
        // Class 0: 2 · 0.8 / (1 + 1.2), class 1: 2 · 0.6 / (1 + 0.8).
        close("dice", 2.0 - 1.6 / 2.2 - 1.2 / 1.8);
        // Class 0: TP 0.8, FP 0.4, FN 0.2; class 1: TP 0.6, FP 0.2, FN 0.4.
        close(
            "tversky",
            2.0 - 0.8 / (0.8 + 0.12 + 0.14) - 0.6 / (0.6 + 0.06 + 0.28),
        );
    }

    #[test]
    fn values_of_boxes_worked_by_hand() {
        // Differences of 0.05, 0.1, 0.5 and −2: two below 1/9, two above.
        let of_numbers = [("yhat", &[0.05, 0.1, 0.5, -2.0][..]), ("y", &[0.0; 4][..])];
        let below = 4.5 * (0.05 * 0.05 + 0.1 * 0.1);
        let above = 0.5 + 2.0 - 2.0 / 18.0;
        let got = value("smooth_l1", &of_numbers);
        assert!((got - (below + above) / 2.0).abs() < 1e-9, "{got}");
        // Two channels hold the same box: an IoU of 1/4, and 0 at a distance.
        let overlaps = [
            ("i", &[1.0, 0.0, 1.0, 0.0][..]),
            ("u", &[4.0, 2.0, 4.0, 2.0][..]),
            ("e", &[5.0, 8.0, 5.0, 8.0][..]),
            ("d", &[0.1, 0.5, 0.1, 0.5][..]),
            ("v", &[0.25, 0.0, 0.25, 0.0][..]),
        ];
        for (name, boxes) in [
            ("iou", [0.75, 1.0]),
            ("giou", [0.75 + 0.2, 1.0 + 0.75]),
            ("diou", [0.75 + 0.1, 1.0 + 0.5]),
            ("ciou", [0.75 + 0.1 + 0.0625, 1.0 + 0.5]),
            ("cse_a_box", [0.75 + 0.4, 1.0 + 0.75]),
        ] {
            let want = 2.0 * 0.25 * (boxes[0] + boxes[1]) / 2.0;
            let got = value(name, &overlaps);
            assert!((got - want).abs() < 1e-9, "{name}: {got}, not {want}");
        }
    }

    #[test]
    fn a_perfect_prediction_is_best() {
        let y = [1.0, 0.0, 0.0, 1.0];
        for loss in ZOO.iter().filter(|loss| loss.tree().uses("yhat")) {
            let at = |yhat: &[f64]| value(loss.name, &[("yhat", yhat), ("y", &y), ("w", &y)]);
            assert!(at(&y) < at(&[0.3, 0.7, 0.7, 0.3]), "{}", loss.name);
        }
    }
}
