//! One file a command.

mod compare;
mod data;
mod eval;
mod report;
mod reproduce;
mod retrain;
mod score;
mod screen;
mod search;
mod show;
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
        Command::Data(arguments) => data::data(&arguments),
        Command::Eval(arguments) => eval::eval(&arguments),
        Command::Screen(arguments) => screen::screen(&arguments),
        Command::Score(score) => score::score(score),
        Command::Zoo(Zoo::List { json }) => zoo::list(json),
    }
}

/// Checks a number of seeds.
fn check_seeds(seeds: u64) -> Result<()> {
    match (1..=MAX_SEEDS).contains(&seeds) {
        true => Ok(()),
        false => Err(usage(format!(
            "--seeds {seeds}: expected at least 1 and at most {MAX_SEEDS}"
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
