//! Branches of a task: the inputs that each offers to its tree, and stored samples of them.

use std::sync::Arc;

use autoloss_boxes::BoxPairs;
use autoloss_expr::{ExportInput, InputMeaning, Shape};

/// Role of an input of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Prediction of the network; a branch has exactly one.
    Prediction {
        /// Whether it is a softmax over the channels: its elements are probabilities, and it has
        /// logits.
        softmax: bool,
    },
    /// Target of the prediction.
    Target,
    /// A function of prediction and target, through which gradients flow into the prediction, such
    /// as the intersection of a predicted and a target box; see [`Derived`].
    Derived,
    /// A number without gradient, such as a weight.
    Constant,
}

/// A named input of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Name in formulas, such as `yhat`.
    pub name: String,
    /// Role of the input.
    pub role: Role,
    /// Whether random trees and mutations use it; formulas that are given may use it either way.
    pub searched: bool,
}

impl InputSpec {
    /// An input.
    #[must_use]
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            searched: true,
        }
    }

    /// The input, for given formulas alone.
    #[must_use]
    pub fn not_searched(mut self) -> Self {
        self.searched = false;
        self
    }

    /// The class probabilities `yhat` (a softmax over the channels) and the target `y`.
    #[must_use]
    pub fn probabilities_and_target() -> Vec<Self> {
        vec![
            Self::new("yhat", Role::Prediction { softmax: true }),
            Self::new("y", Role::Target),
        ]
    }

    /// The predicted numbers `yhat` and the target `y`.
    #[must_use]
    pub fn numbers_and_target() -> Vec<Self> {
        vec![
            Self::new("yhat", Role::Prediction { softmax: false }),
            Self::new("y", Role::Target),
        ]
    }

    /// The inputs that follow from the four deltas of a predicted box, see [`BoxPairs`]: the areas `i`, `u` and `e`
    /// of intersection, union and enclosing box, and, for published losses, the distance `d` of the centres and the
    /// difference `v` of the aspects.
    #[must_use]
    pub fn overlaps() -> Vec<Self> {
        let areas = ["i", "u", "e"].map(|name| Self::new(name, Role::Derived));
        let others = ["d", "v"].map(|name| Self::new(name, Role::Derived));
        areas
            .into_iter()
            .chain(others.map(Self::not_searched))
            .collect()
    }

    /// Whether gradients flow through it into the prediction.
    #[must_use]
    pub fn differentiable(&self) -> bool {
        matches!(self.role, Role::Prediction { .. } | Role::Derived)
    }

    /// Whether it tells something of the target.
    #[must_use]
    pub fn knows_target(&self) -> bool {
        matches!(self.role, Role::Target | Role::Derived)
    }

    /// Whether it is a softmax over the channels.
    #[must_use]
    pub fn is_softmax(&self) -> bool {
        self.role == Role::Prediction { softmax: true }
    }
}

/// A branch of a task: its name, and the inputs that it offers to its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchSpec {
    /// Name of the branch, such as `rpn_box`.
    pub name: String,
    /// The inputs a tree may use besides the constant 1.
    pub inputs: Vec<InputSpec>,
}

impl BranchSpec {
    /// Position of the prediction among the inputs.
    #[must_use]
    pub fn prediction(&self) -> usize {
        let is = |input: &InputSpec| matches!(input.role, Role::Prediction { .. });
        self.inputs.iter().position(is).unwrap_or(0)
    }

    /// Position of the target among the inputs.
    #[must_use]
    pub fn target(&self) -> usize {
        let is = |input: &InputSpec| input.role == Role::Target;
        self.inputs.iter().position(is).unwrap_or(0)
    }

    /// Positions of the derived inputs.
    pub fn derived(&self) -> impl Iterator<Item = usize> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter_map(|(place, input)| (input.role == Role::Derived).then_some(place))
    }

    /// The inputs as exporters of losses want them.
    #[must_use]
    pub fn export_inputs(&self) -> Vec<ExportInput> {
        let input = |spec: &InputSpec| {
            let meaning = match spec.role {
                Role::Prediction { softmax: true } => InputMeaning::Probabilities,
                Role::Prediction { softmax: false } => InputMeaning::Numbers,
                Role::Target => InputMeaning::Target,
                Role::Derived | Role::Constant => InputMeaning::Further,
            };
            ExportInput::new(&spec.name, meaning)
        };
        self.inputs.iter().map(input).collect()
    }

    /// The inputs' names and whether they are differentiable, as programs want them.
    #[must_use]
    pub fn program_inputs(&self) -> Vec<(&str, bool)> {
        let inputs = self.inputs.iter();
        inputs
            .map(|i| (i.name.as_str(), i.differentiable()))
            .collect()
    }
}

/// The derived inputs of a branch at one sample or batch: functions of its prediction.
pub trait Derived: Send + Sync {
    /// The derived inputs at a prediction, in the order of [`BranchSpec::derived`]; each has the
    /// branch's shape.
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>>;

    /// Adds to the prediction's gradient what flows into it through the derived inputs, given the
    /// gradient of each; an empty one is 0.
    fn pull_back(&self, prediction: &[f64], gradients: &[&[f64]], gradient: &mut [f64]);

    /// The boxes whose overlaps the inputs are, see [`InputSpec::overlaps`]; `None` of other inputs.
    fn boxes(&self) -> Option<&BoxPairs> {
        None
    }
}

impl Derived for BoxPairs {
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>> {
        Self::values(self, prediction)
    }

    fn pull_back(&self, prediction: &[f64], gradients: &[&[f64]], gradient: &mut [f64]) {
        Self::pull_back(self, prediction, gradients, gradient);
    }

    fn boxes(&self) -> Option<&BoxPairs> {
        Some(self)
    }
}

/// Scores predictions of one sample, one field a branch; higher is better, at most 1.
pub type Scorer = Box<dyn Fn(&[&[f32]]) -> f64 + Send + Sync>;

/// Scores the prediction of one branch of one sample; higher is better, at most 1.
pub type BranchScorer = Box<dyn Fn(&[f32]) -> f64 + Send + Sync>;

/// The stored inputs of one branch of one screening sample.
pub struct BranchSample {
    /// The shape all inputs of the branch share; n is 1 for a single sample.
    pub shape: Shape,
    /// An NCHW field for each input, in the order of [`BranchSpec::inputs`].
    pub inputs: Vec<Vec<f32>>,
    /// Computation of the derived inputs from the prediction, where there are some.
    pub derived: Option<Arc<dyn Derived>>,
    /// A metric of this branch by itself; a task of several branches has one for each.
    pub scorer: Option<BranchScorer>,
}

impl BranchSample {
    /// The sample of a task's only branch: inputs in the branch's order, none of them derived.
    #[must_use]
    pub fn only(shape: Shape, inputs: Vec<Vec<f32>>) -> Self {
        Self {
            shape,
            inputs,
            derived: None,
            scorer: None,
        }
    }
}

/// A screening sample: stored predictions of the untrained network with their targets.
pub struct Sample {
    /// The branches, in the task's order.
    pub branches: Vec<BranchSample>,
    /// The task's metric for this sample, given the prediction of each branch.
    pub scorer: Scorer,
}
