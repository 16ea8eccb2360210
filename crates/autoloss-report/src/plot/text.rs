//! Numbers in diagrams and pages.

/// A number in a few characters.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || ((1e-3..1e6).contains(&size)) {
        let decimals = if size >= 100.0 || value.fract() == 0.0 {
            0
        } else if size >= 1.0 {
            2
        } else {
            4
        };
        let text = format!("{value:.decimals$}");
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
    }
    format!("{value:.1e}")
}

/// A coordinate with one decimal.
pub(crate) fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (1234.0, "1234"),
            (1.5, "1.5"),
            (2.3e-7, "2.3e-7"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
