//! `autoloss fidelity`: agreement of the proxy's ranking of losses with that of full training.

mod cost;
mod drawn;
mod output;

use anyhow::Result;
use autoloss_expr::Loss;
use autoloss_search::fidelity::{FidelityReport, LEAST, PanelKind, PanelLoss, Trainings, panel};
use autoloss_search::{Ended, Entry, Interrupt, Job, Schedule, Task, Workers};

use super::compare::in_words;
use super::search::clock;
use super::{check_number, check_seeds, interrupt_on_ctrl_c, print, print_json};
use crate::args::Fidelity as Arguments;
use crate::config::Config;
use crate::exit::usage;
use crate::files::write_text;
use crate::formula::for_task;
use crate::kept::{Kept, train};
use crate::output::say;
use cost::Cost;
use drawn::Drawn;
use output::Measured;
use serde_json::json;

/// Screened trees between two lines of progress.
const TOLD_EVERY: u64 = 10_000;

pub(crate) fn fidelity(arguments: &Arguments) -> Result<()> {
    check_number("--losses", arguments.losses as u64, LEAST as u64)?;
    check_number("--proxy-seeds", arguments.proxy_seeds as u64, 1)?;
    check_seeds(arguments.seeds as u64)?;
    let mut flags = Config::of_program(&arguments.program);
    flags.extend(Config::of_workers(&arguments.workers)?);
    let mut config = Config::read(&arguments.task, flags)?;
    let task = config.open_to_screen()?;
    let given = given(arguments, &*task)?;
    let interrupt = interrupt_on_ctrl_c(match arguments.out {
        Some(_) => "the same command goes on",
        None => "nothing is kept without --out",
    })?;
    let kept = match &arguments.out {
        Some(dir) => Some(Kept::new(dir, config.task.to_toml())?),
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
    let measured = Measured {
        task: (task.name(), task.metric()),
        settings: config.task.vision(),
        report: &report,
        fidelity,
        by_metric: report.by_metric(task.metric()),
        seeds,
    };
    if let Some(dir) = &arguments.out {
        write_text(&dir.join("fidelity.svg"), &output::plot(&measured).file())?;
        let page = dir.join("fidelity.html");
        write_text(&page, &output::page(&measured))?;
        say!("{}: the page with the diagram", page.display());
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

/// Tells how many losses of each origin the panel has.
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
    kept: Option<&'a Kept>,
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
