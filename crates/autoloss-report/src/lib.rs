//! Runs for people to read: a run as one HTML page, and diagrams as SVG.
//!
//! ```
//! use autoloss_report::plot::{Plot, Series};
//!
//! let plot = Plot {
//!     title: "best score".to_owned(),
//!     x: "evaluations".to_owned(),
//!     y: "mIoU".to_owned(),
//!     series: vec![Series::line("evolution", 0, vec![(1.0, 0.2), (2.0, 0.3)])],
//! };
//! assert!(plot.file().starts_with("<svg xmlns="));
//! ```
//!
//! [`html()`] gives the page of a [`Store`](autoloss_search::Store).

mod curves;
mod document;
mod kinds;
mod page;
pub mod plot;
mod simplified;
mod tree;

pub use curves::{Curve, Curves, Points, curves};
pub use document::document;
pub use kinds::Kinds;
pub use page::html;
pub use simplified::simplified;
