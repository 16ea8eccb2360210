//! The final comparison: its conclusion, scores, curves and pictures.

use std::fmt::Write;

use autoloss_search::{Comparison, EvaluationSet, Schedule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Run;
use crate::plot::{Plot, Series, escape, short, strips};

/// Colours of the style sheet.
const COLOURS: usize = 6;

/// The final comparison: every training a dot, and the table.
pub(super) fn comparison(run: &Run) -> String {
    if run.comparisons.is_empty() {
        return "<p>There is no final comparison yet: the best of many scores of one seed, on the proxy, flatters \
                the loss that has it.</p>"
            .to_owned();
    }
    let mut rows = String::new();
    for c in &run.comparisons {
        let _ = write!(
            rows,
            "<tr><td>{}</td><td class=\"number\">{} ± {}</td><td class=\"number\">{}</td><td><code>{}</code></td></tr>",
            escape(&c.name),
            c.mean.map_or_else(|| "failed".to_owned(), short),
            c.std.map_or_else(|| "-".to_owned(), short),
            c.trainings.len(),
            escape(&c.formula)
        );
    }
    let strip = |c: &Comparison| {
        let scores = c.trainings.iter().map(|t| t.score);
        (c.name.clone(), scores.collect())
    };
    let each: Vec<(String, Vec<f64>)> = run.comparisons.iter().map(strip).collect();
    let validated = run.info.metric_on(EvaluationSet::Validation);
    format!(
        "{}<p>{} of each loss, with seeds that the search did not use: {}.</p>\
         <div class=\"pairs\"><div>{}</div></div><table><tr><th>loss</th><th class=\"number\">{} mean ± std</th>\
         <th class=\"number\">seeds</th><th>formula</th></tr>{rows}</table>",
        conclusion(run),
        match run.info.compared_by {
            Schedule::Proxy => "The proxy training",
            Schedule::Full => "Full training",
        },
        escape(&validated),
        strips("every training, and the mean", &validated, &each),
        escape(&run.info.metric)
    )
}

/// The result in one sentence, and the loss that is recommended.
fn conclusion(run: &Run) -> String {
    let Some(conclusion) = &run.conclusion else {
        return String::new();
    };
    let (name, formula) = conclusion.recommended();
    format!(
        "<p><b>{}.</b></p><p>Recommended: {} <code>{}</code></p>",
        escape(&conclusion.to_string()),
        escape(name),
        escape(formula)
    )
}

/// Loss values in training: losses have no common unit, so each from its highest to its lowest.
pub(super) fn trainings(run: &Run) -> String {
    let series = run.comparisons.iter().enumerate().filter_map(|(k, c)| {
        let curve = &c.trainings.first()?.curve;
        let finite = || curve.iter().map(|p| p.1).filter(|v| v.is_finite());
        let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        let points = curve
            .iter()
            .map(|(update, v)| (*update as f64, (v - low) / (high - low).max(1e-300)));
        Some(Series::line(&c.name, k % COLOURS, points.collect()))
    });
    let series: Vec<Series> = series.collect();
    if series.is_empty() {
        return String::new();
    }
    let plot = Plot {
        title: "loss value, as a share of its own range".to_owned(),
        x: "update".to_owned(),
        y: "share of the range".to_owned(),
        series,
    };
    format!("<div class=\"pairs\">{}</div>", plot.svg())
}

/// Validation images with target and prediction, a column a loss.
pub(super) fn predictions(run: &Run) -> String {
    let column = |(name, shown): &(String, Vec<Vec<u8>>)| {
        let image = |png: &Vec<u8>| {
            let data = BASE64.encode(png);
            format!(
                "<p><img alt=\"image, target and prediction with {}\" src=\"data:image/png;base64,{data}\"></p>",
                escape(name)
            )
        };
        let images: String = shown.iter().map(image).collect();
        format!("<div><h3>{}</h3>{images}</div>", escape(name))
    };
    if run.pictures.is_empty() {
        return String::new();
    }
    let columns: String = run.pictures.iter().map(column).collect();
    format!(
        "<p class=\"faint\">Each: the image, the target, the prediction after the comparison's first \
         training.</p><div class=\"pairs shown\">{columns}</div>"
    )
}
