//! The page: a section for each question that a run answers.

use std::fmt::Write;

use anyhow::Result;
use autoloss_expr::{Branch, Tree};
use autoloss_search::{
    CandidateRow, Comparison, Conclusion, EvaluationSet, Fate, RunInfo, Schedule, Store, Tally,
    Training,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pulldown_latex::{Parser, RenderConfig, Storage, push_mathml};

use super::super::show::metric_on;
use super::{curves, tree};
use crate::formula;
use crate::plot::{Mark, Plot, STYLE, Series, bars, escape, short, strips};

/// Losses that are shown in full.
const SHOWN: usize = 5;

/// Colours of the style sheet.
const COLOURS: usize = 6;

/// What the page is made of.
struct Run {
    info: RunInfo,
    tally: Tally,
    /// Those that joined the population, in that order.
    joined: Vec<CandidateRow>,
    best: Vec<CandidateRow>,
    reference: Option<Training>,
    comparisons: Vec<Comparison>,
    conclusion: Option<Conclusion>,
    operators: Vec<(&'static str, u64)>,
    /// Of the losses of the comparison, those that have some.
    pictures: Vec<(String, Vec<Vec<u8>>)>,
}

/// The whole page.
pub(super) fn html(store: &Store) -> Result<String> {
    let mut joined: Vec<CandidateRow> = store.candidates()?;
    joined.retain(|row| row.joined.is_some());
    joined.sort_by_key(|row| row.joined);
    let comparisons = store.comparisons()?;
    let mut pictures = Vec::new();
    for comparison in &comparisons {
        let shown = store.pictures(&comparison.name)?;
        if !shown.is_empty() {
            pictures.push((comparison.name.clone(), shown));
        }
    }
    let run = Run {
        info: store.info()?,
        tally: store.tally()?,
        joined,
        best: store.top(SHOWN)?,
        reference: store.reference()?,
        comparisons,
        conclusion: store.conclusion()?,
        operators: store.operator_counts()?,
        pictures,
    };
    let title = format!("{} for {}", run.info.task, run.info.metric);
    let sections = [
        ("Is it better?", comparison(&run)),
        ("Best losses", losses(&run)),
        ("The search", progress(&run)),
        ("What became of the candidates", funnel(&run)),
        ("The population", population(&run)),
        ("Operators", operators(&run)),
        ("Trainings", trainings(&run)),
        ("Predictions", predictions(&run)),
        ("Settings", settings(&run)),
    ];
    let mut body = String::new();
    for (heading, content) in sections {
        if !content.is_empty() {
            let _ = writeln!(body, "<section><h2>{heading}</h2>{content}</section>");
        }
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{0}</title><style>{1}</style></head>\n<body>\
         <h1>A loss for {0}</h1>{2}\n{body}</body></html>\n",
        escape(&title),
        STYLE,
        head(&run)
    ))
}

fn head(run: &Run) -> String {
    let info = &run.info;
    let best = run.best.first().and_then(|row| row.score);
    let mut text = format!(
        "<p class=\"faint\">{} · seed {} · {} · {} evaluations · {}</p>",
        escape(&info.program),
        info.seed,
        duration(info.elapsed),
        run.tally.evaluations,
        escape(info.ended.as_deref().unwrap_or("not ended")),
    );
    if let (Some(best), Some(reference)) = (best, &run.reference) {
        let _ = write!(
            text,
            "<p>On the proxy, with one seed, the best loss found reaches {} of <b>{}</b>, {} reaches \
             <b>{}</b> with the same seed.</p>",
            escape(&metric_on(info, EvaluationSet::Search)),
            short(best),
            escape(&reference.name),
            short(reference.score)
        );
    }
    text
}

fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "for people"
    )]
    let seconds = seconds as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The final comparison: every training a dot, and the table.
fn comparison(run: &Run) -> String {
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
    let validated = metric_on(&run.info, EvaluationSet::Validation);
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

/// The best losses: mathematics, tree, curves.
fn losses(run: &Run) -> String {
    let mut text = String::new();
    for row in &run.best {
        let _ = write!(
            text,
            "<div class=\"card\"><h3>#{} · {} {}</h3><p><code>{}</code></p>",
            row.candidate.id,
            escape(&metric_on(&run.info, EvaluationSet::Search)),
            row.score.map_or_else(String::new, short),
            escape(&row.candidate.formula)
        );
        if let Some(simplified) = formula::simplified(&row.candidate.formula) {
            let _ = write!(
                text,
                "<p class=\"faint\">simplified: <code>{}</code></p>",
                escape(&simplified)
            );
        }
        let branches = formula::read(&row.candidate.formula).map(|loss| loss.branches);
        for Branch { name, tree } in branches.unwrap_or_default() {
            if !name.is_empty() {
                let _ = write!(text, "<h3>{}</h3>", escape(&name));
            }
            let numbers = name.ends_with("_box") || run.info.task.ends_with("pose");
            let _ = write!(
                text,
                "<p>{}</p><div class=\"three\"><div>{}</div>{}</div>",
                mathml(&tree),
                tree::svg(&tree),
                curves::svg(&tree, !numbers)
            );
        }
        text.push_str("</div>");
    }
    if text.is_empty() {
        return text;
    }
    "<p class=\"faint\">Curves are of a single element, where means and pooling are the identity.</p>".to_owned()
        + &text
}

/// The formula as MathML, which browsers set as mathematics.
fn mathml(tree: &Tree) -> String {
    let latex = tree.latex();
    let storage = Storage::new();
    let mut out = String::new();
    match push_mathml(
        &mut out,
        Parser::new(&latex, &storage),
        RenderConfig::default(),
    ) {
        Ok(()) => out,
        Err(_) => format!("<code>{}</code>", escape(&latex)),
    }
}

/// Scores against evaluations and time.
fn progress(run: &Run) -> String {
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
        title: format!(
            "{} against {x}",
            metric_on(&run.info, EvaluationSet::Search)
        ),
        x: x.to_owned(),
        y: run.info.metric.clone(),
        series,
    }
    .svg()
}

fn funnel(run: &Run) -> String {
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
fn population(run: &Run) -> String {
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
            metric_on(&run.info, EvaluationSet::Search)
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

fn operators(run: &Run) -> String {
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

/// Loss values in training: losses have no common unit, so each from its highest to its lowest.
fn trainings(run: &Run) -> String {
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
fn predictions(run: &Run) -> String {
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

fn settings(run: &Run) -> String {
    let info = &run.info;
    format!(
        "<p class=\"faint\">{}, {} cores, {}</p><details><summary>all settings</summary><pre>{}\n[task]\n{}</pre></details>",
        escape(&info.program),
        info.cores,
        escape(&info.arch),
        escape(&info.settings.to_toml()),
        escape(&info.task_settings)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_mathematics() {
        let tree = Tree::parse("square(log(yhat) * y) / mean_nhw(y)", &["yhat", "y"]).unwrap();
        let math = mathml(&tree);
        assert!(
            math.starts_with("<math") && math.contains("<mfrac"),
            "{math}"
        );
    }
}
