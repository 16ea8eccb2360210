//! Losses as `--loss` and `--fix` name them, and the errors of names.

use anyhow::Result;
use autoloss_expr::{Loss, ParseError, Tree};
use autoloss_search::{BranchSpec, Named, ResolveError, Task, resolve};

use crate::exit::usage;

/// The loss for a task.
pub(crate) fn for_task(text: &str, task: &dyn Task) -> Result<Named> {
    resolve::resolve(text, task).map_err(told)
}

/// (branch, formula) of `--fix BRANCH=LOSS`.
pub(crate) fn fixed(text: &str) -> Result<(String, String)> {
    let (branch, loss) = text.split_once('=').ok_or_else(|| {
        usage(format!(
            "--fix {text}: expected BRANCH=LOSS, as in rpn_box=zoo:smooth_l1"
        ))
    })?;
    let branch = branch.trim();
    let formula = resolve::of_branch(branch, loss).map_err(told)?;
    Ok((branch.to_owned(), formula))
}

/// The tree of a loss of one branch over the given inputs.
pub(crate) fn tree(text: &str, inputs: &[&str]) -> Result<Tree> {
    let (_, formula) = resolve::formula(text).map_err(told)?;
    Tree::parse(&formula, inputs).map_err(|error| {
        let hint = match formula.contains('=') {
            true => "\nexpected the formula of one branch, without `NAME =` before it",
            false => "",
        };
        usage(format!("--loss {error}\n{}{hint}", error.caret(&formula)))
    })
}

/// The loss of any task: its branches are those that it names, and each may use the inputs that branches of any
/// task offer.
pub(crate) fn of_any_task(text: &str) -> Result<Loss> {
    let (_, formula) = resolve::formula(text).map_err(told)?;
    resolve::read(&formula).map_err(|error| unreadable(&error, &formula))
}

/// The loss for a task with these branches.
pub(crate) fn of_branches(text: &str, branches: &[BranchSpec]) -> Result<Loss> {
    let (_, formula) = resolve::formula(text).map_err(told)?;
    let inputs = |branch: &BranchSpec| branch.inputs.iter().map(|i| i.name.clone()).collect();
    let names: Vec<Vec<String>> = branches.iter().map(inputs).collect();
    let specs = branches.iter().zip(&names).map(|(branch, inputs)| {
        let inputs = inputs.iter().map(String::as_str).collect();
        (branch.name.as_str(), inputs)
    });
    let loss = Loss::parse(&formula, &specs.collect::<Vec<_>>());
    loss.map_err(|error| unreadable(&error, &formula))
}

fn unreadable(error: &ParseError, formula: &str) -> anyhow::Error {
    usage(format!("--loss {error}\n{}", error.caret(formula)))
}

/// An error of resolving a loss; a wrong text is wrong use of the program.
fn told(error: ResolveError) -> anyhow::Error {
    match error.is_of_the_text() {
        true => usage(format!("--loss {error}")),
        false => anyhow::Error::new(error),
    }
}
