//! `autoloss export`: a loss in another language.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use autoloss_expr::{Export, FORMATS, Format};
use autoloss_search::BranchSpec;
use autoloss_vision::tasks::TaskName;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::exit::usage;
use crate::files::write_aside;
use crate::formula;
use crate::output::print;

/// Write a loss in another language: code without any dependency on this program, a model, mathematics.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss export --loss @runs/digits-miou-1 --to pytorch --out loss.py
  autoloss export --loss '-(y * log(yhat))' --to jax
  autoloss export --loss @runs/boxes --task digits-detection --to onnx --out loss.onnx")]
pub(crate) struct Arguments {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    loss: String,
    /// Language or file format.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    to: String,
    /// Task that the loss is for: its branches, and the meaning of their inputs. Without it `yhat` is a prediction of
    /// any kind and `y` the target.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// The file; without it, text is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The formats of exports.
fn formats() -> PossibleValuesParser {
    let formats = FORMATS.iter();
    PossibleValuesParser::new(formats.map(|f| PossibleValue::new(f.name()).help(f.about())))
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = Format::from_name(&arguments.to).map_err(usage)?;
    let content = format.write(&read(arguments)?).map_err(usage)?;
    if let Some(path) = &arguments.out {
        write_aside(path, |file| Ok(file.write_all(&content)?))?;
        return print(&format!("{}\n", path.display()));
    }
    match String::from_utf8(content) {
        Ok(text) if format.is_text() => print(&text),
        _ => {
            let name = format.name();
            Err(usage(format!(
                "--to {name}: the file is no text; give it a name, as in --out loss.{name}"
            )))
        }
    }
}

/// The loss, with the meaning of its inputs where a task is given.
fn read(arguments: &Arguments) -> Result<Export> {
    let Some(task) = &arguments.task else {
        return Ok(Export::new(formula::of_any_task(&arguments.loss)?));
    };
    let task: TaskName = task.parse().map_err(usage)?;
    let branches = task.family().branches();
    let loss = formula::of_branches(&arguments.loss, &branches)?;
    let inputs = branches.iter().map(BranchSpec::export_inputs).collect();
    Export::with_inputs(loss, inputs).map_err(usage)
}
