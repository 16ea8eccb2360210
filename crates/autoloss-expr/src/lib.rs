//! The language of losses: what a loss is, and what it computes.
//!
//! A loss is a tree of primitive operators over the prediction `yhat`, the target `y` and the
//! constant 1. Its value is the mean of the tree's output over samples and positions, summed over
//! channels.
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
//! The operators are rows of one table, [`Operator`]; the arithmetic they are written in is
//! [`Arithmetic`], which numbers of several kinds and a framework's tensors implement.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod arithmetic;
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
