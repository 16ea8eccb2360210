//! `autoloss resume`: an interrupted search goes on.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use autoloss_search::{Recorder, Task};
use clap::Args;

use crate::config::Config;
use crate::duration::duration;
use crate::exit::usage;
use crate::run::go_on;

/// Go on with a run that was interrupted, or give a finished one a larger budget.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss resume runs/digits-miou-1 --time 1h")]
pub(crate) struct Arguments {
    /// Folder of the run.
    dir: PathBuf,
    /// A new limit on proxy trainings, those already made included.
    #[arg(long, value_name = "N")]
    evaluations: Option<u64>,
    /// A new limit on time, that already spent included.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut recorder = Recorder::resume(&arguments.dir)?;
    let info = recorder.store().info()?;
    let mut settings = info.settings.clone();
    if arguments.evaluations.is_some() {
        settings.search.evaluations = arguments.evaluations;
    }
    if let Some(time) = arguments.time {
        settings.search.time = Some(time.as_secs_f64());
    }
    settings.validate().map_err(usage)?;
    if settings != info.settings {
        recorder.change_settings(&settings)?;
    }
    let mut config = Config::of_run(&arguments.dir, &info)?;
    config.search = settings;
    let task = config.open_task()?;
    let crew = config.crew(&*task)?;
    let task = (&*task as &dyn Task, None);
    go_on(&arguments.dir, task, &crew, recorder, arguments.json)
}
