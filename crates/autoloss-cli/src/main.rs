//! The program `autoloss`: searches loss functions, and trains, computes and scores with them.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`output` writes without ever failing"
)]

mod args;
mod choice;
mod commands;
mod comparisons;
mod config;
mod crew;
mod duration;
mod exit;
mod files;
mod formula;
mod interrupt;
mod loss_text;
mod output;
mod progress;
mod run;
mod shell;
mod summary;
mod table;
mod trace;
mod trainings;

use std::path::PathBuf;

use clap::Parser;

use commands::Command;
use output::LogFormat;

/// Searches loss functions from scratch for an evaluation metric (AutoLoss-Zero).
///
/// Losses are given as a formula over `yhat` and `y`, as `zoo:NAME` (a hand-written loss), as `@DIR`
/// (a run's best) or `@DIR#ID` (a candidate of a run).
#[derive(Parser)]
#[command(version, about, long_about, max_term_width = 100)]
struct Arguments {
    /// Form of the messages on standard error: text, or json with each message and each event of a search as one
    /// JSON object on a line (time, level, kind, fields) and without live progress.
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_enum,
        value_name = "FORMAT",
        default_value_t = LogFormat::Text
    )]
    log_format: LogFormat,
    /// Writes a timeline of the work to a file in Chrome's trace format, for Perfetto or chrome://tracing: trainings,
    /// the finding of candidates, commits.
    #[arg(long, global = true, display_order = 901, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> std::process::ExitCode {
    output::catch_panics();
    let arguments = Arguments::parse();
    output::set_format(arguments.log_format);
    let code = exit::code(run(&arguments));
    output::flush();
    code
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _timeline = arguments.trace.as_deref().map(trace::to_file).transpose()?;
    arguments.command.run()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
