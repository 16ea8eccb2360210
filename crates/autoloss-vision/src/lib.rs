//! Data sets, networks and the vision tasks: the only crate that names a deep-learning framework.

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
