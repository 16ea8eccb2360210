//! Numbers that may be none, such as loss values, for which JSON has no word but `null`; and constants of formulas.

use serde::{Deserialize, Deserializer};

/// A constant with three significant digits: a formula is trained as it is printed.
pub(crate) fn three_digits(constant: f64) -> f64 {
    let text = format!("{constant:.2e}");
    text.parse().expect("a number that was printed")
}

/// Reads a number that is `null` where it is none.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads pairs whose number is `null` where it is none.
pub(crate) fn pairs<'de, K: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(K, f64)>, D::Error> {
    Ok(or_nan(Vec::deserialize(deserializer)?))
}

/// The pairs with numbers in all places.
pub(crate) fn or_nan<K>(pairs: Vec<(K, Option<f64>)>) -> Vec<(K, f64)> {
    let filled = pairs
        .into_iter()
        .map(|(key, x)| (key, x.unwrap_or(f64::NAN)));
    filled.collect()
}
