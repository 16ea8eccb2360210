//! Losses weighted by the distance of a pixel to the target's edges.

use super::fields::{NativeAt, NativeFields};
use crate::operator::EPSILON;

/// Cross entropy, each pixel weighted by 1 + (D − d) / D: d is its Euclidean distance to the nearest
/// pixel of another class, D the largest such distance of its class in the image. A class that fills
/// an image has the weight 1.
pub(super) fn penalised_cross_entropy(fields: &NativeFields<'_>, _: &[f64]) -> NativeAt {
    let mut at = NativeAt::zero(fields.shape.len());
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 positions")]
    let share = 1.0 / fields.shape.positions() as f64;
    for_planes(fields, |first, inside| {
        let outwards = distances(inside.len(), fields.shape.w, |i| !inside[i]);
        let depth = |i: usize| outwards.as_ref().map_or(1.0, |d| d[i]);
        let places = (0..inside.len()).filter(|i| inside[*i]);
        let deepest = places.clone().map(depth).fold(0.0, f64::max);
        for i in places {
            let weight = 2.0 - depth(i) / deepest;
            let yhat = fields.yhat[first + i];
            // As the language's log: sign(x) ln(|x| + ε).
            at.loss_value -=
                share * weight * crate::arithmetic::sign(yhat) * (yhat.abs() + EPSILON).ln();
            at.gradient[first + i] =
                -share * weight * crate::arithmetic::sign(yhat).powi(2) / (yhat.abs() + EPSILON);
        }
    });
    at
}

/// Generalised Dice, mean over the samples, plus the boundary term times the weight.
pub(super) fn boundary(fields: &NativeFields<'_>, parameters: &[f64]) -> NativeAt {
    let mut at = generalised_dice(fields);
    let counted = fields.counted();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 positions")]
    let share = parameters[0] / fields.shape.positions() as f64;
    for_planes(fields, |first, inside| {
        let Some(towards) = distances(inside.len(), fields.shape.w, |i| inside[i]) else {
            return;
        };
        let outwards = distances(inside.len(), fields.shape.w, |i| !inside[i]);
        for i in (0..inside.len()).filter(|i| counted[first + i]) {
            // Negative inside; 0 at the object's own edge.
            let inwards = outwards.as_ref().map_or(1.0, |d| d[i]);
            let signed = if inside[i] { 1.0 - inwards } else { towards[i] };
            at.loss_value += share * signed * fields.yhat[first + i];
            at.gradient[first + i] += share * signed;
        }
    });
    at
}

/// Generalised Dice (Sudre et al. 2017): classes weighted by the inverse square of their size in the
/// sample; those that do not occur are left out.
fn generalised_dice(fields: &NativeFields<'_>) -> NativeAt {
    let mut at = NativeAt::zero(fields.shape.len());
    let counted = fields.counted();
    let (shape, pixels) = (fields.shape, fields.pixels());
    #[expect(clippy::cast_precision_loss, reason = "samples are few")]
    let share = 1.0 / shape.n as f64;
    for n in 0..shape.n {
        let places = |c: usize| {
            let first = fields.plane(n, c);
            (first..first + pixels).filter(|i| counted[*i])
        };
        let sum = |c: usize, f: &dyn Fn(usize) -> f64| places(c).map(f).sum::<f64>();
        let weight = |c: usize| {
            let size = sum(c, &|i| fields.y[i]);
            if size > 0.0 { 1.0 / (size * size) } else { 0.0 }
        };
        let weights: Vec<f64> = (0..shape.c).map(weight).collect();
        let (mut common, mut both) = (0.0, EPSILON);
        for (c, weight) in weights.iter().enumerate() {
            common += weight * sum(c, &|i| fields.y[i] * fields.yhat[i]);
            both += weight * sum(c, &|i| fields.y[i] + fields.yhat[i]);
        }
        at.loss_value += share * (1.0 - 2.0 * common / both);
        for (c, weight) in weights.iter().enumerate() {
            for i in places(c) {
                let slope = (fields.y[i] * both - common) / (both * both);
                at.gradient[i] = -2.0 * share * weight * slope;
            }
        }
    }
    at
}

/// Calls `f` for each plane with pixels of its class: with the index of its first element, and whether
/// each pixel has the class.
fn for_planes(fields: &NativeFields<'_>, mut f: impl FnMut(usize, &[bool])) {
    let pixels = fields.pixels();
    for first in (0..fields.shape.len()).step_by(pixels) {
        let inside: Vec<bool> = (first..first + pixels).map(|i| fields.is(i)).collect();
        if inside.contains(&true) {
            f(first, &inside);
        }
    }
}

/// The Euclidean distance of each pixel to the nearest pixel for which `is` holds; `None` without any.
///
/// Squared distances along the columns, then along the rows the lower envelope of the parabolas that
/// they raise (Felzenszwalb and Huttenlocher 2012).
fn distances(pixels: usize, w: usize, is: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
    let mut squares: Vec<f64> = (0..pixels)
        .map(|i| if is(i) { 0.0 } else { f64::INFINITY })
        .collect();
    if squares.iter().all(|d| d.is_infinite()) {
        return None;
    }
    let h = pixels / w;
    for x in 0..w {
        let column: Vec<f64> = (0..h).map(|y| squares[y * w + x]).collect();
        for (y, d) in envelope(&column).into_iter().enumerate() {
            squares[y * w + x] = d;
        }
    }
    for row in squares.chunks_exact_mut(w) {
        row.copy_from_slice(&envelope(row));
    }
    Some(squares.into_iter().map(f64::sqrt).collect())
}

/// For each place q of a line, the least `(q − p)² + line[p]`.
#[expect(clippy::cast_precision_loss, reason = "pixels are few")]
fn envelope(line: &[f64]) -> Vec<f64> {
    // The parabolas of the envelope: the place of each, and the beginning of the part where it is the
    // lowest.
    let mut parts: Vec<(usize, f64)> = Vec::new();
    for (p, height) in line.iter().enumerate().filter(|(_, d)| d.is_finite()) {
        let from = loop {
            let Some(&(last, begins)) = parts.last() else {
                break f64::NEG_INFINITY;
            };
            let (a, b) = (p as f64, last as f64);
            let crossing = (height + a * a - line[last] - b * b) / (2.0 * (a - b));
            if crossing > begins {
                break crossing;
            }
            parts.pop();
        };
        parts.push((p, from));
    }
    let mut lowest = 0;
    let at = |q: usize| {
        while parts.get(lowest + 1).is_some_and(|next| next.1 < q as f64) {
            lowest += 1;
        }
        parts.get(lowest).map_or(f64::INFINITY, |(p, _)| {
            (q as f64 - *p as f64).powi(2) + line[*p]
        })
    };
    (0..line.len()).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_are_those_to_the_nearest(there in prop::collection::vec(any::<bool>(), 35)) {
            let found = distances(35, 7, |i| there[i]);
            let nearest = |i: usize| {
                let to = |j: usize| {
                    let (dy, dx) = ((i / 7).abs_diff(j / 7), (i % 7).abs_diff(j % 7));
                    ((dy * dy + dx * dx) as f64).sqrt()
                };
                (0..35).filter(|j| there[*j]).map(to).reduce(f64::min)
            };
            match found {
                None => prop_assert!(!there.contains(&true)),
                Some(found) => for (i, d) in found.iter().enumerate() {
                    prop_assert!((d - nearest(i).unwrap()).abs() < 1e-9);
                },
            }
        }
    }
}
