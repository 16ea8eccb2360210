//! Updates of the optimiser, and their outlook.

use super::lane::mul_add;
use super::level::{Level, for_each_level};
use super::rows::{Rows, View, ViewMut};

for_each_level! {
    /// One Adam update of `x`.
    fn adam[adam_avx2, adam_avx512, adam_body](update: AdamUpdate, rows: Rows, gradient: View<'_>, m: ViewMut<'_>, v: ViewMut<'_>, x: ViewMut<'_>)
}

for_each_level! {
    /// The outlook of `x`, by its gradient and the first moment before the update.
    fn outlook[outlook_avx2, outlook_avx512, outlook_body](update: AdamUpdate, rows: Rows, gradient: View<'_>, m: View<'_>, x: View<'_>) -> Outlook
}

/// The constants of one Adam update (Kingma and Ba 2015, as PyTorch computes it) for a gradient that
/// is `factor` times the one that the kernel reads. Moments are kept without the factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamUpdate {
    /// β and 1 − β of the first moment.
    pub(crate) first: [f32; 2],
    /// β and 1 − β of the second moment.
    pub(crate) second: [f32; 2],
    /// ε / |factor|.
    pub(crate) epsilon: f32,
    /// Least and greatest value.
    pub(crate) bounds: (f32, f32),
    /// Step size / (1 − β₁ᵗ), with the factor's sign.
    pub(crate) rate: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub(crate) scale: f32,
}

/// Forecast of the next updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Every gradient so far was finite. One that was not stays in the moment for good.
    pub(crate) finite: bool,
    /// No element moves any more as long as no other does: gradient and moment push each beyond a
    /// bound that it is at, or push it nowhere.
    pub(crate) settled: bool,
}

#[inline(always)]
fn adam_body<const FMA: bool>(
    update: AdamUpdate,
    rows: Rows,
    gradient: View<'_>,
    mut m: ViewMut<'_>,
    mut v: ViewMut<'_>,
    mut x: ViewMut<'_>,
) {
    let rows = match gradient.stride == rows.length {
        true => rows.joined([m.stride, v.stride, x.stride]),
        false => rows,
    };
    for r in 0..rows.count {
        let fields = (m.row(r, rows), v.row(r, rows), x.row(r, rows));
        adam_row::<FMA>(update, gradient.row(r, rows), fields);
    }
}

#[inline(always)]
fn adam_row<const FMA: bool>(
    update: AdamUpdate,
    gradient: &[f32],
    (m, v, x): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let AdamUpdate {
        first,
        second,
        epsilon,
        bounds: (low, high),
        rate,
        scale,
    } = update;
    let n = x.len();
    let (gradient, m, v) = (&gradient[..n], &mut m[..n], &mut v[..n]);
    for i in 0..n {
        let g = gradient[i];
        let mean = mul_add::<FMA>(m[i], first[0], g * first[1]);
        let square = mul_add::<FMA>(v[i], second[0], g * g * second[1]);
        let step = rate * mean / mul_add::<FMA>(square.sqrt(), scale, epsilon);
        let moved = x[i] - step;
        // Comparisons rather than min and max: NaN has to come through.
        let moved = if moved < low { low } else { moved };
        let moved = if moved > high { high } else { moved };
        m[i] = mean;
        v[i] = square;
        x[i] = moved;
    }
}

#[inline(always)]
fn outlook_body<const FMA: bool>(
    update: AdamUpdate,
    rows: Rows,
    gradient: View<'_>,
    m: View<'_>,
    x: View<'_>,
) -> Outlook {
    let (low, high) = update.bounds;
    let sign = update.rate.signum();
    let mut outlook = Outlook {
        finite: true,
        settled: true,
    };
    for r in 0..rows.count {
        let n = rows.length;
        let (g, m, x) = (gradient.row(r, rows), m.row(r, rows), x.row(r, rows));
        let (mut free, mut wild) = (false, false);
        for i in 0..n {
            let (push, drift) = (sign * g[i], sign * m[i]);
            let at_low = (x[i] == low) & (push >= 0.0) & (drift >= 0.0);
            let at_high = (x[i] == high) & (push <= 0.0) & (drift <= 0.0);
            let still = (push == 0.0) & (drift == 0.0);
            free |= !(at_low | at_high | still);
            wild |= !(g[i].abs() + m[i].abs()).is_finite();
        }
        outlook.settled &= !free;
        outlook.finite &= !wild;
    }
    outlook
}
