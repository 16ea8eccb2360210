//! The final comparison: its conclusion, scores, curves and pictures.

use autoloss_search::{Comparison, EvaluationSet, Schedule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};

use super::run::Run;
use crate::plot::{Plot, Series, short, strips};

/// Colours of the style sheet.
const COLOURS: usize = 6;

/// The final comparison: every training a dot, and the table.
pub(super) fn comparison(run: &Run) -> Markup {
    if run.comparisons.is_empty() {
        return html! {
            p {
                "There is no final comparison yet: the best of many scores of one seed, on the proxy, flatters "
                "the loss that has it."
            }
        };
    }
    let strip = |c: &Comparison| {
        let scores = c.trainings.iter().map(|t| t.score);
        (c.name.clone(), scores.collect())
    };
    let each: Vec<(String, Vec<f64>)> = run.comparisons.iter().map(strip).collect();
    let validated = run.info.metric_on(EvaluationSet::Validation);
    let training = match run.info.compared_by {
        Schedule::Proxy => "The proxy training",
        Schedule::Full => "Full training",
    };
    html! {
        (conclusion(run))
        p { (training) " of each loss, with seeds that the search did not use: " (validated) "." }
        div.pairs { div { (strips("every training, and the mean", &validated, &each)) } }
        table {
            tr {
                th { "loss" }
                th.number { (run.info.metric) " mean ± std" }
                th.number { "seeds" }
                th { "formula" }
            }
            @for c in &run.comparisons {
                tr {
                    td { (c.name) }
                    td.number {
                        (c.mean.map_or_else(|| "failed".to_owned(), short)) " ± "
                        (c.std.map_or_else(|| "-".to_owned(), short))
                    }
                    td.number { (c.trainings.len()) }
                    td { code { (c.formula) } }
                }
            }
        }
    }
}

/// The result in one sentence, and the loss that is recommended.
fn conclusion(run: &Run) -> Markup {
    let Some(conclusion) = &run.conclusion else {
        return html! {};
    };
    let (name, formula) = conclusion.recommended();
    html! {
        p { b { (conclusion) "." } }
        p { "Recommended: " (name) " " code { (formula) } }
    }
}

/// Loss values in training: losses have no common unit, so each from its highest to its lowest.
pub(super) fn trainings(run: &Run) -> Markup {
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
        return html! {};
    }
    let plot = Plot {
        title: "loss value, as a share of its own range".to_owned(),
        x: "update".to_owned(),
        y: "share of the range".to_owned(),
        series,
    };
    html! { div.pairs { (plot.svg()) } }
}

/// Validation images with target and prediction, a column a loss.
pub(super) fn predictions(run: &Run) -> Markup {
    if run.pictures.is_empty() {
        return html! {};
    }
    html! {
        p.faint {
            "Each: the image, the target, the prediction after the comparison's first training."
        }
        div.pairs.shown {
            @for (name, shown) in &run.pictures {
                div {
                    h3 { (name) }
                    @for png in shown {
                        p {
                            img alt={ "image, target and prediction with " (name) }
                                src={ "data:image/png;base64," (BASE64.encode(png)) };
                        }
                    }
                }
            }
        }
    }
}
