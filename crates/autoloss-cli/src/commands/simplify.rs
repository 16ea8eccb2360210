//! `autoloss simplify`: a loss in its shortest form.

use anyhow::Result;
use autoloss_expr::Loss;
use serde_json::json;

use super::show::by_branch;
use super::{print, print_json};
use crate::args::Simplify;
use crate::formula;

pub(crate) fn simplify(arguments: &Simplify) -> Result<()> {
    let loss = formula::of_any_task(&arguments.loss)?;
    let simplified = loss.simplified();
    let sizes = [&loss, &simplified].map(Loss::size);
    if arguments.json {
        return print_json(&json!({
            "loss": loss.to_string(), "nodes": sizes[0],
            "simplified": simplified.to_string(), "simplified_nodes": sizes[1],
        }));
    }
    let column = |text: String| by_branch(&text).replace('\n', "\n            ");
    print(&format!(
        "loss        {}\nsimplified  {}\nnodes       {} -> {}\n",
        column(loss.to_string()),
        column(simplified.to_string()),
        sizes[0],
        sizes[1]
    ))
}
