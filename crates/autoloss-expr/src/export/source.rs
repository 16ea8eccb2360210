//! Losses with the inputs of their branches, which exporters read.

use super::error::ExportError;
use crate::tree::{Branch, Loss, Tree};
use crate::zoo::INPUTS;

/// Meaning of a branch's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputMeaning {
    /// Prediction whose kind is not known: class probabilities, or any numbers.
    Prediction,
    /// Class probabilities: a softmax over the channels.
    Probabilities,
    /// Predicted numbers, such as encoded boxes.
    Numbers,
    /// Target.
    Target,
    /// Further input, such as the intersection of a predicted and a target box, or a weight.
    Further,
}

impl InputMeaning {
    /// Whether exported code takes logits as an alternative.
    pub(super) const fn has_logits(self) -> bool {
        match self {
            Self::Prediction | Self::Probabilities => true,
            Self::Numbers | Self::Target | Self::Further => false,
        }
    }

    /// The meaning in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Prediction => {
                "predictions; with from_logits=True the logits of class probabilities"
            }
            Self::Probabilities => "class probabilities; with from_logits=True their logits",
            Self::Numbers => "predictions",
            Self::Target => "targets",
            Self::Further => "a further input",
        }
    }
}

/// An input of a branch: an argument of exported code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportInput {
    /// Name in the formula.
    pub name: String,
    /// Meaning, for the comments of exported code.
    pub meaning: InputMeaning,
}

impl ExportInput {
    /// An input of that name and meaning.
    #[must_use]
    pub fn new(name: &str, meaning: InputMeaning) -> Self {
        Self {
            name: name.to_owned(),
            meaning,
        }
    }
}

/// Result of exported code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exported {
    /// The loss value.
    Value,
    /// The elements of the only branch, before the mean and the sum.
    Elements,
}

/// A loss with the inputs of its branches, to be exported.
#[derive(Clone, Debug)]
pub struct Export {
    pub(super) loss: Loss,
    /// Inputs of each branch.
    inputs: Vec<Vec<ExportInput>>,
    pub(super) result: Exported,
}

impl Export {
    /// A loss whose inputs have their meaning by name: `yhat` is the prediction and `y` the target.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        let inputs = loss.branches.iter().map(|b| by_name(&b.tree)).collect();
        Self {
            loss,
            inputs,
            result: Exported::Value,
        }
    }

    /// A loss with the inputs of each branch. Inputs that are neither prediction nor target are left out where
    /// the branch does not use them.
    ///
    /// # Errors
    /// An input of the loss that is not given.
    ///
    /// # Panics
    /// If the number of lists is not that of the branches.
    pub fn with_inputs(loss: Loss, inputs: Vec<Vec<ExportInput>>) -> Result<Self, ExportError> {
        assert_eq!(loss.branches.len(), inputs.len(), "lists of inputs");
        let mut kept = Vec::with_capacity(inputs.len());
        for (branch, inputs) in loss.branches.iter().zip(inputs) {
            for name in branch.tree.inputs() {
                if !inputs.iter().any(|input| input.name == name) {
                    let given: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
                    return Err(ExportError::UnknownInput {
                        branch: branch.name.clone(),
                        name: name.to_owned(),
                        given: given.join(", "),
                    });
                }
            }
            let keep = |input: &ExportInput| {
                input.meaning != InputMeaning::Further || branch.tree.uses(&input.name)
            };
            kept.push(inputs.into_iter().filter(keep).collect());
        }
        Ok(Self {
            loss,
            inputs: kept,
            result: Exported::Value,
        })
    }

    /// The elements of one branch in place of the loss value, for code that weights channels or reduces in another
    /// way. Their shape is that of the first input, (N, C, *S), or one that broadcasts to it.
    ///
    /// ```
    /// use autoloss_expr::{Export, ExportInput, Format, InputMeaning, Tree};
    ///
    /// let tree = Tree::parse("abs(yhat - y)", &["yhat", "y"])?;
    /// let inputs = ["yhat", "y"].map(|name| ExportInput::new(name, InputMeaning::Numbers));
    /// let export = Export::elements(tree, inputs.to_vec())?;
    /// let code = String::from_utf8(Format::from_name("pytorch")?.write(&export)?)?;
    /// assert!(code.contains("return torch.abs(yhat - y)\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An input of the tree that is not given.
    pub fn elements(tree: Tree, inputs: Vec<ExportInput>) -> Result<Self, ExportError> {
        let export = Self::with_inputs(Loss::single("", tree), vec![inputs])?;
        Ok(Self {
            result: Exported::Elements,
            ..export
        })
    }

    /// Each branch with its inputs.
    pub(super) fn branches(&self) -> impl Iterator<Item = (&Branch, &[ExportInput])> {
        let inputs = self.inputs.iter().map(Vec::as_slice);
        self.loss.branches.iter().zip(inputs)
    }

    /// Refuses elements, which only formats of code have.
    pub(super) fn without_elements(&self, format: &'static str) -> Result<(), ExportError> {
        match self.result {
            Exported::Value => Ok(()),
            Exported::Elements => Err(ExportError::Elements { format }),
        }
    }

    /// Refuses native losses, which are no tree of operators.
    pub(super) fn without_natives(&self, format: &'static str) -> Result<(), ExportError> {
        let native = self.loss.branches.iter().find_map(|b| b.tree.native());
        native.map_or(Ok(()), |loss| {
            Err(ExportError::Native {
                loss: loss.to_string(),
                format,
            })
        })
    }
}

/// The inputs of a tree by their names: prediction and target, where it uses either, before all others.
fn by_name(tree: &Tree) -> Vec<ExportInput> {
    let used = tree.inputs();
    let both = used.contains("yhat") || used.contains("y") || used.is_empty();
    let known = INPUTS
        .into_iter()
        .filter(|name| used.contains(name) || both && matches!(*name, "yhat" | "y"));
    let others = used.iter().copied().filter(|name| !INPUTS.contains(name));
    let meaning = |name: &str| match name {
        "yhat" => InputMeaning::Prediction,
        "y" => InputMeaning::Target,
        _ => InputMeaning::Further,
    };
    let inputs = known.chain(others);
    inputs
        .map(|name| ExportInput::new(name, meaning(name)))
        .collect()
}
