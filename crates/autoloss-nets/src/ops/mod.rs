//! The operations that take most of the time of a training step.
//!
//! On the CPU (Burn's `flex`) each is computed here as one operation with its own backward pass, several times faster
//! than by Burn's operations; the bench `operations` compares both. On every other device Burn's operations are used.
//! An operation is one module: its face takes layers and tensors of Burn, its `plain` computes on arrays.

mod batch_norm;
mod conv;
mod resize;
mod roi_align;
mod tensors;
#[cfg(test)]
mod testing;

pub use batch_norm::{batch_norm, batch_norm_add_relu, batch_norm_relu};
pub use conv::{conv_transpose2d, conv2d};
pub use resize::resize;
pub use roi_align::{RoiAlign, roi_align};
