//! `autoloss fidelity`: agreement of the proxy's ranking of losses with that of full training.

mod cost;
mod drawn;
mod output;
mod page;

use std::path::PathBuf;

use anyhow::Result;
use autoloss_expr::Loss;
use autoloss_search::fidelity::{FidelityReport, LEAST, PanelKind, PanelLoss, Trainings, panel};
use autoloss_search::{Ended, Entry, Interrupt, Job, Schedule, Task, Workers};
use clap::Args;
use serde_json::json;

use crate::args::{ProgramArguments, TaskArguments, WorkerArguments, check_number, check_seeds};
use crate::comparisons::in_words;
use crate::config::Config;
use crate::duration::clock;
use crate::exit::usage;
use crate::files::write_text;
use crate::formula::for_task;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::output::{print, print_json, say};
use crate::trainings::{TrainingFolder, train};
use cost::Cost;
use drawn::Drawn;
use output::MeasuredFidelity;

/// Screened trees between two lines of progress.
const TOLD_EVERY: u64 = 10_000;

/// Measure how well the proxy's ranking of losses predicts that of full training.
///
/// A panel of hand-written losses and of random ones that pass screening is trained by the proxy, as a
/// search does, and in full. Printed are rank correlations with bootstrap intervals, the regret (best full
/// score of the panel less the best one among the proxy's first three) and the costs.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss fidelity --task digits --out fidelity/digits
  autoloss fidelity --task voc --data VOC2012 --metric bf1 --losses 40 --seeds 3 --out fidelity/voc
  autoloss fidelity --task digits --set task.training.steps=600 --loss @runs/digits-miou-1 --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    #[command(flatten)]
    program: ProgramArguments,
    /// Losses of the panel, at least 8: hand-written ones that fit the task make up two thirds of it at most,
    /// the others are random.
    #[arg(long, value_name = "N", default_value_t = 24)]
    losses: usize,
    /// A further loss of the panel. May be repeated.
    #[arg(long = "loss", value_name = "LOSS", allow_hyphen_values = true)]
    given: Vec<String>,
    /// Full trainings of each loss, with a seed each.
    #[arg(long, value_name = "N", default_value_t = 2)]
    seeds: usize,
    /// Proxy trainings of each loss, with a seed each; a search makes one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    proxy_seeds: usize,
    /// The seed that the random losses and the seeds of trainings are drawn from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Keep each training in this folder, with all metrics, and write the page fidelity.html and the diagram
    /// fidelity.svg there; trainings in the folder are not made again.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    workers: WorkerArguments,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    check_number("--losses", arguments.losses as u64, LEAST as u64)?;
    check_number("--proxy-seeds", arguments.proxy_seeds as u64, 1)?;
    check_seeds(arguments.seeds as u64)?;
    let mut config = Config::of_trainings(&arguments.task, &arguments.program, &arguments.workers)?;
    let task = config.open_to_screen()?;
    let given = given(arguments, &*task)?;
    let interrupt = interrupt_on_ctrl_c(match arguments.out {
        Some(_) => "the same command goes on",
        None => "nothing is kept without --out",
    })?;
    let kept = match &arguments.out {
        Some(dir) => Some(TrainingFolder::new(dir, config.task.to_toml())?),
        None => None,
    };
    let panel = known_or_drawn(arguments, &config, &*task, given, &interrupt)?;
    let base = Job {
        stop_on_invalid: config.search.search.stop_on_invalid,
        all_metrics: arguments.out.is_some(),
        ..Job::default()
    };
    let seeds = (arguments.proxy_seeds, arguments.seeds);
    let trainings = Trainings::new(&panel, arguments.seed, seeds, &base);
    let crew = config.crew(&*task)?;
    let made = Making {
        task: &*task,
        kept: kept.as_ref(),
        workers: crew.workers(),
        interrupt: &interrupt,
    };
    let (proxy, full) = made.all(&trainings)?;
    let report = FidelityReport::new(&panel, &proxy, &full, arguments.seed);
    let fidelity = match report.fidelity() {
        Ok(fidelity) => fidelity,
        Err(error) => {
            say!("{}", output::table(&report));
            return Err(error.into());
        }
    };
    let measured = MeasuredFidelity {
        task: (task.name(), task.metric()),
        settings: config.task.vision(),
        report: &report,
        fidelity,
        by_metric: report.by_metric(task.metric()),
        seeds,
    };
    if let Some(dir) = &arguments.out {
        write_text(&dir.join("fidelity.svg"), &page::plot(&measured).file())?;
        let path = dir.join("fidelity.html");
        write_text(&path, &page::page(&measured))?;
        say!("{}: the page with the diagram", path.display());
    }
    match arguments.json {
        true => print_json(&output::as_json(&measured)),
        false => print(&output::as_text(&measured)),
    }
}

/// The losses of `--loss`.
fn given(arguments: &Arguments, task: &dyn Task) -> Result<Vec<(String, Loss)>> {
    let mut losses: Vec<(String, Loss)> = Vec::new();
    for text in &arguments.given {
        let named = for_task(text, task)?;
        if losses.iter().any(|(other, _)| *other == named.name) {
            return Err(usage(format!("--loss {}: given twice", named.name)));
        }
        losses.push((named.name, named.loss));
    }
    Ok(losses)
}

/// The panel that an earlier call has drawn and kept, or one that is drawn now, and a line of its parts.
fn known_or_drawn(
    arguments: &Arguments,
    config: &Config,
    task: &dyn Task,
    given: Vec<(String, Loss)>,
    interrupt: &Interrupt,
) -> Result<Vec<PanelLoss>> {
    let drawn = arguments.out.as_ref().map(|dir| Drawn {
        path: dir.join("panel.json"),
        origin: json!({
            "losses": arguments.losses, "seed": arguments.seed, "given": arguments.given,
            "settings": config.search.to_toml(), "task": config.task.to_toml(),
        }),
    });
    let panel = match drawn.as_ref().and_then(|drawn| drawn.read(task)) {
        Some(known) => known,
        None => {
            let panel = draw(arguments, config, task, given, interrupt)?;
            if let Some(drawn) = drawn {
                drawn.write(&panel)?;
            }
            panel
        }
    };
    tell_parts(&panel, arguments.losses);
    Ok(panel)
}

/// Draws the panel.
fn draw(
    arguments: &Arguments,
    config: &Config,
    task: &dyn Task,
    given: Vec<(String, Loss)>,
    interrupt: &Interrupt,
) -> Result<Vec<PanelLoss>> {
    let mut told = 0;
    let mut tell = |screened: u64, passed: usize| {
        if screened >= told + TOLD_EVERY {
            told = screened;
            say!("panel: {screened} random trees of a branch screened, {passed} passed");
        }
        if screened == 0 {
            told = 0;
        }
    };
    let size = (arguments.losses, arguments.seed);
    Ok(panel(
        task,
        &config.search,
        size,
        given,
        interrupt,
        &mut tell,
    )?)
}

/// Tells the number of losses of each origin in the panel.
fn tell_parts(panel: &[PanelLoss], wanted: usize) {
    let count = |kind| panel.iter().filter(|loss| loss.kind == kind).count();
    let parts = [PanelKind::Given, PanelKind::HandWritten, PanelKind::Random];
    let parts = parts.map(|kind| (count(kind), kind.name()));
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    say!("panel of {} losses: {}", panel.len(), parts.join(", "));
    let drawn = count(PanelKind::HandWritten) + count(PanelKind::Random);
    if drawn < wanted {
        say!("warning: {drawn} of {wanted} losses: too few random ones pass screening");
    }
}

/// The surroundings of the trainings.
struct Making<'a> {
    task: &'a dyn Task,
    kept: Option<&'a TrainingFolder>,
    workers: Workers<'a>,
    interrupt: &'a Interrupt,
}

impl Making<'_> {
    /// All trainings by the proxy, and all full ones.
    fn all(&self, trainings: &Trainings) -> Result<(Vec<Ended>, Vec<Ended>)> {
        let missing = |entries: &[Entry]| {
            let kept = |entry: &Entry| self.kept.is_some_and(|kept| kept.has(entry));
            entries.iter().filter(|entry| !kept(entry)).count()
        };
        let missing = [missing(&trainings.proxy), missing(&trainings.full)];
        let mut cost = Cost::new(missing, self.workers.count());
        if missing != [0, 0] {
            cost.expect(self.task)?;
            say!("{cost}");
        }
        let all = trainings.proxy.len() + trainings.full.len();
        let before = all - missing.iter().sum::<usize>();
        if before > 0 {
            say!("{before} of {all} trainings were made before");
        }
        let proxy = self.some(&trainings.proxy, Schedule::Proxy, &mut cost)?;
        let full = match self.interrupt.is_set() {
            true => Vec::new(),
            false => self.some(&trainings.full, Schedule::Full, &mut cost)?,
        };
        let left = cost.missing();
        anyhow::ensure!(
            left == 0,
            "interrupted: {} of {all} trainings were made, {left} are missing; {}",
            all - left,
            match self.kept {
                Some(_) => "the same command goes on",
                None => "none is kept without --out DIR",
            }
        );
        Ok((proxy, full))
    }

    fn some(&self, entries: &[Entry], schedule: Schedule, cost: &mut Cost) -> Result<Vec<Ended>> {
        let mut tell = |ended: &Ended, (made, of): (usize, usize)| {
            let seconds = match ended {
                Ok(training) => training.seconds,
                Err(failed) => failed.seconds,
            };
            cost.add(schedule, seconds);
            let left = cost.seconds_left();
            let left = left.map_or_else(String::new, |left| format!(", {} left", clock(left)));
            say!("{schedule} {made} of {of}: {}{left}", in_words(ended));
        };
        let (task, workers) = (self.task, self.workers);
        train(self.kept, task, entries, workers, self.interrupt, &mut tell)
    }
}
