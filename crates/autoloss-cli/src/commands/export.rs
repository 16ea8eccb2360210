//! `autoloss export`: a loss in another language.

use std::io::Write;

use anyhow::Result;
use autoloss_expr::{Export, Format};
use autoloss_search::BranchSpec;
use autoloss_vision::tasks::TaskName;

use super::print;
use crate::args;
use crate::exit::usage;
use crate::files::write_aside;
use crate::formula;

pub(crate) fn export(arguments: &args::Export) -> Result<()> {
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

/// The loss with what is known of its inputs.
fn read(arguments: &args::Export) -> Result<Export> {
    let Some(task) = &arguments.task else {
        return Ok(Export::new(formula::of_any_task(&arguments.loss)?));
    };
    let task: TaskName = task.parse().map_err(usage)?;
    let branches = task.family().branches();
    let loss = formula::of_branches(&arguments.loss, &branches)?;
    let inputs = branches.iter().map(BranchSpec::export_inputs).collect();
    Export::with_inputs(loss, inputs).map_err(usage)
}
