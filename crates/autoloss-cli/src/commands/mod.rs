//! One file a command.

mod compare;
mod data;
mod eval;
mod export;
mod fidelity;
mod report;
mod reproduce;
mod retrain;
mod score;
mod screen;
mod search;
mod show;
mod simplify;
mod worker;
mod zoo;

use std::sync::Arc;

use anyhow::{Context, Result};
use autoloss_search::Interrupt;

use crate::args::{Command, Zoo};
use crate::exit::usage;
use crate::output::{print, print_json, say};
pub(crate) use reproduce::{Scale, Sheet};

/// The most trainings of one loss that a command makes.
const MAX_SEEDS: u64 = 1000;

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Search(arguments) => search::search(&arguments),
        Command::Resume(arguments) => search::resume(&arguments),
        Command::Show(arguments) => show::show(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Reproduce(arguments) => reproduce::reproduce(&arguments),
        Command::Retrain(arguments) => retrain::retrain(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Fidelity(arguments) => fidelity::fidelity(&arguments),
        Command::Data(arguments) => data::data(&arguments),
        Command::Eval(arguments) => eval::eval(&arguments),
        Command::Export(arguments) => export::export(&arguments),
        Command::Simplify(arguments) => simplify::simplify(&arguments),
        Command::Screen(arguments) => screen::screen(&arguments),
        Command::Score(score) => score::score(score),
        Command::Worker(arguments) => worker::worker(&arguments),
        Command::Zoo(Zoo::List { json }) => zoo::list(json),
    }
}

/// Checks the number of seeds that `--seeds` gives.
fn check_seeds(seeds: u64) -> Result<()> {
    check_number("--seeds", seeds, 1)
}

/// Checks a number of seeds or losses that a flag gives.
fn check_number(flag: &str, number: u64, least: u64) -> Result<()> {
    match (least..=MAX_SEEDS).contains(&number) {
        true => Ok(()),
        false => Err(usage(format!(
            "{flag} {number}: expected at least {least} and at most {MAX_SEEDS}"
        ))),
    }
}

/// Ctrl-C asks for an orderly end, and says what becomes of the work; a second one ends at once.
fn interrupt_on_ctrl_c(consequence: &'static str) -> Result<Arc<Interrupt>> {
    let interrupt = Arc::new(Interrupt::default());
    let shared = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if shared.is_set() {
            std::process::exit(130);
        }
        shared.set();
        say!("\nending; {consequence} (again to end at once)");
    })
    .context("no handler for Ctrl-C can be set")?;
    Ok(interrupt)
}
