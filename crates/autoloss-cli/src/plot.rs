//! Diagrams as SVG. Colours are classes of one style sheet, so that they follow its light and dark
//! variants.

use std::fmt::Write;

/// Width and height of a diagram, and the margins left and below for the axes.
const SIZE: [f64; 2] = [560.0, 260.0];
const LEFT: f64 = 58.0;
const BELOW: f64 = 42.0;
const MARGIN: f64 = 12.0;

/// The style sheet of pages and diagrams.
pub(crate) const STYLE: &str = include_str!("style.css");

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Line,
    Dashed,
    Dots,
    /// The upper half of the points, then the lower half backwards, filled.
    Band,
}

/// Points that belong together.
pub(crate) struct Series {
    pub(crate) name: String,
    /// Number of the colour.
    pub(crate) colour: usize,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<(f64, f64)>,
    /// What a pointer over each dot tells; may be empty.
    pub(crate) titles: Vec<String>,
}

impl Series {
    pub(crate) fn line(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.to_owned(),
            colour,
            mark: Mark::Line,
            points,
            titles: Vec::new(),
        }
    }

    pub(crate) fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }
}

/// A diagram of series over common axes.
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) series: Vec<Series>,
}

/// One axis: what it shows, and where.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Over the values, with a little room; one that holds a single value gets some around it.
    fn over(values: impl Iterator<Item = f64>, [from, to]: [f64; 2]) -> Self {
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

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About five round numbers.
    fn ticks(&self) -> Vec<f64> {
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

impl Plot {
    /// The diagram with its legend, for a page.
    pub(crate) fn svg(&self) -> String {
        format!("<figure>{}{}</figure>", self.drawing(), self.legend())
    }

    /// The diagram as a file of its own, its legend within.
    pub(crate) fn file(&self) -> String {
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

/// A horizontal bar for each (name, number), the numbers beside them.
pub(crate) fn bars(title: &str, rows: &[(String, f64)]) -> String {
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
pub(crate) fn strips(title: &str, x: &str, rows: &[(String, Vec<f64>)]) -> String {
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

/// A number in a few characters.
pub(crate) fn short(value: f64) -> String {
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

/// Text for HTML and SVG, inside tags and attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
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
