//! The curves of Auto Seg-Loss: growing maps of [0, 1] onto itself.

/// Number of parameters of a curve: two for each of three points.
pub const CURVE_PARAMETERS: usize = 6;

/// Distance that parameters keep from 0 and 1, which keeps the slopes finite.
const MARGIN: f64 = 1e-2;

/// Two quadratic Bézier segments from (0, 0) to (1, 1). Each of the three control points between is
/// given by the shares of the way from the point before to (1, 1), in x and in y, so that the curve
/// always grows. (The paper has the same curves with the points' places counted from the beginning
/// of their segment; ours.)
pub(super) struct Curve {
    points: [[f64; 2]; 5],
}

impl Curve {
    pub(super) fn new(parameters: &[f64]) -> Self {
        let mut points = [[0.0, 0.0], [0.0; 2], [0.0; 2], [0.0; 2], [1.0, 1.0]];
        for k in 0..3 {
            for axis in 0..2 {
                let share = parameters[2 * k + axis].clamp(MARGIN, 1.0 - MARGIN);
                let before: f64 = points[k][axis];
                points[k + 1][axis] = before + share * (1.0 - before);
            }
        }
        Self { points }
    }

    /// Value and slope at x, clamped to [0, 1].
    pub(super) fn at(&self, x: f64) -> (f64, f64) {
        if x.is_nan() {
            return (x, x);
        }
        let x = x.clamp(0.0, 1.0);
        let first = if x <= self.points[2][0] { 0 } else { 2 };
        let [p, q, r] = [0, 1, 2].map(|k| self.points[first + k]);
        // (1 − s)² p + 2 s (1 − s) q + s² r = x
        let (a, b) = (p[0] - 2.0 * q[0] + r[0], 2.0 * (q[0] - p[0]));
        let root = (b * b + 4.0 * a * (x - p[0])).max(0.0).sqrt();
        let s = (2.0 * (x - p[0]) / (b + root)).clamp(0.0, 1.0);
        let t = 1.0 - s;
        let value = t * t * p[1] + 2.0 * s * t * q[1] + s * s * r[1];
        let slope = |axis: usize| 2.0 * (t * (q[axis] - p[axis]) + s * (r[axis] - q[axis]));
        (value, slope(1) / slope(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_is_the_identity() {
        let curve = Curve::new(&[0.25, 0.25, 1.0 / 3.0, 1.0 / 3.0, 0.5, 0.5]);
        for k in 0..=20 {
            let x = f64::from(k) / 20.0;
            let (value, slope) = curve.at(x);
            assert!(
                (value - x).abs() < 1e-12 && (slope - 1.0).abs() < 1e-9,
                "{x}: {value} {slope}"
            );
        }
    }

    proptest! {
        #[test]
        fn curves_grow_from_0_to_1(theta in prop::collection::vec(0.0..=1.0_f64, 6), x in 0.0..0.99_f64) {
            let curve = Curve::new(&theta);
            prop_assert!(curve.at(0.0).0.abs() < 1e-6 && (curve.at(1.0).0 - 1.0).abs() < 1e-6);
            let (here, further) = (curve.at(x), curve.at(x + 0.01));
            prop_assert!(here.0 <= further.0 + 1e-9 && here.1 >= 0.0 && here.1.is_finite());
        }

        #[test]
        fn slopes_are_those_of_the_values(theta in prop::collection::vec(0.1..0.9_f64, 6), x in 0.05..0.95_f64) {
            let curve = Curve::new(&theta);
            let by_differences = (curve.at(x + 1e-7).0 - curve.at(x - 1e-7).0) / 2e-7;
            // Where the two segments meet the slope jumps.
            let meets = (curve.points[2][0] - x).abs() < 1e-6;
            let slope = curve.at(x).1;
            prop_assert!(meets || (slope - by_differences).abs() < 1e-4 * slope.max(1.0));
        }
    }
}
