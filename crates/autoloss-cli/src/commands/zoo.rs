//! `autoloss zoo`: the losses that have a name.

use anyhow::Result;
use autoloss_expr::ZooLoss;
use serde_json::{Value, json};

use super::{print, print_json};
use crate::table::Table;

pub(crate) fn list(as_json: bool) -> Result<()> {
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
