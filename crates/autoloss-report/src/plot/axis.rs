//! Axes and their ticks.

/// An axis: its range of values, and its place in the diagram.
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Over the values, with a little room; one that holds a single value gets some around it.
    pub(super) fn over(values: impl Iterator<Item = f64>, [from, to]: [f64; 2]) -> Self {
        let finite = values.filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
        let (low, high) = match low < high {
            true => (low, high),
            false if low.is_finite() => (low - 0.5, low + 0.5),
            false => (0.0, 1.0),
        };
        Self {
            low,
            high,
            from,
            to,
        }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About five round numbers.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
        let step = step.into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let mut ticks = Vec::new();
        let mut tick = (self.low / step).ceil() * step;
        while tick <= self.high + step * 1e-9 && ticks.len() < 20 {
            ticks.push(if tick.abs() < step * 1e-9 { 0.0 } else { tick });
            tick += step;
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::short;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::over([0.013, 0.47].into_iter(), [0.0, 1.0]);
        assert_eq!(
            axis.ticks().iter().map(|t| short(*t)).collect::<Vec<_>>(),
            ["0.1", "0.2", "0.3", "0.4"]
        );
        let single = Axis::over([3.0].into_iter(), [0.0, 1.0]);
        assert!(single.at(3.0) == 0.5 && !single.ticks().is_empty());
    }
}
