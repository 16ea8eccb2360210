//! `autoloss zoo`: the losses that have a name.

use anyhow::Result;
use autoloss_expr::ZooLoss;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::output::{print, print_json};
use crate::table::Table;

/// The hand-written losses that the program knows.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List them: name, fields that are compared, formula, source.
    #[command(after_help = "Examples:
  autoloss zoo list
  autoloss eval --loss zoo:dice --yhat yhat.npy --y y.npy")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Command::List { json } = arguments.command;
    list(json)
}

fn list(as_json: bool) -> Result<()> {
    if as_json {
        let losses = ZooLoss::all().map(|loss| {
            json!({
                "name": loss.name,
                "compares": loss.kind.name(),
                "tasks": loss.tasks(),
                "formula": loss.formula,
                "native": loss.tree().native().is_some(),
                "source": loss.source,
            })
        });
        return print_json(&json!({ "losses": losses.collect::<Vec<Value>>() }));
    }
    let mut table = Table::new(&["name", "compares", "source"]);
    for loss in ZooLoss::all() {
        table.row([loss.name, loss.kind.name(), loss.source].map(str::to_owned));
    }
    let mut text = format!(
        "{table}\nformulas, of one branch, and the tasks they fit; those that are a name and () are \
         no tree of operators\n"
    );
    for loss in ZooLoss::all() {
        let (name, formula, tasks) = (loss.name, loss.formula, loss.tasks());
        text.push_str(&format!("  zoo:{name} ({tasks})\n    {formula}\n"));
    }
    print(&text)
}
