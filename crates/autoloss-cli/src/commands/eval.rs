//! `autoloss eval`: a loss on arrays.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use autoloss_expr::{Program, Shape, Workspace};
use autoloss_program::npy::{self, NpyError};
use clap::Args;
use serde_json::json;

use crate::exit::usage;
use crate::files::write_aside;
use crate::formula;
use crate::output::{print, print_json};

/// Compute a loss on arrays: its value and, if asked for, its gradient.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss eval --loss '-(y * log(yhat))' --yhat yhat.npy --y y.npy --grad gradient.npy")]
pub(crate) struct Arguments {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    loss: String,
    /// Predictions, shape (N, C, H, W), real numbers of any type.
    #[arg(long, value_name = "FILE.npy")]
    yhat: PathBuf,
    /// Targets of the same shape.
    #[arg(long, value_name = "FILE.npy")]
    y: PathBuf,
    /// A further input of the same shape that the formula may name; a constant to the gradient.
    #[arg(long = "input", value_name = "NAME=FILE.npy")]
    inputs: Vec<String>,
    /// Write the gradient of the loss value with respect to yhat here, as 32-bit floats.
    #[arg(long, value_name = "FILE.npy")]
    grad: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An array (N, C, H, W) read from a file.
struct Array {
    shape: Shape,
    values: Vec<f32>,
}

/// Reads an array (N, C, H, W).
fn field(path: &Path) -> Result<Array> {
    let array = npy::read(path).map_err(|error| match error {
        NpyError::Content { .. } => usage(error),
        NpyError::Unreadable { .. } => error.into(),
    })?;
    let &[n, c, h, w] = array.shape.as_slice() else {
        return Err(usage(format!(
            "{}: an array of shape {:?}, expected four extents (N, C, H, W)",
            path.display(),
            array.shape
        )));
    };
    Ok(Array {
        shape: Shape::new(n, c, h, w),
        values: array.values,
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut names = vec!["yhat", "y"];
    let mut paths = vec![arguments.yhat.as_path(), arguments.y.as_path()];
    for input in &arguments.inputs {
        let (name, path) = input
            .split_once('=')
            .ok_or_else(|| usage(format!("--input {input}: expected NAME=FILE.npy")))?;
        if names.contains(&name) {
            return Err(usage(format!("--input {name}: the name is taken")));
        }
        names.push(name);
        paths.push(Path::new(path));
    }
    let tree = formula::tree(&arguments.loss, &names)?;
    let fields = paths.into_iter().map(field).collect::<Result<Vec<_>>>()?;
    let shape = fields[0].shape;
    for (name, field) in names.iter().zip(&fields) {
        if field.shape != shape {
            return Err(usage(format!(
                "`{name}` has the shape {}, expected that of `yhat`, {shape}",
                field.shape
            )));
        }
    }

    let values: Vec<&[f32]> = fields.iter().map(|f| f.values.as_slice()).collect();
    let (loss_value, gradient) = match tree.native() {
        Some(loss) => loss.at_single(shape, values[0], values[1]),
        None => {
            let inputs: Vec<_> = names.iter().map(|name| (*name, *name == "yhat")).collect();
            let program = Program::new(&tree, &inputs)?;
            let mut gradients = vec![Vec::new(); inputs.len()];
            let value = program.gradient(&mut Workspace::new(), shape, &values, &mut gradients);
            (value, gradients.swap_remove(0))
        }
    };
    let norm = gradient
        .iter()
        .map(|g| f64::from(*g).powi(2))
        .sum::<f64>()
        .sqrt();

    if let Some(path) = &arguments.grad {
        let extents = [shape.n, shape.c, shape.h, shape.w];
        write_aside(path, |file| Ok(npy::write(file, &extents, &gradient)?))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    if arguments.json {
        // JSON has no numbers that are not finite.
        let number = |v: f64| {
            if v.is_finite() {
                json!(v)
            } else {
                json!(v.to_string())
            }
        };
        return print_json(&json!({
            "loss": tree.to_string(),
            "shape": [shape.n, shape.c, shape.h, shape.w],
            "loss_value": number(loss_value),
            "gradient_norm": number(norm),
        }));
    }
    print(&format!(
        "loss           {tree}\nshape          {shape}\nloss_value     {loss_value}\ngradient norm  {norm}\n"
    ))
}
