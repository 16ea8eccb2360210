//! Fingerprints of the direction in which a loss pulls the stored predictions: equal for losses that pull the same way.
//!
//! The gradient equivalence of the paper compares norms, which cannot tell a loss from its negative
//! and depend on its scale. Optimising with Adam depends on the direction, sign included,
//! and not the scale. The direction is told by a few pseudo-random projections.

/// Projections compared.
const PROJECTIONS: usize = 4;

/// Elements summed up side by side.
const LANES: usize = 8;

/// Parts that a projection, relative to the norm, is rounded to.
const PARTS: f64 = 1e4;

/// Root mean squares of a gradient below this come near Adam's ε of 1e-8, and then its scale counts.
const SMALL: f64 = 1e-5;

/// A gradient's direction, rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    projections: [i32; PROJECTIONS],
    /// Logarithm of the norm, rounded, where the scale counts.
    scale: i32,
}

/// Sums over a gradient.
#[derive(Clone, Debug, Default)]
pub(super) struct Direction {
    squares: f64,
    projections: [f64; PROJECTIONS],
    count: usize,
}

impl Direction {
    /// Adds further elements.
    pub(super) fn add(&mut self, gradient: &[f32]) {
        let mut squares = [0.0_f64; LANES];
        let mut sums = [[0.0_f64; LANES]; PROJECTIONS];
        let mut one = |lane: usize, place: u32, g: f32| {
            squares[lane] += f64::from(g) * f64::from(g);
            let signs = mixed(place);
            for (k, sum) in sums.iter_mut().enumerate() {
                // A bit of the mixed place is the sign.
                let sign = (signs << k) & (1 << 31);
                sum[lane] += f64::from(f32::from_bits(g.to_bits() ^ sign));
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "any place will do")]
        let start = self.count as u32;
        let mut chunks = gradient.chunks_exact(LANES);
        let mut place = start;
        for chunk in &mut chunks {
            for (lane, (g, offset)) in chunk.iter().zip(0..).enumerate() {
                one(lane, place.wrapping_add(offset), *g);
            }
            place = place.wrapping_add(LANES as u32);
        }
        for (lane, (g, offset)) in chunks.remainder().iter().zip(0..).enumerate() {
            one(lane, place.wrapping_add(offset), *g);
        }
        self.squares += squares.iter().sum::<f64>();
        for (total, sum) in self.projections.iter_mut().zip(&sums) {
            *total += sum.iter().sum::<f64>();
        }
        self.count += gradient.len();
    }

    /// The Euclidean norm.
    pub(super) fn norm(&self) -> f64 {
        self.squares.sqrt()
    }

    /// The fingerprint; `None` of a gradient that is zero or not finite.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        let norm = self.norm();
        if norm == 0.0 || !norm.is_finite() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let rounded = |x: f64| x.round() as i32;
        let size = norm / (self.count as f64).sqrt();
        Some(Fingerprint {
            projections: self.projections.map(|sum| rounded(sum / norm * PARTS)),
            scale: match size < SMALL {
                true => rounded(norm.ln() * 100.0),
                false => 0,
            },
        })
    }
}

/// A place's bits, mixed.
#[inline(always)]
pub(super) fn mixed(place: u32) -> u32 {
    let x = place.wrapping_mul(0x9e37_79b1);
    let x = (x ^ (x >> 15)).wrapping_mul(0x85eb_ca6b);
    x ^ (x >> 13)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(gradient: &[f32]) -> Option<Fingerprint> {
        let mut direction = Direction::default();
        direction.add(gradient);
        direction.fingerprint()
    }

    fn example(change: impl Fn(usize, f32) -> f32) -> Vec<f32> {
        let wave = |i: usize| (i as f32 * 0.37).sin();
        (0..1003).map(|i| change(i, wave(i))).collect()
    }

    #[test]
    fn direction_counts_and_scale_does_not() {
        let plain = fingerprint(&example(|_, g| g)).unwrap();
        assert_eq!(Some(plain), fingerprint(&example(|_, g| 3.7 * g)));
        assert_eq!(Some(plain), fingerprint(&example(|_, g| g * (1.0 + 1e-7))));
        assert_ne!(Some(plain), fingerprint(&example(|_, g| -g)));
        assert_ne!(Some(plain), fingerprint(&example(|_, g| g + 0.01 * g * g)));
        let swapped = example(|i, g| if i == 3 { 0.0 } else { g });
        assert_ne!(Some(plain), fingerprint(&swapped));
    }

    #[test]
    fn the_scale_of_small_gradients_counts() {
        let small = |factor: f32| fingerprint(&example(|_, g| factor * g)).unwrap();
        assert_ne!(small(1e-7), small(2e-7));
        assert_eq!(small(1e-7), small(1.0001e-7));
    }

    #[test]
    fn parts_make_a_whole() {
        let gradient = example(|_, g| g);
        let mut direction = Direction::default();
        direction.add(&gradient[..501]);
        direction.add(&gradient[501..]);
        assert_eq!(direction.fingerprint(), fingerprint(&gradient));
        let norm = gradient
            .iter()
            .map(|g| f64::from(g * g))
            .sum::<f64>()
            .sqrt();
        assert!((direction.norm() - norm).abs() < 1e-5);
    }

    #[test]
    fn nothing_and_not_numbers_have_none() {
        assert_eq!(fingerprint(&[0.0; 5]), None);
        assert_eq!(fingerprint(&[1.0, f32::NAN]), None);
        assert_eq!(fingerprint(&[f32::INFINITY]), None);
    }
}
