//! `autoloss report`: a run as one HTML page that needs nothing else.

use anyhow::Result;
use autoloss_report::html;
use autoloss_search::Store;

use super::print;
use crate::args::Report;
use crate::files::write_text;

pub(crate) fn report(arguments: &Report) -> Result<()> {
    let store = Store::open(&arguments.dir)?;
    let page = html(&store)?;
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => arguments.dir.join("report.html"),
    };
    write_text(&path, &page)?;
    print(&format!("{}\n", path.display()))
}
