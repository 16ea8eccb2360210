//! Diagrams of named rows: bars, and dots with their mean.

use maud::{Markup, html};

use super::axis::Axis;
use super::size::{BELOW, MARGIN, SIZE};
use super::text::{coordinate, short};

/// A horizontal bar for each (name, number), the numbers beside them.
#[must_use]
pub fn bars(title: &str, rows: &[(String, f64)]) -> Markup {
    const ROW: f64 = 20.0;
    const NAMES: f64 = 210.0;
    let width = SIZE[0];
    let height = ROW * rows.len() as f64 + 4.0;
    let most = rows.iter().map(|row| row.1).fold(1e-9, f64::max);
    let length = |number: f64| ((width - NAMES - 90.0) * number / most).max(0.5);
    let top = |k: usize| ROW * k as f64 + 2.0;
    html! {
        figure {
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(title) {
                @for (k, (name, number)) in rows.iter().enumerate() {
                    text.label text-anchor="end" x=(coordinate(NAMES - 8.0)) y=(coordinate(top(k) + 13.0)) { (name) }
                    rect.f0 x=(NAMES) y=(coordinate(top(k))) width=(coordinate(length(*number)))
                        height=(coordinate(ROW - 5.0)) {}
                    text.tick x=(coordinate(NAMES + length(*number) + 6.0)) y=(coordinate(top(k) + 13.0)) {
                        (short(*number))
                    }
                }
            }
            figcaption { (title) }
        }
    }
}

/// A row of dots for each (name, values), with a stroke at their mean.
#[must_use]
pub fn strips(title: &str, x: &str, rows: &[(String, Vec<f64>)]) -> Markup {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 150.0;
    let [width, _] = SIZE;
    let bottom = ROW * rows.len() as f64 + 4.0;
    let axis = Axis::over(
        rows.iter().flat_map(|row| row.1.iter().copied()),
        [NAMES + 8.0, width - MARGIN],
    );
    let view = format!("0 0 {width} {:.1}", bottom + BELOW);
    let middle = |k: usize| ROW * (k as f64 + 0.5) + 2.0;
    html! {
        figure {
            svg viewBox=(view) role="img" aria-label=(title) {
                @for tick in axis.ticks() {
                    path.grid d=(format!("M{:.1} 0V{bottom:.1}", axis.at(tick))) {}
                    text.tick text-anchor="middle" x=(coordinate(axis.at(tick))) y=(coordinate(bottom + 16.0)) {
                        (short(tick))
                    }
                }
                @for (k, (name, values)) in rows.iter().enumerate() {
                    text.label text-anchor="end" x=(NAMES) y=(coordinate(middle(k) + 4.0)) { (name) }
                    (dots(values, &axis, middle(k)))
                }
                text.label text-anchor="middle" x=(coordinate(f64::midpoint(NAMES, width)))
                    y=(coordinate(bottom + 34.0)) { (x) }
            }
            figcaption { (title) }
        }
    }
}

/// The dots of a row at a height, and the stroke at their mean.
fn dots(values: &[f64], axis: &Axis, middle: f64) -> Markup {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let mean = axis.at(finite.iter().sum::<f64>() / finite.len() as f64);
    html! {
        @for value in &finite {
            circle.f0 cx=(coordinate(axis.at(*value))) cy=(coordinate(middle)) r="3.5" { title { (short(*value)) } }
        }
        @if !finite.is_empty() {
            path.s1 d=(format!("M{mean:.1} {:.1}v16", middle - 8.0)) {}
        }
    }
}
