//! Sums, means and softmax over rows.

use super::lane::Lane;
use super::level::{Level, for_each_level};
use super::rows::{Rows, View, ViewMut};
use crate::arithmetic::Arithmetic;

for_each_level! {
    /// The mean over the rows, written as one row.
    fn mean_rows[mean_rows_avx2, mean_rows_avx512, mean_rows_body](rows: Rows, x: View<'_>, out: &mut [f32])
}

for_each_level! {
    /// Softmax over the rows, at each place of a row by itself.
    fn softmax[softmax_avx2, softmax_avx512, softmax_body](rows: Rows, x: View<'_>, out: ViewMut<'_>)
}

for_each_level! {
    /// Adds each row's sum to its total, in f64 beyond short runs. A total is not finite if any element
    /// is not.
    fn sums[sums_avx2, sums_avx512, sums_body](rows: Rows, x: View<'_>, totals: &mut [f64])
}

// Everything below is inlined, so that it is compiled for each instruction set.

/// Elements of a row that are handled together, so that their sums stay in registers.
const RUN: usize = 64;

#[inline(always)]
fn mean_rows_body<const FMA: bool>(rows: Rows, x: View<'_>, out: &mut [f32]) {
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    let share = 1.0 / rows.count as f32;
    for (start, out) in runs(rows.length).zip(out[..rows.length].chunks_mut(RUN)) {
        let mut sums = [0.0; RUN];
        for r in 0..rows.count {
            let row = &x.data[r * x.stride + start..][..out.len()];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = sum * share;
        }
    }
}

/// Beginnings of the runs of a row.
fn runs(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(RUN)
}

#[inline(always)]
fn softmax_body<const FMA: bool>(rows: Rows, x: View<'_>, out: ViewMut<'_>) {
    let ViewMut { data, stride } = out;
    for start in runs(rows.length) {
        let length = RUN.min(rows.length - start);
        let place = |r: usize, stride: usize| r * stride + start..r * stride + start + length;
        let mut largest = [f32::NEG_INFINITY; RUN];
        for r in 0..rows.count {
            for (largest, value) in largest.iter_mut().zip(&x.data[place(r, x.stride)]) {
                *largest = greater(*value, *largest);
            }
        }
        let mut sums = [0.0; RUN];
        for r in 0..rows.count {
            let values = x.data[place(r, x.stride)].iter().zip(&largest);
            let out = data[place(r, stride)].iter_mut().zip(&mut sums);
            for ((out, sum), (value, largest)) in out.zip(values) {
                *out = Lane::<FMA>(value - largest).exp().0;
                *sum += *out;
            }
        }
        for r in 0..rows.count {
            for (out, sum) in data[place(r, stride)].iter_mut().zip(&sums) {
                *out /= sum;
            }
        }
    }
}

/// The greater of two numbers; NaN if either is NaN, so that nothing invalid is hidden.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

#[inline(always)]
fn sums_body<const FMA: bool>(rows: Rows, x: View<'_>, totals: &mut [f64]) {
    for (r, total) in totals.iter_mut().enumerate().take(rows.count) {
        *total += sum(x.row(r, rows));
    }
}

#[inline(always)]
fn sum(x: &[f32]) -> f64 {
    let mut total = 0.0;
    for run in x.chunks(2048) {
        let mut lanes = [0.0_f32; 32];
        let mut blocks = run.chunks_exact(32);
        for block in &mut blocks {
            for (lane, value) in lanes.iter_mut().zip(block) {
                *lane += value;
            }
        }
        for (lane, value) in lanes.iter_mut().zip(blocks.remainder()) {
            *lane += value;
        }
        total += lanes.iter().map(|v| f64::from(*v)).sum::<f64>();
    }
    total
}
