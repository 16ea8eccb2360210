//! `autoloss worker`: trains for a search in another process.

use std::io::{BufReader, stdin, stdout};

use anyhow::{Context, Result};
use autoloss_search::{Task, parse_toml, serve};
use autoloss_vision::tasks::TaskSettings;
use clap::Args;

use crate::config::open_silently;

/// Train for a search in another process, which `--executor processes` starts: lines of JSON on the
/// standard streams.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss search --executor processes --set search.trial_time=600")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<()> {
    // Ctrl-C in a terminal reaches the processes of a search, too: the search ends them.
    ctrlc::set_handler(|| ()).context("no handler for Ctrl-C can be set")?;
    let open = |settings: &str| open(settings).map_err(|error| format!("{error:#}"));
    serve(open, BufReader::new(stdin()), stdout()).context("the search cannot be reached")
}

/// Opens the task of a search.
fn open(settings: &str) -> Result<Box<dyn Task>> {
    let table = parse_toml(settings).map_err(|error| anyhow::anyhow!("its settings: {error}"))?;
    Ok(open_silently(TaskSettings::from_table(&table)?)?)
}
