//! The language of losses: formulas, their values and gradients, and their form in other languages.
//!
//! A loss is a tree of primitive operators over the prediction `yhat`, the target `y` and the
//! constant 1. The loss value is the mean of the tree's output over samples and positions, summed
//! over channels.
//!
//! ```
//! use autoloss_expr::{Program, Shape, Tree, Workspace};
//!
//! let tree = Tree::parse("-(y*log(yhat))", &["yhat", "y"])?;
//! assert_eq!(tree.to_string(), "-(y * log(yhat))");
//!
//! let program = Program::new(&tree, &[("yhat", true), ("y", false)])?;
//! let shape = Shape::new(1, 2, 1, 2); // two classes, two pixels
//! let yhat = [0.25, 0.5, 0.75, 0.5];
//! let y = [1.0, 0.0, 0.0, 1.0];
//! let mut gradients = [Vec::new(), Vec::new()];
//! let loss_value =
//!     program.gradient(&mut Workspace::new(), shape, &[&yhat, &y], &mut gradients);
//! assert!((loss_value - 1.04).abs() < 0.01); // (ln 4 + ln 2) / 2
//! assert_eq!(gradients[0], [-2.0, 0.0, 0.0, -1.0]); // −y / ŷ, halved by the mean
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to … | see |
//! |---|---|
//! | read and print formulas | [`Tree::parse`], [`Loss::parse`] |
//! | find hand-written losses by name | [`ZooLoss`] |
//! | compute value and gradient, or optimise predictions | [`Program`] |
//! | compute losses that are no tree of operators | [`NativeLoss`] |
//! | compute in f64, to compare with | [`Exact`], [`mod@reference`] |
//! | write a loss for PyTorch, JAX, ONNX and others | [`Export`], [`FORMATS`] |
//! | shorten a formula for people | [`Tree::simplified`] |
//!
//! The operators are rows of one table, [`Operator`]. The values of the rows are expressions over
//! [`Arithmetic`] and [`Field`], which numbers of several kinds and a framework's tensors implement.
//!
//! The crate knows no framework, no search and no metric.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod arithmetic;
mod channels;
mod compute;
mod exact;
mod export;
mod extent;
mod flat;
mod graph;
mod named_loss;
mod native;
mod operator;
mod program;
pub mod reference;
mod shape;
mod simplify;
#[cfg(test)]
mod testing;
mod text;
mod tree;
mod zoo;

pub use arithmetic::{Arithmetic, Dual, Field, sign};
pub use channels::{softmax_channels, softmax_channels_gradient};
pub use compute::{Adam, NotFinite, Workspace};
pub use exact::Exact;
pub use export::{Export, ExportError, ExportInput, FORMATS, Format, InputMeaning};
pub use flat::ProgramError;
pub use named_loss::{ZooKind, ZooLoss};
pub use native::{CURVE_PARAMETERS, NativeAt, NativeFields, NativeLoss, SURROGATE_PARAMETERS};
pub use operator::{EPSILON, Operator, Pointwise, Structured};
pub use program::{Descent, Program};
pub use shape::Shape;
pub use text::{ParseError, nearest};
pub use tree::{Branch, Loss, Tree};
pub use zoo::INPUTS;
