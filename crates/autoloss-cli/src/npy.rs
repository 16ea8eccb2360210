//! Arrays in NumPy's file format.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use autoloss_expr::Shape;
use ndarray::{Array, Array4, ArrayD};
use ndarray_npy::{ReadNpyError, ReadNpyExt, WriteNpyExt};

use crate::exit::usage;

/// A field read from a file.
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) values: Vec<f32>,
}

/// Reads an array (N, C, H, W) of 32- or 64-bit floats; the latter are rounded to 32 bits.
pub(crate) fn read(path: &Path) -> Result<Field> {
    let open = || -> Result<_> {
        let file =
            File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        Ok(BufReader::new(file))
    };
    let array = match ArrayD::<f32>::read_npy(open()?) {
        Ok(array) => array,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "losses are computed in f32"
        )]
        Err(ReadNpyError::WrongDescriptor(_)) => ArrayD::<f64>::read_npy(open()?)
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

fn unreadable(path: &Path, error: &ReadNpyError) -> anyhow::Error {
    let what = match error {
        ReadNpyError::WrongDescriptor(found) => {
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
