//! `autoloss screen`: what becomes of random candidates.

use std::io::IsTerminal;

use anyhow::Result;
use autoloss_search::{ScreenReport, screen_random};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{interrupt_on_ctrl_c, print, print_json};
use crate::args::Screen;
use crate::config::Config;
use crate::table::Table;

/// How many of the candidates that passed are shown.
const SHOWN: usize = 10;

pub(crate) fn screen(arguments: &Screen) -> Result<()> {
    let config = Config::read(&arguments.task, vec![Config::workers(arguments.workers)?])?;
    let task = config.open_task()?;
    let interrupt = interrupt_on_ctrl_c("what was screened is printed")?;
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(arguments.count),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} screened, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = screen_random(
        &task,
        &config.search,
        arguments.count,
        config.search.search.worker_count(),
        arguments.seed,
        &interrupt,
        &|done| bar.set_position(done),
    );
    bar.finish_and_clear();
    let report = report?;
    if arguments.json {
        print_json(&as_json(&report))?;
    } else {
        print(&as_text(&report))?;
    }
    let (drawn, count) = (report.drawn, arguments.count);
    anyhow::ensure!(
        drawn == count,
        "interrupted: {drawn} of {count} candidates were screened"
    );
    Ok(())
}

fn as_json(report: &ScreenReport) -> serde_json::Value {
    let mut stages: serde_json::Map<String, serde_json::Value> = report
        .stages
        .named()
        .into_iter()
        .map(|(name, s)| {
            let stage = json!({"count": s.count, "decided": s.decided, "seconds": s.seconds});
            (name.to_owned(), stage)
        })
        .collect();
    // What is left after the last stage, which takes no time.
    stages.insert(
        "passed".to_owned(),
        json!({"count": report.passed, "decided": report.passed, "seconds": 0.0}),
    );
    let best: Vec<_> = report
        .best
        .iter()
        .map(|p| json!({"number": p.number, "g": p.g, "loss": p.formula}))
        .collect();
    json!({
        "candidates": report.drawn,
        "seconds": report.seconds,
        "per_minute": report.per_minute(),
        "fates": {
            "structural": report.structural,
            "invalid": report.invalid,
            "rejected": report.rejected,
            "passed": report.passed,
        },
        "stages": stages,
        "best": best,
    })
}

fn as_text(report: &ScreenReport) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let share = |count: u64| format!("{:.2} %", 100.0 * count as f64 / report.drawn.max(1) as f64);
    let mut fates = Table::new(&["fate", ">candidates", ">share", "why"]);
    for (fate, count, why) in [
        (
            "structural",
            report.structural,
            "no prediction or no target in the tree",
        ),
        (
            "invalid",
            report.invalid,
            "value or gradient not finite, or gradient zero",
        ),
        ("rejected", report.rejected, "g below the threshold"),
        ("passed", report.passed, "g at or above the threshold"),
    ] {
        fates.row([
            fate.to_owned(),
            count.to_string(),
            share(count),
            why.to_owned(),
        ]);
    }
    let mut cost = Table::new(&[
        "stage",
        ">candidates",
        ">decided",
        ">seconds of all workers",
    ]);
    for (name, stage) in report.stages.named() {
        cost.row([
            name.to_owned(),
            stage.count.to_string(),
            stage.decided.to_string(),
            format!("{:.2}", stage.seconds),
        ]);
    }
    let mut best = Table::new(&[">g", "loss"]);
    for passed in report.best.iter().take(SHOWN) {
        let g = passed
            .g
            .map_or_else(|| "-".to_owned(), |g| format!("{g:.4}"));
        best.row([g, passed.formula.clone()]);
    }
    format!(
        "{} candidates in {:.1} s: {:.0} a minute\n\n{fates}\n{cost}\n{best}",
        report.drawn,
        report.seconds,
        report.per_minute()
    )
}
