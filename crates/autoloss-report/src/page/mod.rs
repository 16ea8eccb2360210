//! The page: a section for each question that a run answers.

mod losses;
mod result;
mod run;
mod search;

use autoloss_search::{EvaluationSet, Store, StoreError};
use maud::{Markup, html};

use crate::document::document;
use crate::plot::short;
use run::Run;

/// The whole page of a run, which needs no other file.
///
/// # Errors
/// If the run cannot be read.
pub fn html(store: &Store) -> Result<String, StoreError> {
    let run = Run::read(store)?;
    let sections = [
        ("Is it better?", result::comparison(&run)),
        ("Best losses", losses::losses(&run)),
        ("The search", search::progress(&run)),
        ("What became of the candidates", search::funnel(&run)),
        ("Workers", search::workers(&run)),
        ("The population", search::population(&run)),
        ("Operators", search::operators(&run)),
        ("Trainings", result::trainings(&run)),
        ("Predictions", result::predictions(&run)),
        ("Settings", settings(&run)),
    ];
    let content = html! {
        (head(&run)) "\n"
        @for (heading, content) in sections {
            @if !content.0.is_empty() { section { h2 { (heading) } (content) } "\n" }
        }
    };
    let title = format!("{} for {}", run.info.task, run.info.metric);
    Ok(document(&title, &format!("A loss for {title}"), &content))
}

/// The first lines: the program, the budget that was used, and the best score.
fn head(run: &Run) -> Markup {
    let info = &run.info;
    let best = run.best.first().and_then(|row| row.score);
    html! {
        p.faint {
            (info.program) " · seed " (info.seed) " · " (duration(info.elapsed)) " · "
            (run.tally.evaluations) " evaluations · " (info.ended.as_deref().unwrap_or("not ended"))
        }
        @if let (Some(best), Some(reference)) = (best, &run.reference) {
            p {
                "On the proxy, with one seed, the best loss found reaches "
                (info.metric_on(EvaluationSet::Search)) " of " b { (short(best)) } ", " (reference.name)
                " reaches " b { (short(reference.score)) } " with the same seed."
            }
        }
    }
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

fn settings(run: &Run) -> Markup {
    let info = &run.info;
    html! {
        p.faint { (info.program) ", " (info.cores) " cores, " (info.arch) }
        details {
            summary { "all settings" }
            pre { (info.settings.to_toml()) "\n[task]\n" (info.task_settings) }
        }
    }
}
