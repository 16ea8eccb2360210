//! The embedded data sets: scenes of handwritten digits and of human figures.

mod digits;
mod drawing;
mod figures;
#[cfg(test)]
mod testing;

pub use digits::{Digits, DigitsSettings, asset, single_digit};
pub use figures::{Figures, FiguresSettings};

/// The most scenes of a split.
const MAX_SCENES: usize = 1_000_000;
