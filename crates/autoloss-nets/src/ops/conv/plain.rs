//! Convolution of plain arrays, forward and backward, as matrix products over
//! the unfolded input.

use std::cell::RefCell;

use gemm::Parallelism;
use rayon::prelude::*;

use super::unfold::{Geometry, channels_from_images, fold, images_from_channels, sized, unfold};

/// Multiplications above which a single matrix product is split over threads.
const PARALLEL_WORK: usize = 1 << 22;

/// A matrix to read from: element (row, column) is `data[row · rows_apart + column · columns_apart]`.
struct Matrix<'a> {
    data: &'a [f32],
    rows_apart: usize,
    columns_apart: usize,
}

/// Buffers kept between calls: fresh pages cost about as much as filling them.
#[derive(Default)]
struct Scratch {
    columns: Vec<f32>,
    pixels: Vec<f32>,
    transposed: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The output `[N, C', H', W']` for the input `x`, `[N, C, H, W]`, and the
/// weights `[C', C, k, k]`.
pub(super) fn forward(x: &[f32], weight: &[f32], g: &Geometry) -> Vec<f32> {
    let (taps, group) = (g.taps(), g.group());
    let weight = taps.gather(weight);
    let rows = g.channels_in * taps.count();
    let image_in = g.channels_in * g.pixels_in();
    let image_out = g.channels_out * g.pixels_out();
    let mut output = vec![0.0; g.batch * image_out];
    if output.is_empty() || rows == 0 {
        return output;
    }
    output
        .par_chunks_mut(group * image_out)
        .zip(x.par_chunks(group * image_in))
        .for_each(|(output, x)| {
            let columns = output.len() / g.channels_out;
            with_scratch(|scratch| {
                let unfolded = unfold(x, &taps, g, &mut scratch.columns);
                let multiply = |by_channel: &mut [f32]| {
                    product(
                        [g.channels_out, rows, columns],
                        by_channel,
                        &Matrix::new(&weight, rows),
                        &Matrix::new(unfolded, columns),
                        false,
                        parallelism(g, g.channels_out * rows * columns),
                    );
                };
                if group == 1 {
                    multiply(output);
                } else {
                    let by_channel = sized(&mut scratch.pixels, output.len());
                    multiply(by_channel);
                    images_from_channels(by_channel, output, g);
                }
            });
        });
    output
}

/// The gradient of the input, `[N, C, H, W]`, from that of the output.
pub(super) fn input_gradient(weight: &[f32], output_gradient: &[f32], g: &Geometry) -> Vec<f32> {
    match g.mirrored() {
        Some(mirrored) if !g.weights_dominate() => {
            forward(output_gradient, &mirror(weight, g), &mirrored)
        }
        _ => folded_input_gradient(weight, output_gradient, g),
    }
}

/// The weights with input and output channels exchanged and each kernel turned
/// by half a turn: `[C, C', k, k]`.
fn mirror(weight: &[f32], g: &Geometry) -> Vec<f32> {
    let taps = g.kernel[0] * g.kernel[1];
    let mut mirrored = Vec::with_capacity(weight.len());
    for channel in 0..g.channels_in {
        for output in 0..g.channels_out {
            let kernel = &weight[(output * g.channels_in + channel) * taps..][..taps];
            mirrored.extend(kernel.iter().rev());
        }
    }
    mirrored
}

/// [`input_gradient`] for any stride.
fn folded_input_gradient(weight: &[f32], output_gradient: &[f32], g: &Geometry) -> Vec<f32> {
    let (taps, group) = (g.taps(), g.group());
    let weight = taps.gather(weight);
    let rows = g.channels_in * taps.count();
    let image_in = g.channels_in * g.pixels_in();
    let image_out = g.channels_out * g.pixels_out();
    let mut gradient = vec![0.0; g.batch * image_in];
    if output_gradient.is_empty() || rows == 0 {
        return gradient;
    }
    gradient
        .par_chunks_mut(group * image_in)
        .zip(output_gradient.par_chunks(group * image_out))
        .for_each(|(gradient, output_gradient)| {
            let columns = output_gradient.len() / g.channels_out;
            with_scratch(|scratch| {
                let Scratch {
                    columns: unfolded,
                    pixels,
                    ..
                } = scratch;
                let by_channel = channels_from_images(output_gradient, pixels, g);
                let unfolded = sized(unfolded, rows * columns);
                product(
                    [rows, g.channels_out, columns],
                    unfolded,
                    &Matrix::new(&weight, rows).transposed(),
                    &Matrix::new(by_channel, columns),
                    false,
                    parallelism(g, g.channels_out * rows * columns),
                );
                fold(unfolded, gradient, &taps, g);
            });
        });
    gradient
}

/// The gradient of the weights, `[C', C, k, k]`, from that of the output.
///
/// Unless the weights dominate, the transposed product is computed: with the
/// output channels side by side it need not rearrange the unfolded input.
pub(super) fn weight_gradient(x: &[f32], output_gradient: &[f32], g: &Geometry) -> Vec<f32> {
    let (taps, group) = (g.taps(), g.group());
    let rows = g.channels_in * taps.count();
    if output_gradient.is_empty() || rows == 0 {
        return vec![0.0; g.channels_out * g.channels_in * taps.all()];
    }
    let mut gradient = vec![0.0; g.channels_out * rows];
    let images_in = x.chunks(group * g.channels_in * g.pixels_in());
    let images_out = output_gradient.chunks(group * g.channels_out * g.pixels_out());
    for (index, (x, output_gradient)) in images_in.zip(images_out).enumerate() {
        let columns = output_gradient.len() / g.channels_out;
        let parallelism = if g.channels_out * rows * columns >= PARALLEL_WORK
            && rayon::current_num_threads() > 1
        {
            Parallelism::Rayon(0)
        } else {
            Parallelism::None
        };
        with_scratch(|scratch| {
            let Scratch {
                columns: unfolded,
                pixels,
                transposed: by_pixel,
            } = scratch;
            let unfolded = Matrix::new(unfold(x, &taps, g, unfolded), columns);
            let by_channel = channels_from_images(output_gradient, pixels, g);
            if g.weights_dominate() {
                product(
                    [g.channels_out, columns, rows],
                    &mut gradient,
                    &Matrix::new(by_channel, columns),
                    &unfolded.transposed(),
                    index > 0,
                    parallelism,
                );
            } else {
                let by_pixel = transpose(by_channel, g.channels_out, by_pixel);
                product(
                    [rows, columns, g.channels_out],
                    &mut gradient,
                    &unfolded,
                    &Matrix::new(by_pixel, g.channels_out),
                    index > 0,
                    parallelism,
                );
            }
        });
    }
    if !g.weights_dominate() {
        let mut by_output = Vec::new();
        transpose(&gradient, rows, &mut by_output);
        gradient = by_output;
    }
    taps.scatter(gradient)
}

/// The transpose of the matrix `x` of `rows` rows.
fn transpose<'a>(x: &[f32], rows: usize, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    const TILE: usize = 16;
    let columns = x.len() / rows;
    let transposed = sized(buffer, x.len());
    for first_row in (0..rows).step_by(TILE) {
        for first_column in (0..columns).step_by(TILE) {
            for row in first_row..(first_row + TILE).min(rows) {
                for column in first_column..(first_column + TILE).min(columns) {
                    transposed[column * rows + row] = x[row * columns + column];
                }
            }
        }
    }
    transposed
}

/// Threads of the matrix product of one group of images with `work` multiplications: one where the groups alone keep
/// all threads busy.
fn parallelism(g: &Geometry, work: usize) -> Parallelism {
    let groups = g.batch.div_ceil(g.group());
    if work >= PARALLEL_WORK && groups < rayon::current_num_threads() {
        Parallelism::Rayon(0)
    } else {
        Parallelism::None
    }
}

/// Calls `work` with this thread's buffers. A thread that waits for others may begin another convolution meanwhile, which
/// then gets fresh buffers.
fn with_scratch(work: impl FnOnce(&mut Scratch)) {
    let mut scratch = SCRATCH.take();
    work(&mut scratch);
    SCRATCH.set(scratch);
}

impl<'a> Matrix<'a> {
    /// The matrix whose rows follow one another in `data`.
    fn new(data: &'a [f32], columns: usize) -> Self {
        Self {
            data,
            rows_apart: columns,
            columns_apart: 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            rows_apart: self.columns_apart,
            columns_apart: self.rows_apart,
            ..self
        }
    }

    /// True if all of `rows` × `columns` elements lie in the data.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.rows_apart + (columns - 1) * self.columns_apart;
        last < self.data.len()
    }
}

/// `result = left · right`, or `result += left · right`, for `left` of m × k
/// and `right` of k × n; `result` holds its rows one after another.
fn product(
    [m, k, n]: [usize; 3],
    result: &mut [f32],
    left: &Matrix<'_>,
    right: &Matrix<'_>,
    accumulate: bool,
    parallelism: Parallelism,
) {
    assert!(
        m * k * n > 0 && left.holds(m, k) && right.holds(k, n) && result.len() >= m * n,
        "a matrix product reads and writes inside its arguments"
    );
    // SAFETY: all elements that the sizes and strides reach lie inside the
    // three slices, as just checked, and `result` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            result.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            left.data.as_ptr(),
            left.columns_apart as isize,
            left.rows_apart as isize,
            right.data.as_ptr(),
            right.columns_apart as isize,
            right.rows_apart as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
