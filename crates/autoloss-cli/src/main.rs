//! The program `autoloss`: searches loss functions, and trains, computes and scores with them.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`output` writes without ever failing"
)]

mod args;
mod choice;
mod commands;
mod config;
mod crew;
mod exit;
mod files;
mod formula;
mod kept;
mod output;
mod progress;
mod shell;
mod table;

use clap::Parser;

fn main() -> std::process::ExitCode {
    output::catch_panics();
    let arguments = args::Arguments::parse();
    let code = exit::code(commands::run(arguments.command));
    output::flush();
    code
}
