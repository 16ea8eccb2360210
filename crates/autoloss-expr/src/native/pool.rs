//! The largest or smallest element around each pixel.

/// For each pixel of a plane, the index of the element that beats all others within the Chebyshev
/// distance; of equal elements the first along the rows.
pub(super) fn strongest(
    field: &[f64],
    [h, w]: [usize; 2],
    distance: usize,
    beats: impl Fn(f64, f64) -> bool,
) -> Vec<usize> {
    let along = |best: &[usize], length: usize, stride: usize| -> Vec<usize> {
        let at = |i: usize| {
            let place = i / stride % length;
            let first = place.saturating_sub(distance);
            let last = (place + distance).min(length - 1);
            let candidates = (first..=last).map(|p| best[i - place * stride + p * stride]);
            candidates
                .reduce(|a, b| if beats(field[b], field[a]) { b } else { a })
                .unwrap_or(i)
        };
        (0..best.len()).map(at).collect()
    };
    let own: Vec<usize> = (0..field.len()).collect();
    along(&along(&own, w, 1), h, w)
}
