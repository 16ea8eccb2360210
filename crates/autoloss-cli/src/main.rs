//! The program `autoloss`: searches loss functions, and trains, computes and scores with them.

mod args;
mod commands;
mod config;
mod exit;
mod files;
mod formula;
mod kept;
mod npy;
mod plot;
mod progress;
mod table;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let arguments = args::Arguments::parse();
    exit::code(commands::run(arguments.command))
}
