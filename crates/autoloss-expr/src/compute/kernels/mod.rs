//! Fast loops over slices.
//!
//! Every loop exists once and is compiled for several instruction sets; [`Level::detect`] chooses the
//! one of the processor, so that a plain release binary is fast everywhere. Pointwise loops run the
//! operator table's expressions on [`lane::Lane`].

mod adam;
mod lane;
mod level;
mod pointwise;
mod pooling;
mod reductions;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use adam::{AdamUpdate, Outlook, adam, outlook};
pub(super) use level::Level;
pub(super) use pointwise::{Partial, combine, partial, value};
pub(super) use pooling::{Plane, Winners, pool, pool_gradient};
pub(super) use reductions::{mean_rows, softmax, sums};
pub(super) use rows::{Rows, View, ViewMut};
