//! The end of a command on request.

use std::sync::Arc;

use anyhow::{Context, Result};
use autoloss_search::Interrupt;

use crate::output::say;

/// Lets Ctrl-C ask for an orderly end, with a message of the `consequence` for the work; a second Ctrl-C ends the
/// program at once.
pub(crate) fn interrupt_on_ctrl_c(consequence: &'static str) -> Result<Arc<Interrupt>> {
    let interrupt = Arc::new(Interrupt::default());
    let shared = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if shared.is_set() {
            std::process::exit(130);
        }
        shared.set();
        say!("\nending; {consequence} (again to end at once)");
    })
    .context("no handler for Ctrl-C can be set")?;
    Ok(interrupt)
}
