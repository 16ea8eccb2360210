//! The gradient-equivalence check: candidates whose gradients at the stored predictions have the
//! same norms, to two significant digits, count as the same loss.

use std::collections::HashSet;

/// Key that equivalent candidates share: each sample's gradient norm ‖∂L/∂ŷ_b‖₂, rounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// The key of some norms; `None` where there is none or one is not finite, as such a candidate
    /// resembles none.
    #[must_use]
    pub fn new(norms: &[f64]) -> Option<Self> {
        let finite = norms.iter().all(|norm| norm.is_finite());
        let rounded: Vec<String> = norms.iter().map(|norm| two_digits(*norm)).collect();
        (finite && !norms.is_empty()).then(|| Self(rounded.join(" ")))
    }
}

/// Losses of which no two are equivalent, by their gradient norms and by their canonical forms.
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    canonical: HashSet<String>,
    keys: HashSet<Key>,
}

impl Distinct {
    /// Enters a loss; whether it is equivalent to none before.
    pub(crate) fn is_new(&mut self, canonical: &str, norms: &[f64]) -> bool {
        let new = self.canonical.insert(canonical.to_owned());
        let unlike = Key::new(norms).is_none_or(|key| self.keys.insert(key));
        new && unlike
    }
}

/// A number to two significant digits, correctly rounded from its exact decimal value.
fn two_digits(x: f64) -> String {
    // −0 and 0 are the same norm.
    format!("{:.1e}", x + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_two_digits() {
        for (a, b) in [
            (0.0995001, 0.10),
            (0.0996, 0.1004),
            (9.96, 10.0),
            (999.0, 1000.0),
            (1.249, 1.151),
            (0.0, -0.0),
            (5e-324, 4.9e-324),
        ] {
            assert_eq!(two_digits(a), two_digits(b), "{a} {b}");
        }
        for (a, b) in [
            (0.0994, 0.10),
            (1.0, 1.06),
            (1.0, 10.0),
            (1.0, -1.0),
            (0.0, 5e-324),
            (1.24, 1.26),
            (1e-310, 2e-310),
        ] {
            assert_ne!(two_digits(a), two_digits(b), "{a} {b}");
        }
    }

    #[test]
    fn keys_keep_the_samples_apart() {
        assert_eq!(Key::new(&[1.0, 2.0]), Key::new(&[1.01, 1.99]));
        assert_ne!(Key::new(&[1.0, 2.0]), Key::new(&[2.0, 1.0]));
        assert_eq!(Key::new(&[1.0, f64::NAN]), None);
        assert_eq!(Key::new(&[f64::INFINITY]), None);
    }
}
