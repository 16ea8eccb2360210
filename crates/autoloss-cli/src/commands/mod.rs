//! The commands: a file each, with its arguments and `run`, and a line in the table below.

mod compare;
mod data;
mod eval;
mod export;
mod fidelity;
mod report;
mod reproduce;
mod resume;
mod retrain;
mod score;
mod screen;
mod search;
mod show;
mod simplify;
mod worker;
mod zoo;

use anyhow::Result;
use clap::Subcommand;

/// Declares the commands in the order of the help.
macro_rules! commands {
    ($($name:ident($module:ident)),+ $(,)?) => {
        #[derive(Subcommand)]
        pub(crate) enum Command {
            $($name($module::Arguments)),+
        }

        impl Command {
            /// Runs the command.
            pub(crate) fn run(&self) -> Result<()> {
                match self {
                    $(Self::$name(arguments) => $module::run(arguments)),+
                }
            }
        }
    };
}

commands! {
    Search(search),
    Resume(resume),
    Show(show),
    Report(report),
    Reproduce(reproduce),
    Retrain(retrain),
    Compare(compare),
    Fidelity(fidelity),
    Data(data),
    Eval(eval),
    Export(export),
    Simplify(simplify),
    Screen(screen),
    Score(score),
    Zoo(zoo),
    Worker(worker),
}
