//! `autoloss screen`: fates of random candidates.

mod branches;

use anyhow::Result;
use autoloss_search::{
    Agreement, Procedure, RandomScreening, ScreenReport, Space, Task, screen_random,
};
use autoloss_vision::tasks::MadeUp;
use clap::Args;
use serde_json::json;

use crate::args::{Preset, ProgramArguments, TaskArguments};
use crate::config::Config;
use crate::exit::usage;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::loss_text::by_branch;
use crate::output::{self, Live, print, print_json};
use crate::table::Table;

/// Number of the candidates that passed and are shown.
const SHOWN: usize = 10;

/// Screen random candidates: their fates, and the number a minute.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss screen --task digits --count 100000
  autoloss screen --made-up 21x128x128 --json
  autoloss screen --count 1000 --compare-exact
  autoloss screen --task digits-detection --count 200 --compare-branches")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    #[command(flatten)]
    program: ProgramArguments,
    /// Number of random candidates.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
    /// Judge exactly: in f64, step by step, without any shortcut; takes seconds a candidate.
    #[arg(long)]
    exact: bool,
    /// Judge both ways and list where the verdicts differ.
    #[arg(long)]
    compare_exact: bool,
    /// Judge candidates branch by branch and all branches together, and count how often the two
    /// agree. Candidates are put together from trees that pass by themselves and trees that do not.
    #[arg(long, conflicts_with_all = ["exact", "compare_exact", "made_up"])]
    compare_branches: bool,
    /// Settings to start from in place of the task's: paper is the published configuration of
    /// AutoLoss-Zero. A file of settings and flags change it.
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<Preset>,
    /// Hold a branch of the task fixed to a loss, as in rpn_box=zoo:smooth_l1. May be repeated.
    #[arg(long, value_name = "BRANCH=LOSS", allow_hyphen_values = true)]
    fix: Vec<String>,
    /// Screen on made-up predictions of this shape instead of the task's: 21x128x128.
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    made_up: Option<[usize; 3]>,
    /// Seed of the candidates and of the stored predictions; default: the setting search.seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Worker threads; default: one a core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Classes, height and width.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[usize; 3]>::try_from(numbers).ok());
    let fits = |[c, h, w]: &[usize; 3]| {
        (2..=255).contains(c) && [h, w].iter().all(|side| (1..=4096).contains(*side))
    };
    numbers
        .filter(fits)
        .ok_or_else(|| "expected classes x height x width, such as 21x128x128".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut flags = vec![
        Config::integer("seed", arguments.seed)?,
        Config::workers(arguments.workers)?,
    ];
    flags.extend(Config::of_program(&arguments.program));
    flags.extend(Config::fixed(&arguments.fix)?);
    let mut config = Config::read(&arguments.task, flags)?;
    let task: Box<dyn Task> = match arguments.made_up {
        Some(shape) => {
            let metric = config.task.need_vision("screen --made-up")?.metric();
            Box::new(MadeUp::new(shape, metric).map_err(usage)?)
        }
        None => config.open_to_screen()?,
    };
    Space::new(&config.search.search, task.branches()).map_err(usage)?;
    let interrupt = interrupt_on_ctrl_c("what was screened is printed")?;
    let on_done = |done| output::show(Some(Live::Count(done, arguments.count)));
    if arguments.compare_branches {
        return branches::compare(
            (arguments.count, arguments.json),
            &*task,
            &config.search,
            &interrupt,
            &on_done,
        );
    }
    let report = screen_random(
        &*task,
        &config.search,
        RandomScreening {
            count: arguments.count,
            seed: config.search.search.seed,
            workers: config.search.search.worker_count(),
            procedure: procedure(arguments),
        },
        &interrupt,
        &on_done,
    );
    output::show(None);
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

const fn procedure(arguments: &Arguments) -> Procedure {
    match (arguments.exact, arguments.compare_exact) {
        (_, true) => Procedure::Compare,
        (true, false) => Procedure::Exact,
        (false, false) => Procedure::Fast,
    }
}

fn agreement_as_json(agreement: &Agreement) -> serde_json::Value {
    let disagreements = agreement.disagreements.iter().map(|d| {
        json!({
            "number": d.number,
            "loss": d.formula,
            "fast": d.fast.name(),
            "reason": d.reason,
            "fast_g": d.fast_g,
            "exact": d.exact.name(),
            "exact_g": d.exact_g.filter(|g| g.is_finite()),
            "by_shortcut": d.by_shortcut,
        })
    });
    json!({
        "candidates": agreement.candidates,
        "exact_passed": agreement.exact_passed,
        "lost": agreement.lost(),
        "lost_by_shortcuts": agreement.lost_by_shortcuts(),
        "disagreements": disagreements.collect::<Vec<_>>(),
    })
}

fn agreement_as_text(agreement: &Agreement) -> String {
    let (count, differ) = (agreement.candidates, agreement.disagreements.len());
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let percent = |part: usize, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    let (lost, passed) = (agreement.lost(), agreement.exact_passed);
    let by_shortcuts = agreement.lost_by_shortcuts();
    let mut text = format!(
        "fast and exact verdicts agree on {:.2} % of {count} candidates; of {passed} that pass exactly, \
         {lost} ({:.2} %) are lost: {by_shortcuts} ({:.2} %) by shortcuts, the others do not pass in \
         single precision\n",
        100.0 - percent(differ, count),
        percent(lost, passed),
        percent(by_shortcuts, passed),
    );
    if differ == 0 {
        return text;
    }
    let mut table = Table::new(&[
        "exact",
        ">exact g",
        "fast",
        ">fast g in full",
        "why",
        "loss",
    ]);
    let number = |g: Option<f64>| match g {
        Some(g) if g.is_finite() => format!("{g:.4}"),
        _ => "-".to_owned(),
    };
    for d in &agreement.disagreements {
        table.row([
            d.exact.name().to_owned(),
            number(d.exact_g),
            d.fast.name().to_owned(),
            number(d.fast_g),
            if d.by_shortcut {
                "shortcut"
            } else {
                "precision"
            }
            .to_owned(),
            d.reason.clone().unwrap_or_default(),
            by_branch(&d.formula),
        ]);
    }
    text.push_str(&format!("{table}"));
    text
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
    // Candidates left after the last stage, which takes no time.
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
        "agreement": report.agreement.as_ref().map(agreement_as_json),
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
        best.row([g, by_branch(&passed.formula)]);
    }
    let agreement = report.agreement.as_ref().map(agreement_as_text);
    let agreement = agreement.map_or_else(String::new, |text| format!("\n{text}"));
    format!(
        "{} candidates in {:.1} s: {:.0} a minute\n\n{fates}\n{cost}\n{best}{agreement}",
        report.drawn,
        report.seconds,
        report.per_minute()
    )
}
