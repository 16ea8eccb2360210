//! `autoloss report`: a run as one HTML page that needs no other file.

use std::path::PathBuf;

use anyhow::Result;
use autoloss_report::html;
use autoloss_search::Store;
use clap::Args;

use crate::files::write_text;
use crate::output::print;

/// Write a run as one HTML page that needs no other file: losses, curves, the course of the search.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss report runs/digits-miou-1 --out report.html")]
pub(crate) struct Arguments {
    /// Folder of the run.
    dir: PathBuf,
    /// The page; default: report.html in the run's folder.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let store = Store::open(&arguments.dir)?;
    let page = html(&store)?;
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => arguments.dir.join("report.html"),
    };
    write_text(&path, &page)?;
    print(&format!("{}\n", path.display()))
}
