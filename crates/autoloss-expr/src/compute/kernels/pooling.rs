//! 3×3 pooling and its gradient.

use super::level::{Level, for_each_level};

for_each_level! {
    /// 3×3 maximum or minimum on planes of `height` rows of `width`, and the places where each was
    /// found. Values are not kept where `out` is empty.
    fn pool[pool_avx2, pool_avx512, pool_body](
        min: bool, plane: Plane, x: &[f32], out: &mut [f32], winners: &mut Winners,
    )
}

for_each_level! {
    /// The adjoint of a pooling's operand: each result's adjoint goes to the first of its
    /// neighbours, in row order, that equals it. A uniform adjoint is one number a plane.
    fn pool_gradient[pool_gradient_avx2, pool_gradient_avx512, pool_gradient_body](
        plane: Plane, winners: &mut Winners, uniform: bool, adjoint: &[f32], out: &mut [f32],
    )
}

/// Extents of a plane of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Neighbours that the pooled values come from, in two steps: the best of each column of three, then
/// the best of three columns.
#[derive(Debug, Default)]
pub(crate) struct Winners {
    /// At each pixel, the row of the best of three pixels above each other: 0, 1 or 2.
    rows: Vec<u8>,
    /// At each pixel, the column of the best of three neighbouring such columns.
    columns: Vec<u8>,
    /// A row of bests, or of adjoints on their way, with a frame of one element.
    framed: Vec<f32>,
    /// The rows or columns of the elements of `framed`.
    framed_places: Vec<i32>,
    /// One row of `columns`.
    row_of_columns: Vec<i32>,
    /// A row of results that are not kept.
    results: Vec<f32>,
    /// Adjoints on their way, with a frame of one row.
    arrived: Vec<f32>,
}

/// Whether `b` takes the place of `a`, which comes first: because `b` is better, or not a number.
#[inline(always)]
fn beats<const MIN: bool>(b: f32, a: f32) -> bool {
    (if MIN { b < a } else { b > a }) | (b.is_nan() & !a.is_nan())
}

#[inline(always)]
fn pool_body<const FMA: bool>(
    min: bool,
    plane: Plane,
    x: &[f32],
    out: &mut [f32],
    winners: &mut Winners,
) {
    match min {
        true => pool_planes::<true>(plane, x, out, winners),
        false => pool_planes::<false>(plane, x, out, winners),
    }
}

#[inline(always)]
fn pool_planes<const MIN: bool>(plane: Plane, x: &[f32], out: &mut [f32], winners: &mut Winners) {
    let Plane { height, width } = plane;
    winners.rows.resize(x.len(), 0);
    winners.columns.resize(x.len(), 0);
    // The frame loses against everything.
    let worst = if MIN {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    };
    let Winners {
        framed: best,
        framed_places: rows,
        results,
        row_of_columns: columns,
        ..
    } = winners;
    results.resize(width, 0.0);
    columns.resize(width, 0);
    best.clear();
    best.resize(width + 2, worst);
    rows.clear();
    rows.resize(width + 2, i32::MAX);
    for start in (0..x.len()).step_by(width) {
        let row = start / width % height;
        let here = start..start + width;
        let middle = &x[here.clone()];
        // An edge row stands in for the missing one, and must not win by being first.
        let first = i32::from(row == 0);
        let above = if row > 0 {
            &x[start - width..start]
        } else {
            middle
        };
        let below = match row + 1 < height {
            true => &x[start + width..start + 2 * width],
            false => middle,
        };
        let (best_here, rows_here) = (&mut best[1..=width], &mut rows[1..=width]);
        for i in 0..width {
            let later = beats::<MIN>(middle[i], above[i]);
            let value = if later { middle[i] } else { above[i] };
            let found = if later { 1 } else { first };
            let later = beats::<MIN>(below[i], value);
            best_here[i] = if later { below[i] } else { value };
            rows_here[i] = if later { 2 } else { found };
        }
        narrow(rows_here, &mut winners.rows[here.clone()]);
        let found_here = &mut winners.columns[here.clone()];
        // An empty `out` asks for the places alone.
        let out = match out.is_empty() {
            true => &mut results[..],
            false => &mut out[here],
        };
        let bests = [0, 1, 2].map(|k| &best[k..k + width]);
        let places = [0, 1, 2].map(|k| &rows[k..k + width]);
        let (out, columns) = (&mut out[..width], &mut columns[..width]);
        for i in 0..width {
            // Of equal elements the one in the higher row comes first, then the one further left.
            let later = follows::<MIN>((bests[1][i], places[1][i]), (bests[0][i], places[0][i]));
            let value = if later { bests[1][i] } else { bests[0][i] };
            let place = if later { places[1][i] } else { places[0][i] };
            let found = i32::from(later);
            let later = follows::<MIN>((bests[2][i], places[2][i]), (value, place));
            out[i] = if later { bests[2][i] } else { value };
            columns[i] = if later { 2 } else { found };
        }
        narrow(columns, found_here);
    }
}

/// Copies the numbers 0, 1 and 2 to a byte each.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "they fit"
)]
fn narrow(from: &[i32], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from as u8;
    }
}

/// Whether the best of a column takes the place of the best of a column to its left.
#[inline(always)]
fn follows<const MIN: bool>((b, row): (f32, i32), (a, row_of_a): (f32, i32)) -> bool {
    let equal = (b == a) | (b.is_nan() & a.is_nan());
    beats::<MIN>(b, a) | (equal & (row < row_of_a))
}

#[inline(always)]
fn pool_gradient_body<const FMA: bool>(
    plane: Plane,
    winners: &mut Winners,
    uniform: bool,
    adjoint: &[f32],
    out: &mut [f32],
) {
    let Plane { height, width } = plane;
    let Winners {
        framed: sent,
        framed_places: columns,
        arrived,
        ..
    } = winners;
    sent.clear();
    sent.resize(width + 2, 0.0);
    columns.clear();
    columns.resize(width + 2, -1);
    arrived.clear();
    arrived.resize((height + 2) * width, 0.0);
    for start in (0..out.len()).step_by(height * width) {
        for row in 0..height {
            let here = start + row * width..start + (row + 1) * width;
            match uniform {
                true => sent[1..=width].fill(adjoint[start / (height * width)]),
                false => sent[1..=width].copy_from_slice(&adjoint[here.clone()]),
            }
            for (place, column) in columns[1..=width].iter_mut().zip(&winners.columns[here]) {
                *place = i32::from(*column);
            }
            let to = &mut arrived[(row + 1) * width..(row + 2) * width];
            let values = [0, 1, 2].map(|k| &sent[k..k + width]);
            let places = [0, 1, 2].map(|k| &columns[k..k + width]);
            for i in 0..width {
                // The winner of the left neighbour, if it is on its right, is this column.
                let left = if places[0][i] == 2 { values[0][i] } else { 0.0 };
                let own = if places[1][i] == 1 { values[1][i] } else { 0.0 };
                let right = if places[2][i] == 0 { values[2][i] } else { 0.0 };
                to[i] = left + own + right;
            }
        }
        for row in 0..height {
            let rows = |r: usize| &winners.rows[start + r * width..][..width];
            // Nothing arrived beyond the edge, whatever the row that stands in for it says.
            let places = [row.saturating_sub(1), row, (row + 1).min(height - 1)].map(rows);
            let values = [0, 1, 2].map(|k| &arrived[(row + k) * width..][..width]);
            let out = &mut out[start + row * width..][..width];
            for i in 0..width {
                let above = if places[0][i] == 2 { values[0][i] } else { 0.0 };
                let own = if places[1][i] == 1 { values[1][i] } else { 0.0 };
                let below = if places[2][i] == 0 { values[2][i] } else { 0.0 };
                out[i] = above + own + below;
            }
        }
    }
}
