//! `autoloss worker`: trains for a search in another process, and describes, samples and scores for one that has no task
//! of its own.

use std::io::{BufReader, stdin, stdout};

use anyhow::{Context, Result};
use autoloss_program::serve;
use autoloss_search::{Settings, Task, parse_toml};
use autoloss_vision::tasks::TaskSettings;
use clap::Args;
use toml::{Table, Value};

use crate::args::{Preset, TaskArguments};
use crate::config::{Config, open_silently};

/// Train for a search in another process, which `--executor processes` starts, or which speaks the messages of
/// docs/worker.md: lines of JSON on the standard streams. With a task it serves any such search, on a cluster, too.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss search --executor processes --set search.trial_time=600
  python -m autoloss.ray --task voc --data data/CamVid --metric miou --time 8h
  autoloss search --evaluator 'autoloss worker --task digits'")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    /// Settings of the search in place of the task's, as in `autoloss search`.
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,
}

/// Settings of a search that are no matter of its task: the person who searches says them.
const OF_SEARCHES: [&str; 7] = [
    "seed",
    "evaluations",
    "time",
    "workers",
    "executor",
    "devices",
    "trial_time",
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (own, settings) = match arguments.task == TaskArguments::default() {
        // The search sends the settings of its task.
        true => (None, Table::new()),
        false => {
            let config = Config::read_with(&arguments.task, arguments.preset, Vec::new())?;
            let task = config.task.need_vision("worker")?.clone();
            (Some(task), for_task(&config.search)?)
        }
    };
    // Ctrl-C in a terminal reaches the processes of a search, too: the search ends them.
    ctrlc::set_handler(|| ()).context("no handler for Ctrl-C can be set")?;
    let open = |sent: &str| open(own, sent).map_err(|error| format!("{error:#}"));
    serve(open, settings, BufReader::new(stdin()), stdout()).context("the search cannot be reached")
}

/// Opens a task: of the command's own settings, for which the search sends at most a device, or of those that it sends.
fn open(own: Option<TaskSettings>, sent: &str) -> Result<Box<dyn Task>> {
    let settings = match own {
        Some(own) if sent.is_empty() => own,
        Some(own) => own.on(sent),
        None => {
            let table =
                parse_toml(sent).map_err(|error| anyhow::anyhow!("its settings: {error}"))?;
            TaskSettings::from_table(&table)?
        }
    };
    Ok(open_silently(settings)?)
}

/// The settings of a search that suit the task.
fn for_task(settings: &Settings) -> Result<Table> {
    let mut table: Table = toml::from_str(&settings.to_toml())?;
    if let Some(Value::Table(search)) = table.get_mut("search") {
        search.retain(|key, _| !OF_SEARCHES.contains(&key));
    }
    Ok(table)
}
