//! Losses in other languages: code and files that need nothing of this crate.
//!
//! Exporters of code write the value of each operator's row in the language's words for [`Arithmetic`] and
//! [`Field`], so that the operator table stays the only place that defines an operator. An exporter is a file
//! here and a row of [`FORMATS`].
//!
//! [`Arithmetic`]: crate::Arithmetic
//! [`Field`]: crate::Field

mod dot;
mod jax;
mod latex;
mod onnx;
mod proto;
mod python;
mod pytorch;
mod steps;
mod term;

use crate::text::nearest;
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
    /// Whether exported code offers to take logits in its place.
    const fn has_logits(self) -> bool {
        match self {
            Self::Prediction | Self::Probabilities => true,
            Self::Numbers | Self::Target | Self::Further => false,
        }
    }

    /// The meaning in words.
    const fn words(self) -> &'static str {
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
    /// Meaning, which comments tell.
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
enum Exported {
    /// The loss value.
    Value,
    /// The elements of the only branch, before the mean and the sum.
    Elements,
}

/// A loss with the inputs of its branches: the material of an exporter.
#[derive(Clone, Debug)]
pub struct Export {
    loss: Loss,
    /// Inputs of each branch.
    inputs: Vec<Vec<ExportInput>>,
    result: Exported,
}

impl Export {
    /// A loss whose inputs mean what their names say: `yhat` is the prediction and `y` the target.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        let inputs = loss.branches.iter().map(|b| by_name(&b.tree)).collect();
        Self {
            loss,
            inputs,
            result: Exported::Value,
        }
    }

    /// A loss with the inputs of each of its branches, of which those that are neither prediction nor target may
    /// be more than it uses.
    ///
    /// # Errors
    /// An input of the loss that is not among them.
    ///
    /// # Panics
    /// If there are not as many lists as branches.
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

    /// The elements of one branch in place of its loss value, for code that weights channels or reduces in another
    /// way: of the shape (N, C, *S) of the first input, or of one that broadcasts to it.
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
    /// An input of the tree that is not among the inputs.
    pub fn elements(tree: Tree, inputs: Vec<ExportInput>) -> Result<Self, ExportError> {
        let export = Self::with_inputs(Loss::single("", tree), vec![inputs])?;
        Ok(Self {
            result: Exported::Elements,
            ..export
        })
    }

    /// Each branch with its inputs.
    fn branches(&self) -> impl Iterator<Item = (&Branch, &[ExportInput])> {
        let inputs = self.inputs.iter().map(Vec::as_slice);
        self.loss.branches.iter().zip(inputs)
    }

    /// Refuses elements, in favour of the formats of code.
    fn without_elements(&self, format: &'static str) -> Result<(), ExportError> {
        match self.result {
            Exported::Value => Ok(()),
            Exported::Elements => Err(ExportError::Elements { format }),
        }
    }

    /// Refuses native losses, in favour of the formats that name them.
    fn without_natives(&self, format: &'static str) -> Result<(), ExportError> {
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

/// Why a loss cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A native loss in a format that writes operators.
    #[error(
        "`{loss}` is a native loss, not a tree of operators, and cannot be exported to {format}: export a formula, \
         or use `latex` or `dot`, which name it"
    )]
    Native {
        /// The loss.
        loss: String,
        /// The format.
        format: &'static str,
    },
    /// Elements in a format that writes loss values alone.
    #[error("{format} has loss values alone, no elements: use `pytorch` or `jax`")]
    Elements {
        /// The format.
        format: &'static str,
    },
    /// An input that the branch does not have.
    #[error("branch `{branch}` uses the input `{name}`, which it does not have; it has {given}")]
    UnknownInput {
        /// The branch.
        branch: String,
        /// The input.
        name: String,
        /// The inputs of the branch.
        given: String,
    },
    /// No format of that name.
    #[error("unknown format `{name}`; {hint}known: {known}")]
    UnknownFormat {
        /// The name.
        name: String,
        /// The nearest known name, as a question.
        hint: String,
        /// The names of all formats.
        known: String,
    },
}

/// A language or file format that losses are exported to.
pub struct Format {
    name: &'static str,
    about: &'static str,
    is_text: bool,
    write: fn(&Export) -> Result<Vec<u8>, ExportError>,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    pytorch::FORMAT,
    jax::FORMAT,
    onnx::FORMAT,
    latex::FORMAT,
    dot::FORMAT,
    steps::FORMAT,
];

impl Format {
    /// The format of that name.
    ///
    /// # Errors
    /// An unknown name, with the known ones.
    pub fn from_name(name: &str) -> Result<&'static Self, ExportError> {
        let found = FORMATS.iter().find(|format| format.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = FORMATS.iter().map(Self::name).collect();
            let near = nearest(name, known.iter().copied());
            ExportError::UnknownFormat {
                name: name.to_owned(),
                hint: near.map_or_else(String::new, |near| format!("did you mean `{near}`? ")),
                known: known.join(", "),
            }
        })
    }

    /// Name, such as `pytorch`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Content of an exported file, in words.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Whether exported files are text that a terminal can show.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        self.is_text
    }

    /// Exports a loss: the content of a file.
    ///
    /// ```
    /// use autoloss_expr::{Export, Format, Loss, Tree};
    ///
    /// let tree = Tree::parse("abs(yhat - y)", &["yhat", "y"])?;
    /// let export = Export::new(Loss::single("", tree));
    /// let code = String::from_utf8(Format::from_name("pytorch")?.write(&export)?)?;
    /// assert!(code.contains("torch.abs(yhat - y).sum(dim=1).mean()"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A native loss, where the format writes operators.
    pub fn write(&self, export: &Export) -> Result<Vec<u8>, ExportError> {
        (self.write)(export)
    }
}

#[cfg(test)]
mod tests;
