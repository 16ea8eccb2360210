//! Hand-written losses that the language can say, under names.
//!
//! A row gives a loss's name, its formula over the class probabilities `yhat` and the one-hot
//! target `y`, and where it comes from.

use crate::tree::Tree;

/// A named loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZooLoss {
    /// Name, used as `zoo:NAME`.
    pub name: &'static str,
    /// Formula of one branch with the inputs `yhat` and `y`.
    pub formula: &'static str,
    /// What it is and where it comes from.
    pub source: &'static str,
}

/// All named losses.
pub const ZOO: &[ZooLoss] = &[
    ZooLoss {
        name: "cross_entropy",
        formula: "-(y * log(yhat))",
        source: "cross entropy of the class probabilities",
    },
    ZooLoss {
        name: "dice",
        formula: "1 - 2 * mean_nhw(y * yhat) / mean_nhw(y + yhat)",
        source: "Dice loss (Sudre et al. 2017, arXiv 1707.03237), per class over the batch",
    },
    ZooLoss {
        name: "binary_cross_entropy",
        formula: "-(y * log(yhat)) - (1 - y) * log(1 - yhat)",
        source: "cross entropy of every class against the rest",
    },
    ZooLoss {
        name: "focal",
        formula: "-(square(1 - yhat) * y * log(yhat))",
        source: "focal loss with gamma = 2 (Lin et al. 2017, arXiv 1708.02002)",
    },
    ZooLoss {
        name: "tversky",
        formula: "1 - mean_nhw(y * yhat) / mean_nhw(y * yhat + 0.3 * (1 - y) * yhat + 0.7 * y * (1 - yhat))",
        source: "Tversky loss with alpha = 0.3, beta = 0.7 (Salehi et al. 2017, arXiv 1706.05721)",
    },
    ZooLoss {
        name: "mse",
        formula: "square(yhat - y)",
        source: "squared error",
    },
    ZooLoss {
        name: "l1",
        formula: "abs(yhat - y)",
        source: "absolute error",
    },
];

impl ZooLoss {
    /// The loss of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        ZOO.iter().find(|loss| loss.name == name)
    }

    /// Its tree.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::parse(self.formula, &["yhat", "y"]).expect("the zoo's formulas parse, as tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Shape;
    use crate::reference::{ReferenceInput, loss_value};

    fn value(name: &str, yhat: &[f64], y: &[f64]) -> f64 {
        let inputs = [
            ReferenceInput {
                name: "yhat",
                values: yhat,
            },
            ReferenceInput {
                name: "y",
                values: y,
            },
        ];
        let tree = ZooLoss::from_name(name).unwrap().tree();
        loss_value(&tree, Shape::new(1, 2, 1, 2), &inputs)
    }

    #[test]
    fn values_worked_by_hand() {
        let (yhat, y) = ([0.8, 0.4, 0.2, 0.6], [1.0, 0.0, 0.0, 1.0]);
        let close = |name: &str, want: f64| {
            let got = value(name, &yhat, &y);
            assert!((got - want).abs() < 1e-9, "{name}: {got}, not {want}");
        };
        let ln = f64::ln;
        close("cross_entropy", -(ln(0.8) + ln(0.6)) / 2.0);
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
    fn a_perfect_prediction_is_best() {
        let y = [1.0, 0.0, 0.0, 1.0];
        for loss in ZOO {
            let wrong = value(loss.name, &[0.3, 0.7, 0.7, 0.3], &y);
            assert!(value(loss.name, &y, &y) < wrong, "{}", loss.name);
        }
    }
}
