//! `autoloss zoo`: the losses that have a name.

use anyhow::Result;
use autoloss_expr::ZOO;
use serde_json::{Value, json};

use super::{print, print_json};
use crate::table::Table;

pub(crate) fn list(as_json: bool) -> Result<()> {
    if as_json {
        let losses = ZOO.iter().map(|loss| {
            json!({
                "name": loss.name,
                "compares": loss.kind.name(),
                "tasks": loss.tasks(),
                "formula": loss.formula,
                "source": loss.source,
            })
        });
        return print_json(&json!({ "losses": losses.collect::<Vec<Value>>() }));
    }
    let mut table = Table::new(&["name", "compares", "source"]);
    for loss in ZOO {
        table.row([loss.name, loss.kind.name(), loss.source].map(str::to_owned));
    }
    let mut text = format!("{table}\nformulas, of one branch, and the tasks they fit\n");
    for loss in ZOO {
        let (name, formula, tasks) = (loss.name, loss.formula, loss.tasks());
        text.push_str(&format!("  zoo:{name} ({tasks})\n    {formula}\n"));
    }
    print(&text)
}
