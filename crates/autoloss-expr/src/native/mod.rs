//! Losses that are no tree of operators: losses that sort, filter, or measure distances.
//!
//! In a formula a native loss is written as a call with numbers only, `lovasz_softmax()` or
//! `boundary(0.02)`; without numbers its parameters have their defaults. A native loss is the whole loss of a
//! branch, never part of a larger tree. Losses of classes are over the probabilities `yhat` and the
//! one-hot target `y`; a position without a class (where no `y` is 1) is ignored. Value and gradient are
//! computed at once, in f64.

mod curve;
mod distance;
mod fields;
mod keypoints;
mod lovasz;
mod pool;
mod row;
mod ssim;
mod surrogate;

use std::fmt;

use crate::named_loss::{ZooKind, ZooLoss};
use crate::shape::Shape;
use row::{Native, Parameter};

pub use curve::CURVE_PARAMETERS;
pub use fields::{NativeAt, NativeFields};
pub use surrogate::SURROGATE_PARAMETERS;

/// All native losses.
pub(crate) const NATIVES: &[Native] = &[
    Native {
        zoo: ZooLoss {
            name: "lovasz_softmax",
            kind: ZooKind::Classes,
            formula: "lovasz_softmax()",
            source: "Lovász-softmax (Berman et al. 2018, arXiv 1705.08790), over the batch, mean of the classes that occur",
        },
        parameters: &[],
        compute: lovasz::lovasz_softmax,
    },
    Native {
        zoo: ZooLoss {
            name: "ssim",
            kind: ZooKind::Classes,
            formula: "ssim()",
            source: "1 - structural similarity of probability and target maps (Wang et al. 2004; as a loss Qin et al. 2019), Gaussian window 11 x 11, sigma 1.5",
        },
        parameters: &[],
        compute: ssim::ssim,
    },
    Native {
        zoo: ZooLoss {
            name: "dpce",
            kind: ZooKind::Classes,
            formula: "dpce()",
            source: "distance-map penalised cross entropy (Caliva et al. 2019, arXiv 1908.03679): weight 2 at the edge of an object, 1 at its middle",
        },
        parameters: &[],
        compute: distance::penalised_cross_entropy,
    },
    Native {
        zoo: ZooLoss {
            name: "boundary",
            kind: ZooKind::Classes,
            formula: "boundary()",
            source: "boundary loss (Kervadec et al. 2019, arXiv 1812.07032): generalised Dice + weight * mean of yhat times the signed distance to the target's edge",
        },
        parameters: &[Parameter {
            name: "weight",
            default: 0.01,
            range: [0.0, 1e3],
        }],
        compute: distance::boundary,
    },
    Native {
        zoo: ZooLoss {
            name: "ohkm",
            kind: ZooKind::Numbers,
            formula: "ohkm()",
            source: "online hard keypoint mining (Chen et al. 2018, arXiv 1711.07319): squared error of the worst 8 heatmaps of each sample",
        },
        parameters: &[Parameter {
            name: "heatmaps",
            default: 8.0,
            range: [1.0, 1e3],
        }],
        compute: keypoints::hard_keypoints,
    },
    surrogate::row("asl_miou", "asl_miou()", surrogate::miou),
    surrogate::row("asl_fwiou", "asl_fwiou()", surrogate::fwiou),
    surrogate::row("asl_gacc", "asl_gacc()", surrogate::gacc),
    surrogate::row("asl_macc", "asl_macc()", surrogate::macc),
    surrogate::row("asl_biou", "asl_biou()", surrogate::biou),
    surrogate::row("asl_bf1", "asl_bf1()", surrogate::bf1),
];

/// A native loss with its parameters.
#[derive(Clone)]
pub struct NativeLoss {
    native: &'static Native,
    parameters: Vec<f64>,
}

impl NativeLoss {
    /// The native loss of that name with these parameters, or with their defaults where none are given.
    ///
    /// # Errors
    /// A message that tells the unknown name, or the parameters that do not fit.
    pub fn new(name: &str, parameters: &[f64]) -> Result<Self, String> {
        let native = NATIVES.iter().find(|native| native.zoo.name == name);
        let native = native.ok_or_else(|| format!("`{name}` is no native loss"))?;
        let wanted = native.parameters;
        if parameters.is_empty() {
            let parameters = wanted.iter().map(|p| p.default).collect();
            return Ok(Self { native, parameters });
        }
        if parameters.len() != wanted.len() {
            return Err(format!(
                "`{name}` takes {} numbers or none, {} are given",
                wanted.len(),
                parameters.len()
            ));
        }
        for (value, parameter) in parameters.iter().zip(wanted) {
            let [low, high] = parameter.range;
            if !(low..=high).contains(value) {
                return Err(format!(
                    "`{name}`: {} is {value}, expected {low} to {high}",
                    parameter.name
                ));
            }
        }
        Ok(Self {
            native,
            parameters: parameters.to_vec(),
        })
    }

    /// Whether there is a native loss of that name.
    #[must_use]
    pub fn exists(name: &str) -> bool {
        NATIVES.iter().any(|native| native.zoo.name == name)
    }

    /// Name in formulas.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.native.zoo.name
    }

    /// Values of the parameters.
    #[must_use]
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// Computes value and gradient.
    ///
    /// # Panics
    /// If a field does not have as many elements as the shape.
    #[must_use]
    pub fn at(&self, fields: &NativeFields<'_>) -> NativeAt {
        assert_eq!(fields.yhat.len(), fields.shape.len(), "elements of yhat");
        assert_eq!(fields.y.len(), fields.shape.len(), "elements of y");
        (self.native.compute)(fields, &self.parameters)
    }

    /// Computes value and gradient of fields in single precision.
    ///
    /// # Panics
    /// As [`NativeLoss::at`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "networks train in f32")]
    pub fn at_single(&self, shape: Shape, yhat: &[f32], y: &[f32]) -> (f64, Vec<f32>) {
        let double = |field: &[f32]| -> Vec<f64> { field.iter().map(|x| f64::from(*x)).collect() };
        let at = self.at(&NativeFields {
            shape,
            yhat: &double(yhat),
            y: &double(y),
        });
        (
            at.loss_value,
            at.gradient.iter().map(|g| *g as f32).collect(),
        )
    }
}

impl PartialEq for NativeLoss {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.parameters == other.parameters
    }
}

impl fmt::Debug for NativeLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for NativeLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defaults = self.native.parameters.iter().map(|p| p.default);
        if defaults.eq(self.parameters.iter().copied()) {
            return write!(f, "{}()", self.name());
        }
        let numbers: Vec<String> = self.parameters.iter().map(f64::to_string).collect();
        write!(f, "{}({})", self.name(), numbers.join(", "))
    }
}

#[cfg(test)]
mod tests;
