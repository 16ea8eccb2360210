//! `autoloss simplify`: a loss in its shortest form.

use anyhow::Result;
use autoloss_expr::Loss;
use clap::Args;
use serde_json::json;

use crate::formula;
use crate::loss_text::by_branch;
use crate::output::{print, print_json};

/// Rewrite a loss to the shortest form found with the same value and gradients.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss simplify --loss 'mean_nhw(-(y * -log(exp(yhat))) + (1 - 1))'")]
pub(crate) struct Arguments {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    loss: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
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
