//! Diagrams as SVG. Colours are classes of one style sheet, so that they follow its light and dark
//! variants.

mod axis;
mod bars;
mod size;
mod text;

use maud::{Markup, PreEscaped, html};

pub use bars::{bars, strips};
pub(crate) use text::coordinate;
pub use text::short;

use axis::Axis;
use size::{BELOW, LEFT, MARGIN, SIZE};

/// The style sheet of pages and diagrams.
pub const STYLE: &str = include_str!("../style.css");

/// Mark of a series.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points.
    Line,
    /// A dashed line through the points.
    Dashed,
    /// A dot a point.
    Dots,
    /// The upper half of the points, then the lower half backwards, filled.
    Band,
}

/// Points that belong together.
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Number of the colour in the style sheet.
    pub colour: usize,
    /// Mark of its points.
    pub mark: Mark,
    /// The points; one that is not finite ends a line.
    pub points: Vec<(f64, f64)>,
    /// Text shown by a pointer over each dot; may be empty.
    pub titles: Vec<String>,
}

impl Series {
    /// A line in a colour of the style sheet.
    #[must_use]
    pub fn line(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.to_owned(),
            colour,
            mark: Mark::Line,
            points,
            titles: Vec::new(),
        }
    }

    /// The series with another mark.
    #[must_use]
    pub const fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }
}

/// A diagram of series over common axes.
pub struct Plot {
    /// Title, below the diagram.
    pub title: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis.
    pub y: String,
    /// The series, the first lowest.
    pub series: Vec<Series>,
}

impl Plot {
    /// The diagram with its legend, for a page.
    #[must_use]
    pub fn svg(&self) -> Markup {
        let [width, height] = SIZE;
        html! {
            figure {
                svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(self.title) { (self.drawing()) }
                (self.legend())
            }
        }
    }

    /// The diagram as a file of its own, its legend within.
    #[must_use]
    pub fn file(&self) -> String {
        let [width, height] = SIZE;
        let whole = height + 18.0 * self.series.len() as f64 + 10.0;
        let line = |k: usize| height + 18.0 * (k as f64 + 1.0);
        let svg = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (whole) } role="img" {
                title { (self.title) }
                style { (PreEscaped(STYLE)) }
                rect width="100%" height="100%" style="fill:var(--ground)" {}
                (self.drawing())
                @for (k, series) in self.series.iter().enumerate() {
                    path class={ "s" (series.colour) } d=(format!("M{LEFT} {:.1}h18", line(k) - 4.0)) {}
                    text.label x=(coordinate(LEFT + 26.0)) y=(coordinate(line(k))) { (series.name) }
                }
            }
        };
        svg.into_string() + "\n"
    }

    /// Axes and series.
    fn drawing(&self) -> Markup {
        let [width, height] = SIZE;
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x = Axis::over(points().map(|p| p.0), [LEFT, width - MARGIN]);
        let y = Axis::over(points().map(|p| p.1), [height - BELOW, MARGIN]);
        let (bottom, right) = (height - BELOW, width - MARGIN);
        let middle = f64::midpoint(MARGIN, bottom);
        html! {
            @for tick in y.ticks() {
                path.grid d=(format!("M{LEFT} {:.1}H{right:.1}", y.at(tick))) {}
                text.tick text-anchor="end" x=(coordinate(LEFT - 6.0)) y=(coordinate(y.at(tick) + 4.0)) {
                    (short(tick))
                }
            }
            @for tick in x.ticks() {
                text.tick text-anchor="middle" x=(coordinate(x.at(tick))) y=(coordinate(bottom + 16.0)) {
                    (short(tick))
                }
            }
            path.axis d=(format!("M{LEFT} {MARGIN}V{bottom:.1}H{right:.1}")) {}
            text.label text-anchor="middle" x=(coordinate(f64::midpoint(LEFT, right)))
                y=(coordinate(height - 6.0)) { (self.x) }
            text.label text-anchor="middle" transform=(format!("translate(13 {middle:.1}) rotate(-90)")) { (self.y) }
            @for series in &self.series {
                (drawn(series, &x, &y))
            }
        }
    }

    fn legend(&self) -> Markup {
        let class = |s: &Series| match s.mark {
            Mark::Dashed => format!("key dashed b{}", s.colour),
            _ => format!("key b{}", s.colour),
        };
        html! {
            figcaption {
                (self.title) br;
                @for (k, series) in self.series.iter().enumerate() {
                    @if k > 0 { " " }
                    span { i class=(class(series)) {} (series.name) }
                }
            }
        }
    }
}

/// The points of a series over its axes.
fn drawn(series: &Series, x: &Axis, y: &Axis) -> Markup {
    let at = |p: &(f64, f64)| (x.at(p.0), y.at(p.1));
    let colour = series.colour;
    match series.mark {
        Mark::Dots => {
            let points = series.points.iter().enumerate();
            let dots = points.filter(|(_, p)| is_finite(p));
            html! {
                @for (i, (px, py)) in dots.map(|(i, p)| (i, at(p))) {
                    circle class={ "f" (colour) } cx=(coordinate(px)) cy=(coordinate(py)) r="3" {
                        @if let Some(title) = series.titles.get(i) { title { (title) } }
                    }
                }
            }
        }
        Mark::Line => html! { path class={ "s" (colour) } d=(line(series, x, y)) {} },
        Mark::Dashed => html! { path class={ "s" (colour) " dashed" } d=(line(series, x, y)) {} },
        Mark::Band => {
            let corners: Vec<String> = series
                .points
                .iter()
                .filter(|p| is_finite(p))
                .map(|p| format!("{:.1},{:.1}", at(p).0, at(p).1))
                .collect();
            html! { polygon class={ "f" (colour) " band" } points=(corners.join(" ")) {} }
        }
    }
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

/// The path through the points of a series; one that is not finite ends a line.
fn line(series: &Series, x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for point in &series.points {
        if !is_finite(point) {
            pen = 'M';
            continue;
        }
        let (px, py) = (x.at(point.0), y.at(point.1));
        path.push_str(&format!("{pen}{px:.1} {py:.1}"));
        pen = 'L';
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_breaks_a_line() {
        let points = vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 2.0)];
        let plot = Plot {
            title: "a < b".to_owned(),
            x: String::new(),
            y: String::new(),
            series: vec![Series::line("line", 0, points)],
        };
        let svg = plot.svg().into_string();
        let path = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
        assert_eq!(path[..path.find('"').unwrap()].matches('M').count(), 2);
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"));
    }
}
