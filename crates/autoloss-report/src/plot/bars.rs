//! Diagrams of named rows: bars, and dots with their mean.

use std::fmt::Write;

use super::axis::Axis;
use super::{BELOW, MARGIN, SIZE, escape, short};

/// A horizontal bar for each (name, number), the numbers beside them.
#[must_use]
pub fn bars(title: &str, rows: &[(String, f64)]) -> String {
    const ROW: f64 = 20.0;
    const NAMES: f64 = 210.0;
    let width = SIZE[0];
    let height = ROW * rows.len() as f64 + 4.0;
    let most = rows.iter().map(|row| row.1).fold(1e-9, f64::max);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (k, (name, number)) in rows.iter().enumerate() {
        let top = ROW * k as f64 + 2.0;
        let length = (width - NAMES - 90.0) * number / most;
        let _ = write!(
            svg,
            "<text class=\"label\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"f0\" x=\"{NAMES}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAMES - 8.0,
            top + 13.0,
            escape(name),
            length.max(0.5),
            ROW - 5.0,
            NAMES + length.max(0.5) + 6.0,
            top + 13.0,
            short(*number)
        );
    }
    format!(
        "<figure>{svg}</svg><figcaption>{}</figcaption></figure>",
        escape(title)
    )
}

/// A row of dots for each (name, values), with a stroke at their mean.
#[must_use]
pub fn strips(title: &str, x: &str, rows: &[(String, Vec<f64>)]) -> String {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 150.0;
    let [width, _] = SIZE;
    let bottom = ROW * rows.len() as f64 + 4.0;
    let axis = Axis::over(
        rows.iter().flat_map(|row| row.1.iter().copied()),
        [NAMES + 8.0, width - MARGIN],
    );
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {:.1}\" role=\"img\" aria-label=\"{}\">",
        bottom + BELOW,
        escape(title)
    );
    for tick in axis.ticks() {
        let at = axis.at(tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} 0V{bottom:.1}\"/><text class=\"tick\" \
             text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 16.0,
            short(tick)
        );
    }
    for (k, (name, values)) in rows.iter().enumerate() {
        let middle = ROW * (k as f64 + 0.5) + 2.0;
        let _ = write!(
            svg,
            "<text class=\"label\" text-anchor=\"end\" x=\"{NAMES}\" y=\"{:.1}\">{}</text>",
            middle + 4.0,
            escape(name)
        );
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        for value in &finite {
            let _ = write!(
                svg,
                "<circle class=\"f0\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"3.5\"><title>{}</title></circle>",
                axis.at(*value),
                short(*value)
            );
        }
        if !finite.is_empty() {
            let mean = axis.at(finite.iter().sum::<f64>() / finite.len() as f64);
            let _ = write!(
                svg,
                "<path class=\"s1\" d=\"M{mean:.1} {:.1}v16\"/>",
                middle - 8.0
            );
        }
    }
    let _ = write!(
        svg,
        "<text class=\"label\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        f64::midpoint(NAMES, width),
        bottom + 34.0,
        escape(x)
    );
    format!(
        "<figure>{svg}</svg><figcaption>{}</figcaption></figure>",
        escape(title)
    )
}
