//! Operators that look across elements, on blocks in NCHW order, forward and backward.

use std::ops::Range;

use crate::arithmetic::Arithmetic;
use crate::kernels::{Level, for_each_level, sum_body};
use crate::lane::Lane;
use crate::operator::Structured;
use crate::program::Shape;

for_each_level! {
    /// Computes the operator on a whole block.
    fn forward[forward_avx2, forward_avx512, forward_body](
        op: Structured, shape: Shape, x: &[f32], out: &mut [f32],
    )
}

for_each_level! {
    /// Adds the operator's contribution to its operand's adjoint.
    fn backward[backward_avx2, backward_avx512, backward_body](
        op: Structured, shape: Shape, read: Read<'_>, to: &mut [f32],
    )
}

/// What a backward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    /// Value of the operand.
    pub(crate) x: &'a [f32],
    /// Value of the operator.
    pub(crate) value: &'a [f32],
    /// Adjoint of the operator.
    pub(crate) adjoint: &'a [f32],
}

// Everything below is inlined, so that it is compiled for each instruction set.

#[inline(always)]
fn forward_body<const FMA: bool>(op: Structured, shape: Shape, x: &[f32], out: &mut [f32]) {
    match op {
        Structured::MeanNhw => {
            channel_means::<FMA>(shape, x, |range, mean| out[range].fill(mean));
        }
        Structured::MeanC => mean_c(shape, x, |range, means| out[range].copy_from_slice(means)),
        Structured::MaxPool => pool::<false>(shape, x, out),
        Structured::MinPool => pool::<true>(shape, x, out),
        Structured::SoftmaxC => softmax_c::<FMA>(shape, x, out),
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(op: Structured, shape: Shape, read: Read<'_>, to: &mut [f32]) {
    match op {
        // The mean's derivative is the mean again: each element gets the mean of the adjoints.
        Structured::MeanNhw => channel_means::<FMA>(shape, read.adjoint, |range, mean| {
            to[range].iter_mut().for_each(|t| *t += mean);
        }),
        Structured::MeanC => mean_c(shape, read.adjoint, |range, means| {
            for (t, mean) in to[range].iter_mut().zip(means) {
                *t += mean;
            }
        }),
        // Both look for the neighbour that equals the result.
        Structured::MaxPool | Structured::MinPool => pool_backward(shape, read, to),
        Structured::SoftmaxC => softmax_c_backward(shape, read, to),
    }
}

/// Calls `f` for each plane (n, c) with its channel's mean over n, h and w.
#[inline(always)]
fn channel_means<const FMA: bool>(shape: Shape, x: &[f32], mut f: impl FnMut(Range<usize>, f32)) {
    let plane = shape.h * shape.w;
    let range = |n: usize, c: usize| {
        let start = (n * shape.c + c) * plane;
        start..start + plane
    };
    for c in 0..shape.c {
        let total: f64 = (0..shape.n).map(|n| sum_body::<FMA>(&x[range(n, c)])).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "fields are f32"
        )]
        let mean = (total / shape.positions() as f64) as f32;
        for n in 0..shape.n {
            f(range(n, c), mean);
        }
    }
}

/// Positions that are handled together, so that their sums stay in the first cache.
const POSITIONS: usize = 64;

/// A run of neighbouring positions of one sample.
#[derive(Clone, Copy)]
struct Run {
    /// Index of the first channel's first element.
    first: usize,
    plane: usize,
    channels: usize,
    /// Number of positions, at most [`POSITIONS`].
    length: usize,
}

impl Run {
    /// The index range of each channel.
    fn channels(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.channels).map(move |c| {
            let at = self.first + c * self.plane;
            at..at + self.length
        })
    }
}

fn runs(shape: Shape) -> impl Iterator<Item = Run> {
    let plane = shape.h * shape.w;
    let starts = move |n| (0..plane).step_by(POSITIONS).map(move |start| (n, start));
    (0..shape.n).flat_map(starts).map(move |(n, start)| Run {
        first: n * shape.c * plane + start,
        plane,
        channels: shape.c,
        length: POSITIONS.min(plane - start),
    })
}

/// Calls `f` for each channel's run of positions with the means over the channels there.
#[inline(always)]
fn mean_c(shape: Shape, x: &[f32], mut f: impl FnMut(Range<usize>, &[f32])) {
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    let share = 1.0 / shape.c as f32;
    for run in runs(shape) {
        let mut means = [0.0; POSITIONS];
        for range in run.channels() {
            for (mean, value) in means.iter_mut().zip(&x[range]) {
                *mean += value;
            }
        }
        means.iter_mut().for_each(|mean| *mean *= share);
        for range in run.channels() {
            f(range, &means[..run.length]);
        }
    }
}

#[inline(always)]
fn softmax_c<const FMA: bool>(shape: Shape, x: &[f32], out: &mut [f32]) {
    for run in runs(shape) {
        let mut largest = [f32::NEG_INFINITY; POSITIONS];
        for range in run.channels() {
            for (largest, value) in largest.iter_mut().zip(&x[range]) {
                *largest = greater(*value, *largest);
            }
        }
        let mut sums = [0.0; POSITIONS];
        for range in run.channels() {
            let values = x[range.clone()].iter().zip(&largest).zip(&mut sums);
            for (out, ((value, largest), sum)) in out[range].iter_mut().zip(values) {
                *out = Lane::<FMA>(value - largest).exp().0;
                *sum += *out;
            }
        }
        for range in run.channels() {
            for (out, sum) in out[range].iter_mut().zip(&sums) {
                *out /= sum;
            }
        }
    }
}

#[inline(always)]
fn softmax_c_backward(shape: Shape, read: Read<'_>, to: &mut [f32]) {
    let Read { value, adjoint, .. } = read;
    for run in runs(shape) {
        let mut dots = [0.0; POSITIONS];
        for range in run.channels() {
            let products = value[range.clone()].iter().zip(&adjoint[range]);
            for (dot, (value, adjoint)) in dots.iter_mut().zip(products) {
                *dot += value * adjoint;
            }
        }
        for range in run.channels() {
            let parts = value[range.clone()]
                .iter()
                .zip(&adjoint[range.clone()])
                .zip(&dots);
            for (t, ((value, adjoint), dot)) in to[range].iter_mut().zip(parts) {
                *t += value * (adjoint - dot);
            }
        }
    }
}

/// The greater of two numbers; NaN if either is NaN, so that nothing invalid is hidden.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The pooled value of two numbers.
#[inline(always)]
fn pooled<const MIN: bool>(a: f32, b: f32) -> f32 {
    if MIN { -greater(-a, -b) } else { greater(a, b) }
}

/// 3×3 pooling: first over three rows, then over three columns.
#[inline(always)]
fn pool<const MIN: bool>(shape: Shape, x: &[f32], out: &mut [f32]) {
    let (h, w) = (shape.h, shape.w);
    let mut column = vec![0.0; w];
    for (x, out) in x.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
        for (row, out) in out.chunks_exact_mut(w).enumerate() {
            column.copy_from_slice(&x[row * w..][..w]);
            for neighbour in [row.checked_sub(1), (row + 1 < h).then_some(row + 1)] {
                let Some(r) = neighbour else { continue };
                for (value, other) in column.iter_mut().zip(&x[r * w..][..w]) {
                    *value = pooled::<MIN>(*value, *other);
                }
            }
            out.copy_from_slice(&column);
            for (value, left) in out[1..].iter_mut().zip(&column) {
                *value = pooled::<MIN>(*left, *value);
            }
            for (value, right) in out.iter_mut().zip(&column[1..]) {
                *value = pooled::<MIN>(*value, *right);
            }
        }
    }
}

/// Each result's adjoint goes to the first of its neighbours, in row order, that equals it.
#[inline(always)]
fn pool_backward(shape: Shape, read: Read<'_>, to: &mut [f32]) {
    let Read { x, value, adjoint } = read;
    let (h, w) = (shape.h, shape.w);
    // What is still to be given away of the row's adjoints.
    let mut rest = vec![0.0; w];
    for start in (0..x.len()).step_by(h * w) {
        for row in 0..h {
            let here = start + row * w;
            rest.copy_from_slice(&adjoint[here..here + w]);
            for neighbour in row.saturating_sub(1)..(row + 2).min(h) {
                let there = start + neighbour * w;
                let (x, to) = (&x[there..there + w], &mut to[there..there + w]);
                let value = &value[here..here + w];
                give(&mut rest[1..], &value[1..], x, to);
                give(&mut rest, value, x, to);
                give(&mut rest, value, &x[1..], &mut to[1..]);
            }
        }
    }
}

/// Gives the rest away where the neighbour's value is the result.
#[inline(always)]
fn give(rest: &mut [f32], value: &[f32], x: &[f32], to: &mut [f32]) {
    for (((rest, value), x), to) in rest.iter_mut().zip(value).zip(x).zip(to) {
        let hit = value == x;
        *to += if hit { *rest } else { 0.0 };
        *rest = if hit { 0.0 } else { *rest };
    }
}
