//! Arrays in NumPy's file format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use autoloss_expr::Shape;
use ndarray::{Array, Array4, ArrayViewD};
use ndarray_npy::{ViewNpyError, ViewNpyExt, WriteNpyExt};

use crate::exit::usage;

/// A field read from a file.
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) values: Vec<f32>,
}

/// Reads an array (N, C, H, W) of 32- or 64-bit floats; the latter are rounded to 32 bits.
pub(crate) fn read(path: &Path) -> Result<Field> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    // Views of the bytes: nothing is made in the size that a header claims.
    let array = match ArrayViewD::<f32>::view_npy(&bytes) {
        Ok(array) => array.to_owned(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "losses are computed in f32"
        )]
        Err(ViewNpyError::WrongDescriptor(_)) => ArrayViewD::<f64>::view_npy(&bytes)
            .map_err(|error| unreadable(path, &error))?
            .mapv(|v| v as f32),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let &[n, c, h, w] = array.shape() else {
        return Err(usage(format!(
            "{}: an array of shape {:?}, expected four extents (N, C, H, W)",
            path.display(),
            array.shape()
        )));
    };
    let shape = Shape::new(n, c, h, w);
    if shape.len() == 0 {
        return Err(usage(format!(
            "{}: an array of shape {shape} has no elements",
            path.display()
        )));
    }
    // Column-major files come out in the order of their indices.
    let values = array.iter().copied().collect();
    Ok(Field { shape, values })
}

fn unreadable(path: &Path, error: &ViewNpyError) -> anyhow::Error {
    let what = match error {
        ViewNpyError::WrongDescriptor(found) => {
            format!("elements of type {found}, expected 32- or 64-bit floats ('<f4', '<f8')")
        }
        other => format!("not an array in NumPy's format: {other}"),
    };
    usage(format!("{}: {what}", path.display()))
}

/// Writes a field; the file appears whole or not at all.
pub(crate) fn write(path: &Path, shape: Shape, values: Vec<f32>) -> Result<()> {
    let array: Array4<f32> = Array::from_shape_vec((shape.n, shape.c, shape.h, shape.w), values)
        .context("a field has the elements of its shape")?;
    let write = |file: &mut File| -> Result<()> {
        let mut out = BufWriter::new(file);
        array.write_npy(&mut out)?;
        out.flush()?;
        Ok(())
    };
    crate::files::write_aside(path, write)
        .with_context(|| format!("{}: cannot be written", path.display()))
}
