//! Diagrams as SVG. Colours are classes of one style sheet, so that they follow its light and dark
//! variants.

mod axis;
mod bars;
mod text;

use std::fmt::Write;

pub use bars::{bars, strips};
pub use text::{escape, short};

use axis::Axis;

/// Width and height of a diagram, and the margins left and below for the axes.
const SIZE: [f64; 2] = [560.0, 260.0];
const LEFT: f64 = 58.0;
const BELOW: f64 = 42.0;
const MARGIN: f64 = 12.0;

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
    /// Text that a pointer over each dot shows; may be empty.
    pub titles: Vec<String>,
}

impl Series {
    /// A line.
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

    /// The series, drawn in another way.
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
    pub fn svg(&self) -> String {
        format!("<figure>{}{}</figure>", self.drawing(), self.legend())
    }

    /// The diagram as a file of its own, its legend within.
    #[must_use]
    pub fn file(&self) -> String {
        let [width, height] = SIZE;
        let drawing = self.drawing();
        let inner = drawing.split_once('>').map_or("", |(_, inner)| inner);
        let mut legend = String::new();
        for (k, series) in self.series.iter().enumerate() {
            let y = height + 18.0 * (k as f64 + 1.0);
            let _ = write!(
                legend,
                "<path class=\"s{}\" d=\"M{LEFT} {:.1}h18\"/><text class=\"label\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                series.colour,
                y - 4.0,
                LEFT + 26.0,
                escape(&series.name)
            );
        }
        let whole = height + 18.0 * self.series.len() as f64 + 10.0;
        // The legend stands outside the drawing's own end tag.
        let inner = inner.trim_end_matches("</svg>");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {whole}\" role=\"img\">\
             <title>{}</title><style>{STYLE}</style>\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--ground)\"/>{inner}{legend}</svg>\n",
            escape(&self.title)
        )
    }

    fn drawing(&self) -> String {
        let [width, height] = SIZE;
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x = Axis::over(points().map(|p| p.0), [LEFT, width - MARGIN]);
        let y = Axis::over(points().map(|p| p.1), [height - BELOW, MARGIN]);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escape(&self.title)
        );
        for tick in y.ticks() {
            let at = y.at(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"tick\" \
                 text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                width - MARGIN,
                LEFT - 6.0,
                at + 4.0,
                short(tick)
            );
        }
        for tick in x.ticks() {
            let _ = write!(
                svg,
                "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.at(tick),
                height - BELOW + 16.0,
                short(tick)
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {MARGIN}V{0:.1}H{1:.1}\"/>\
             <text class=\"label\" text-anchor=\"middle\" x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>\
             <text class=\"label\" text-anchor=\"middle\" transform=\"translate(13 {5:.1}) rotate(-90)\">{6}</text>",
            height - BELOW,
            width - MARGIN,
            f64::midpoint(LEFT, width - MARGIN),
            height - 6.0,
            escape(&self.x),
            f64::midpoint(MARGIN, height - BELOW),
            escape(&self.y)
        );
        for series in &self.series {
            draw(&mut svg, series, &x, &y);
        }
        svg.push_str("</svg>");
        svg
    }

    fn legend(&self) -> String {
        let entry = |s: &Series| {
            let class = if s.mark == Mark::Dashed {
                " dashed"
            } else {
                ""
            };
            format!(
                "<span><i class=\"key{class} b{}\"></i>{}</span>",
                s.colour,
                escape(&s.name)
            )
        };
        let entries: Vec<String> = self.series.iter().map(entry).collect();
        format!(
            "<figcaption>{}<br>{}</figcaption>",
            escape(&self.title),
            entries.join(" ")
        )
    }
}

fn draw(svg: &mut String, series: &Series, x: &Axis, y: &Axis) {
    let at = |p: &(f64, f64)| (x.at(p.0), y.at(p.1));
    let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    let colour = series.colour;
    match series.mark {
        Mark::Dots => {
            for (i, point) in series.points.iter().enumerate().filter(|(_, p)| finite(p)) {
                let (px, py) = at(point);
                let title = series.titles.get(i).map_or_else(String::new, |title| {
                    format!("<title>{}</title>", escape(title))
                });
                let _ = write!(
                    svg,
                    "<circle class=\"f{colour}\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\">{title}</circle>"
                );
            }
        }
        Mark::Line | Mark::Dashed => {
            let class = if series.mark == Mark::Dashed {
                " dashed"
            } else {
                ""
            };
            let mut path = String::new();
            let mut pen = 'M';
            for point in &series.points {
                if !finite(&point) {
                    pen = 'M';
                    continue;
                }
                let (px, py) = at(point);
                let _ = write!(path, "{pen}{px:.1} {py:.1}");
                pen = 'L';
            }
            let _ = write!(svg, "<path class=\"s{colour}{class}\" d=\"{path}\"/>");
        }
        Mark::Band => {
            let corners: Vec<String> = series
                .points
                .iter()
                .filter(finite)
                .map(|p| format!("{:.1},{:.1}", at(p).0, at(p).1))
                .collect();
            let _ = write!(
                svg,
                "<polygon class=\"f{colour} band\" points=\"{}\"/>",
                corners.join(" ")
            );
        }
    }
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
        let svg = plot.svg();
        let path = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
        assert_eq!(path[..path.find('"').unwrap()].matches('M').count(), 2);
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"));
    }
}
