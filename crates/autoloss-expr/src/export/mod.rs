//! Losses in other languages: code and files that need nothing of this crate.
//!
//! Exporters of code write the value of each operator's row in the language's functions for [`Arithmetic`] and
//! [`Field`], so that the operator table stays the only place that defines an operator. An exporter is a file in
//! this folder and a row of [`FORMATS`].
//!
//! [`Arithmetic`]: crate::Arithmetic
//! [`Field`]: crate::Field

mod dot;
mod error;
mod format;
mod jax;
mod latex;
mod onnx;
mod proto;
mod python;
mod pytorch;
mod source;
mod steps;
mod term;
#[cfg(test)]
mod tests;

pub use error::ExportError;
pub use format::Format;
pub use source::{Export, ExportInput, InputMeaning};

use crate::text::nearest;

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
}
