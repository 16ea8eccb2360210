//! Data sets, networks and the vision tasks: the only crate that names a deep-learning framework.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod checkpoint;
pub mod data;
pub mod device;
mod field;
mod learner;
mod loss;
mod memory;
pub mod nets;
mod pretrain;
pub mod tasks;
mod train;

pub use field::TensorField;
pub use loss::{ClassLoss, LossAt, LossValue};
pub use pretrain::{PretrainError, Pretrained, Pretraining, pretrain};
pub use train::{Optimiser, TrainingSettings};
