//! The fidelity of a proxy as a diagram and a page.

use autoloss_report::document;
use autoloss_report::plot::{Mark, Plot, Series, short};
use autoloss_search::Schedule;
use autoloss_search::fidelity::{FidelityReport, PanelKind, Tried};
use maud::{Markup, html};

use super::output::{MeasuredFidelity, correlation, figures, rank, ranks, scores};
use crate::loss_text::short as short_name;

/// The scatter of full scores over proxy scores: a dot a loss, with bars of a standard deviation.
pub(super) fn plot(measured: &MeasuredFidelity<'_>) -> Plot {
    let losses = &measured.report.losses;
    let scored: Vec<(&Tried, (f64, f64))> = losses
        .iter()
        .filter_map(|tried| Some((tried, tried.scores()?)))
        .collect();
    let mut bars = Vec::new();
    for (tried, (x, y)) in &scored {
        let (dx, dy) = (
            tried.proxy.std.unwrap_or(0.0),
            tried.full.std.unwrap_or(0.0),
        );
        // A point that is not finite ends a line.
        let gap = (f64::NAN, f64::NAN);
        if dx > 0.0 {
            bars.extend([(x - dx, *y), (x + dx, *y), gap]);
        }
        if dy > 0.0 {
            bars.extend([(*x, y - dy), (*x, y + dy), gap]);
        }
    }
    let mut series = Vec::new();
    if !bars.is_empty() {
        series.push(Series::line("one standard deviation over seeds", 4, bars));
    }
    for (kind, colour) in [
        (PanelKind::HandWritten, 0),
        (PanelKind::Random, 1),
        (PanelKind::Given, 2),
    ] {
        let of: Vec<_> = scored
            .iter()
            .filter(|(tried, _)| tried.kind == kind)
            .collect();
        if of.is_empty() {
            continue;
        }
        let points = of.iter().map(|(_, pair)| *pair).collect();
        let title = |(tried, (x, y)): &&(&Tried, (f64, f64))| {
            format!(
                "{}: {x:.4} by the proxy, {y:.4} in full training",
                tried.name
            )
        };
        let mut dots = Series::line(&format!("{} losses", kind.name()), colour, points);
        dots.titles = of.iter().map(title).collect();
        series.push(dots.marked(Mark::Dots));
    }
    Plot {
        title: format!("Full training over the proxy, task {}", measured.task()),
        x: format!("{} of the proxy on the search set", measured.task.1),
        y: format!("{} in full training", measured.task.1),
        series,
    }
}

/// The page: figures, diagram, table.
pub(super) fn page(measured: &MeasuredFidelity<'_>) -> String {
    let content = html! {
        @for schedule in [Schedule::Proxy, Schedule::Full] {
            p.faint { (measured.schedule(schedule)) } "\n"
        }
        div.pairs {
            div.card { (plot(measured).svg()) }
            div.card {
                table {
                    @for (name, figure) in figures(measured) {
                        tr { td { (name) } td { (figure) } }
                    }
                }
                p.faint { "Correlations with 95 % bootstrap intervals over the panel." }
                @if !measured.by_metric.is_empty() { (by_metric(measured)) }
            }
        }
        (panel(measured.report)) "\n"
    };
    let task = measured.task();
    let heading = format!("Fidelity of the proxy of {task}");
    document(&format!("Proxy of {task}"), &heading, &content)
}

/// The figures by each further metric.
fn by_metric(measured: &MeasuredFidelity<'_>) -> Markup {
    html! {
        h3 { "By further metrics of the same trainings" }
        table {
            tr {
                th { "metric" }
                th { "Spearman" }
                th { "Kendall" }
                th.number { "regret" }
            }
            @for (name, fidelity) in &measured.by_metric {
                tr {
                    td { (name) }
                    td { (correlation(&fidelity.spearman)) }
                    td { (correlation(&fidelity.kendall)) }
                    td.number { (short(fidelity.regret)) }
                }
            }
        }
    }
}

/// The losses with their scores and ranks.
fn panel(report: &FidelityReport) -> Markup {
    html! {
        h2 { "The panel" }
        table {
            tr {
                th { "name" }
                th { "kind" }
                th.number { "proxy" }
                th.number { "rank" }
                th.number { "full training" }
                th.number { "rank" }
                th { "loss" }
            }
            @for (tried, [proxy, full]) in report.losses.iter().zip(ranks(report)) {
                tr {
                    td { (short_name(&tried.name)) }
                    td { (tried.kind.name()) }
                    td.number { (scores(&tried.proxy)) }
                    td.number { (rank(proxy)) }
                    td.number { (scores(&tried.full)) }
                    td.number { (rank(full)) }
                    td { code { (tried.formula) } }
                }
            }
        }
    }
}
