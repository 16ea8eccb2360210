//! `autoloss data`: the data set that a run would read, checked without a run.

use anyhow::Result;
use autoloss_data::{SetSummary, Summary, Unit};
use clap::Args;
use serde_json::json;

use crate::args::TaskArguments;
use crate::config::{Config, open_silently};
use crate::output::{print, print_json};
use crate::table::Table;

/// Read and check a data set: images, classes, and how many pixels or objects each has.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss data --task voc --data VOC2012
  autoloss data --task coco-detection --data coco --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::read(&arguments.task, Vec::new())?;
    let settings = config.task.need_vision("data")?;
    let name = settings.name();
    let task = open_silently(settings.clone())?;
    let summary = task.summary()?;
    if arguments.json {
        return print_json(&json!({
            "task": name.name(),
            "sets": summary.sets,
            "warnings": summary.warnings,
        }));
    }
    let note = task.note().map_or_else(String::new, |n| format!("{n}\n"));
    print(&format!("task {name}\n{note}\n{}", as_text(&summary)))
}

/// A table with a row for each class and columns for each set, then the warnings.
fn as_text(summary: &Summary) -> String {
    let sets = &summary.sets;
    let unit = sets.first().map_or(Unit::Pixels, |set| set.unit);
    let mut columns = vec![unit.name().to_owned()];
    for set in sets {
        columns.push(format!(">{}", set.set));
        if unit == Unit::Pixels {
            columns.push(">share".to_owned());
        }
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&columns);
    let counts = |of: &dyn Fn(&SetSummary) -> u64| {
        let cells = sets.iter().flat_map(|set| {
            let count = of(set);
            let share = (unit == Unit::Pixels).then(|| set.amount(count));
            std::iter::once(count.to_string()).chain(share)
        });
        cells.collect::<Vec<String>>()
    };
    let classes = sets.first().map_or(&[][..], |set| &set.classes);
    for (label, class) in classes.iter().enumerate() {
        let count = |set: &SetSummary| set.classes.get(label).map_or(0, |class| class.count);
        table.row(std::iter::once(class.name.clone()).chain(counts(&count)));
    }
    table.row(std::iter::once("(ignored)".to_owned()).chain(counts(&|set| set.ignored)));
    let mut text = String::new();
    for set in sets {
        let notes: String = set.notes.iter().map(|note| format!("; {note}")).collect();
        text.push_str(&format!("{}: {} images{notes}\n", set.set, set.images));
    }
    text.push_str(&format!("\n{table}"));
    for warning in &summary.warnings {
        text.push_str(&format!("\nwarning: {warning}\n"));
    }
    text
}
