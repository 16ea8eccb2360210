//! The timeline of a command's work, for `--trace FILE`.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard, TraceStyle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Writes the spans of this project's crates to a file from here on; all are written when the value is dropped.
pub(crate) fn to_file(path: &Path) -> anyhow::Result<FlushGuard> {
    let file = File::create(path).with_context(|| format!("{}: not written", path.display()))?;
    let (layer, guard) = ChromeLayerBuilder::new()
        .writer(file)
        .include_args(true)
        // Trainings begin on one thread and end on another.
        .trace_style(TraceStyle::Async)
        .build();
    let ours = Targets::new().with_target("autoloss", LevelFilter::DEBUG);
    tracing_subscriber::registry()
        .with(layer.with_filter(ours))
        .init();
    Ok(guard)
}
