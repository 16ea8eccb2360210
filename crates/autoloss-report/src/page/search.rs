//! The search: its progress, the fates of candidates, the population and its operators.

use autoloss_search::{CandidateRow, EvaluationSet, Fate};

use super::Run;
use crate::plot::{Mark, Plot, Series, bars, short};

/// Scores against evaluations and time.
pub(super) fn progress(run: &Run) -> String {
    let trained = || run.joined.iter().filter(|row| row.fate != Fate::Equivalent);
    if trained().next().is_none() {
        return String::new();
    }
    let by_number: Vec<(f64, &CandidateRow)> = trained()
        .enumerate()
        .map(|(n, row)| (n as f64 + 1.0, row))
        .collect();
    let mut text = over("evaluations", &by_number, run);
    let timed: Vec<_> = trained()
        .filter_map(|row| Some((row.elapsed? / 60.0, row)))
        .collect();
    if !timed.is_empty() {
        text += &over("minutes", &timed, run);
    }
    format!("<div class=\"pairs\">{text}</div>")
}

fn over(x: &str, rows: &[(f64, &CandidateRow)], run: &Run) -> String {
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

pub(super) fn funnel(run: &Run) -> String {
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
    let shares = rows.iter().skip(1).map(|(name, number)| {
        format!(
            "<tr><td>{name}</td><td class=\"number\">{}</td><td class=\"number\">{:.2} %</td></tr>",
            short(*number),
            100.0 * number / (tally.drawn.max(1) as f64)
        )
    });
    format!(
        "<div class=\"pairs\">{}<table>{}</table></div>",
        bars("candidates", &rows),
        shares.collect::<String>()
    )
}

/// The middle and the quarters of the population as it grows.
pub(super) fn population(run: &Run) -> String {
    if run.joined.len() < 2 {
        return String::new();
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
    format!("<div class=\"pairs\">{}</div>", plot.svg())
}

pub(super) fn operators(run: &Run) -> String {
    if run.operators.is_empty() {
        return String::new();
    }
    let rows: Vec<(String, f64)> = run
        .operators
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count as f64))
        .collect();
    let figure = bars("evaluated losses that an operator occurs in", &rows);
    format!("<div class=\"pairs\">{figure}</div>")
}
