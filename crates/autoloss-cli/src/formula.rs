//! `--loss` and `--fix`: losses as people name them, and what was wrong with how they were named.

use anyhow::Result;
use autoloss_expr::{INPUTS, Loss, ParseError, Tree};
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
    read(&formula).map_err(|error| unreadable(&error, &formula))
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

/// Reads a formula of one branch, or one of several that it names.
pub(crate) fn read(formula: &str) -> Result<Loss, ParseError> {
    let parts = formula.split(';').filter_map(|part| part.split_once('='));
    let names: Vec<&str> = parts.map(|(name, _)| name.trim()).collect();
    match names.is_empty() {
        true => Tree::parse(formula, &INPUTS).map(|tree| Loss::single("", tree)),
        false => {
            let specs: Vec<_> = names.iter().map(|name| (*name, INPUTS.to_vec())).collect();
            Loss::parse(formula, &specs)
        }
    }
}

/// The simplified form of a formula, where it is shorter.
pub(crate) fn simplified(formula: &str) -> Option<String> {
    let loss = read(formula).ok()?;
    let simplified = loss.simplified();
    (size(&simplified) < size(&loss)).then(|| simplified.to_string())
}

/// Number of nodes of a loss.
pub(crate) fn size(loss: &Loss) -> usize {
    loss.branches.iter().map(|branch| branch.tree.size()).sum()
}

fn unreadable(error: &ParseError, formula: &str) -> anyhow::Error {
    usage(format!("--loss {error}\n{}", error.caret(formula)))
}

/// What is wrong with a text is wrong use of the program.
fn told(error: ResolveError) -> anyhow::Error {
    match error.is_of_the_text() {
        true => usage(format!("--loss {error}")),
        false => anyhow::Error::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_found_in_a_formula() {
        let names = |formula| {
            let branches = read(formula).unwrap().branches.into_iter();
            branches.map(|branch| branch.name).collect::<Vec<_>>()
        };
        assert_eq!(names("-(y * log(yhat))"), [""]);
        assert_eq!(
            names("rpn_box = 1 - i / u; mask = yhat - y"),
            ["rpn_box", "mask"]
        );
        assert!(read("a = y; b = lgo(y)").is_err());
    }

    #[test]
    fn a_simplified_form_is_there_where_it_is_shorter() {
        assert_eq!(simplified("--y * yhat").as_deref(), Some("y * yhat"));
        assert_eq!(simplified("yhat * y"), None);
        assert_eq!(
            simplified("a = abs(abs(yhat)); b = y").as_deref(),
            Some("a = abs(yhat); b = y")
        );
    }
}
