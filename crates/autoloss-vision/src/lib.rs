//! The vision tasks: a data set, a network, branches of a loss and a metric put together as tasks of the search.
//!
//! Data sets come from `autoloss-data` and `autoloss-scenes`, networks from `autoloss-nets`, scores from
//! `autoloss-metrics`. Here are the loss in training ([`LossAt`]), the training itself, checkpoints, devices and the
//! settings of each task. The tasks implement `Task` of `autoloss-search`; how losses are proposed is not known here, nor
//! is the command line.
//!
//! ```
//! use autoloss_vision::tasks::TaskName;
//!
//! let task: TaskName = "figures-pose".parse()?;
//! assert_eq!(task.family().branches()[0].name, "heatmap");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod checkpoint;
mod coco_targets;
pub mod device;
mod field;
mod learner;
mod loss;
mod memory;
mod pretrain;
pub mod tasks;
#[cfg(test)]
mod testing;
mod train;

pub use field::TensorField;
pub use loss::{ClassLoss, LossAt, LossValue};
pub use pretrain::{PretrainError, Pretrained, Pretraining, pretrain};
pub use train::{Optimiser, TrainingSettings};
