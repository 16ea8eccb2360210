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
pub(crate) use reproduce::{Scale, Sheet};

/// Runs a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Search(arguments) => search::search(arguments),
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

/// Ctrl-C asks for an orderly end, and says what becomes of the work; a second one ends at once.
fn interrupt_on_ctrl_c(consequence: &'static str) -> Result<Arc<Interrupt>> {
    let interrupt = Arc::new(Interrupt::default());
    let shared = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if shared.is_set() {
            std::process::exit(130);
        }
        shared.set();
        eprintln!("\nending; {consequence} (again to end at once)");
    })
    .context("no handler for Ctrl-C can be set")?;
    Ok(interrupt)
}

/// Prints text to standard output; a closed pipe is an error that ends the program quietly.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a JSON value on lines of its own.
fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}
