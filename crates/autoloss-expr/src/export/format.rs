//! Languages and file formats of exports.

use super::error::ExportError;
use super::source::Export;

/// A language or file format that losses are exported to.
pub struct Format {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) is_text: bool,
    pub(super) write: fn(&Export) -> Result<Vec<u8>, ExportError>,
}

impl Format {
    /// Name, such as `pytorch`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Content of an exported file, in words.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Whether exported files are text that a terminal can show.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        self.is_text
    }

    /// Exports a loss: the content of a file.
    ///
    /// ```
    /// use autoloss_expr::{Export, Format, Loss, Tree};
    ///
    /// let tree = Tree::parse("abs(yhat - y)", &["yhat", "y"])?;
    /// let export = Export::new(Loss::single("", tree));
    /// let code = String::from_utf8(Format::from_name("pytorch")?.write(&export)?)?;
    /// assert!(code.contains("torch.abs(yhat - y).sum(dim=1).mean()"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A native loss, where the format writes operators.
    pub fn write(&self, export: &Export) -> Result<Vec<u8>, ExportError> {
        (self.write)(export)
    }
}
