//! Durations as flags give them and as messages tell them.

use std::time::Duration;

/// Reads a duration such as `90s`, `3m`, `1h30m`; a number without a unit is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = if text.ends_with(|c: char| c.is_ascii_digit()) {
        "s"
    } else {
        ""
    };
    let duration = humantime::parse_duration(&format!("{text}{seconds}")).ok();
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("expected a time such as 90s, 3m or 1h30m, found `{text}`"))
}

/// Minutes and seconds, such as `9:30`.
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let seconds = |text: &str| duration(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("3m"), Ok(180.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("1h30"), Ok(3630.0));
        assert_eq!(seconds("48h"), Ok(172_800.0));
        assert_eq!(seconds("0.5h"), Ok(1800.0));
        assert_eq!(seconds("1.5"), Ok(1.5));
        for wrong in ["", "m", "3x", "-3m", "0", "0s", "1e400h", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
