//! The search: its progress, the fates of candidates, its workers, the population and its operators.

use autoloss_search::{CandidateRow, EvaluationSet, Fate};
use maud::{Markup, html};

use super::run::Run;
use crate::plot::{Mark, Plot, Series, bars, short};

/// Scores against evaluations and time.
pub(super) fn progress(run: &Run) -> Markup {
    let trained = || run.joined.iter().filter(|row| row.fate != Fate::Equivalent);
    if trained().next().is_none() {
        return html! {};
    }
    let by_number: Vec<(f64, &CandidateRow)> = trained()
        .enumerate()
        .map(|(n, row)| (n as f64 + 1.0, row))
        .collect();
    let timed: Vec<_> = trained()
        .filter_map(|row| Some((row.elapsed? / 60.0, row)))
        .collect();
    html! {
        div.pairs {
            (over("evaluations", &by_number, run))
            @if !timed.is_empty() { (over("minutes", &timed, run)) }
        }
    }
}

/// Scores over a quantity, with the best so far and the reference.
fn over(x: &str, rows: &[(f64, &CandidateRow)], run: &Run) -> Markup {
    let last = rows.last().map_or(1.0, |row| row.0);
    let score = |row: &CandidateRow| row.score.unwrap_or_default();
    let mut best = Vec::new();
    let mut highest = f64::NEG_INFINITY;
    for (x, row) in rows {
        if score(row) > highest {
            if highest.is_finite() {
                best.push((*x, highest));
            }
            highest = score(row);
            best.push((*x, highest));
        }
    }
    best.push((last, highest));
    let title = |row: &CandidateRow| {
        format!(
            "#{} {}: {}",
            row.candidate.id,
            short(score(row)),
            row.candidate.formula
        )
    };
    let mut series = vec![
        Series {
            name: "evaluated".to_owned(),
            colour: 0,
            mark: Mark::Dots,
            points: rows.iter().map(|(x, row)| (*x, score(row))).collect(),
            titles: rows.iter().map(|(_, row)| title(row)).collect(),
        },
        Series::line("best so far", 1, best),
    ];
    if let Some(reference) = &run.reference {
        let level = vec![(0.0, reference.score), (last, reference.score)];
        series.push(Series::line(&reference.name, 2, level).marked(Mark::Dashed));
    }
    Plot {
        title: format!("{} against {x}", run.info.metric_on(EvaluationSet::Search)),
        x: x.to_owned(),
        y: run.info.metric.clone(),
        series,
    }
    .svg()
}

/// Candidates by their fates.
pub(super) fn funnel(run: &Run) -> Markup {
    let tally = &run.tally;
    let rows = [
        ("generated", tally.drawn),
        ("no prediction or target", tally.structural),
        ("judged before", tally.cached),
        ("invalid", tally.invalid),
        ("rejected", tally.rejected),
        ("equivalent to a scored one", tally.equivalent),
        ("another one promised more", tally.not_chosen),
        ("trained", tally.evaluations),
        ("of these stopped", tally.stopped),
        ("of these failed", tally.failed),
        ("of these lost with their workers", tally.lost),
    ];
    let rows = rows.map(|(name, number)| (name.to_owned(), number as f64));
    let percent = |number: f64| 100.0 * number / (tally.drawn.max(1) as f64);
    html! {
        div.pairs {
            (bars("candidates", &rows))
            table {
                @for (name, number) in rows.iter().skip(1) {
                    tr {
                        td { (name) }
                        td.number { (short(*number)) }
                        td.number { (format!("{:.2} %", percent(*number))) }
                    }
                }
            }
        }
    }
}

/// The work of each worker; nothing where there was one alone.
pub(super) fn workers(run: &Run) -> Markup {
    if run.workers.len() < 2 {
        return html! {};
    }
    html! {
        p.faint { "Busy: share of the search's time in trainings. Lost: trials that lost their worker." }
        table {
            tr {
                th { "worker" }
                th.number { "trials" }
                th.number { "busy" }
                th.number { "lost" }
            }
            @for worker in &run.workers {
                tr {
                    td { (worker.worker) }
                    td.number { (worker.trials) }
                    td.number { (format!("{:.0} %", 100.0 * worker.busy)) }
                    td.number { (worker.lost) }
                }
            }
        }
    }
}

/// The middle and the quarters of the population as it grows.
pub(super) fn population(run: &Run) -> Markup {
    if run.joined.len() < 2 {
        return html! {};
    }
    let capacity = run.info.settings.search.population.max(1);
    let scores: Vec<f64> = run
        .joined
        .iter()
        .map(|row| row.score.unwrap_or_default())
        .collect();
    let every = scores.len().div_ceil(200);
    let (mut median, mut upper, mut lower) = (Vec::new(), Vec::new(), Vec::new());
    for end in (1..=scores.len()).filter(|end| end % every == 0 || *end == scores.len()) {
        let mut members = scores[end.saturating_sub(capacity)..end].to_vec();
        members.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place"
            )]
            let place = (share * (members.len() - 1) as f64).round() as usize;
            (end as f64, members[place])
        };
        lower.push(at(0.25));
        median.push(at(0.5));
        upper.push(at(0.75));
    }
    let band = upper.into_iter().chain(lower.into_iter().rev()).collect();
    let plot = Plot {
        title: format!(
            "scores of the population, at most {capacity} members: {}",
            run.info.metric_on(EvaluationSet::Search)
        ),
        x: "members that joined".to_owned(),
        y: run.info.metric.clone(),
        series: vec![
            Series::line("quarters", 0, band).marked(Mark::Band),
            Series::line("middle", 0, median),
        ],
    };
    html! { div.pairs { (plot.svg()) } }
}

/// Operators of the evaluated losses.
pub(super) fn operators(run: &Run) -> Markup {
    if run.operators.is_empty() {
        return html! {};
    }
    let rows: Vec<(String, f64)> = run
        .operators
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count as f64))
        .collect();
    html! { div.pairs { (bars("evaluated losses that an operator occurs in", &rows)) } }
}
