//! The page: a section for each question that a run answers.

mod losses;
mod result;
mod search;

use std::fmt::Write;

use autoloss_search::{
    CandidateRow, Comparison, Conclusion, EvaluationSet, RunInfo, Store, StoreError, Tally,
    Training,
};

use crate::kinds::Kinds;
use crate::plot::{STYLE, escape, short};

/// Losses that are shown in full.
const SHOWN: usize = 5;

/// The content of the page.
struct Run {
    info: RunInfo,
    kinds: Kinds,
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

/// The whole page of a run, which needs no other file.
///
/// # Errors
/// If the run cannot be read.
pub fn html(store: &Store) -> Result<String, StoreError> {
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
        kinds: Kinds::of(store)?,
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
        ("Is it better?", result::comparison(&run)),
        ("Best losses", losses::losses(&run)),
        ("The search", search::progress(&run)),
        ("What became of the candidates", search::funnel(&run)),
        ("The population", search::population(&run)),
        ("Operators", search::operators(&run)),
        ("Trainings", result::trainings(&run)),
        ("Predictions", result::predictions(&run)),
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
            escape(&info.metric_on(EvaluationSet::Search)),
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
