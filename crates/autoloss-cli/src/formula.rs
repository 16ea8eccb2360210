//! `--loss`: a formula, `zoo:NAME`, `@DIR` or `@DIR#ID`.

use std::path::Path;

use anyhow::{Context, Result};
use autoloss_expr::{Loss, Tree, ZooLoss, nearest};
use autoloss_search::{Store, Task, parse_loss};

use crate::exit::usage;
use crate::shell;

/// A loss with what the user called it.
pub(crate) struct Named {
    /// The text given, or the zoo's name.
    pub(crate) name: String,
    pub(crate) loss: Loss,
}

/// The loss for a task. `zoo:NAME` may also be one of the task's baselines.
pub(crate) fn for_task(text: &str, task: &dyn Task) -> Result<Named> {
    if let Some(name) = text.strip_prefix("zoo:") {
        let mut baselines = task.baselines().into_iter();
        if let Some((name, loss)) = baselines.find(|(baseline, _)| baseline == name) {
            return Ok(Named { name, loss });
        }
    }
    let (name, formula) = formula(text)?;
    // The name stands in tables and messages; a folder's spaces are its own.
    let name = match text.starts_with('@') {
        true => name,
        false => name.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let loss = parse_loss(task, &formula).map_err(|error| {
        let other = other_task(text, task);
        usage(format!("--loss {error}{other}\n{}", error.caret(&formula)))
    })?;
    Ok(Named { name, loss })
}

/// A remark on a run of another task, whose losses may have other branches.
fn other_task(text: &str, task: &dyn Task) -> String {
    let info = |place| open_run(place).ok()?.0.info().ok();
    match text.strip_prefix('@').and_then(info) {
        Some(run) if run.task != task.name() => format!(
            " ({text} is a loss for the task `{}`, this task is `{}`)",
            run.task,
            task.name()
        ),
        _ => String::new(),
    }
}

/// (branch, formula) of `--fix BRANCH=LOSS`.
pub(crate) fn fixed(text: &str) -> Result<(String, String)> {
    let (branch, loss) = text.split_once('=').ok_or_else(|| {
        usage(format!(
            "--fix {text}: expected BRANCH=LOSS, as in rpn_box=zoo:smooth_l1"
        ))
    })?;
    let branch = branch.trim();
    let (_, formula) = formula(loss.trim())?;
    // A run's loss has all branches: only this one is wanted.
    let part = formula
        .split(';')
        .find_map(|part| match part.split_once('=') {
            Some((name, tree)) if name.trim() == branch => Some(tree.trim().to_owned()),
            _ => None,
        });
    Ok((branch.to_owned(), part.unwrap_or(formula)))
}

/// The tree of a loss of one branch over the given inputs.
pub(crate) fn tree(text: &str, inputs: &[&str]) -> Result<Tree> {
    let (_, formula) = formula(text)?;
    Tree::parse(&formula, inputs).map_err(|error| {
        let hint = match formula.contains('=') {
            true => "\nexpected the formula of one branch, without `NAME =` before it",
            false => "",
        };
        usage(format!("--loss {error}\n{}{hint}", error.caret(&formula)))
    })
}

/// (name, formula text) of what `--loss` was given; each branch may be named by itself, as in
/// `rpn_class = zoo:cross_entropy; rpn_box = abs(yhat - y)`.
fn formula(text: &str) -> Result<(String, String)> {
    if text.contains('=') && !text.starts_with('@') {
        let part = |part: &str| match part.split_once('=') {
            Some((branch, loss)) if loss.trim().starts_with(['z', '@']) => {
                let (_, formula) = of_branch(loss.trim())?;
                Ok(format!("{branch}= {formula}"))
            }
            // As it was typed, so that columns in messages are those of the user's text.
            _ => Ok(part.to_owned()),
        };
        let parts = text.split(';').map(part).collect::<Result<Vec<_>>>()?;
        return Ok((text.to_owned(), parts.join(";")));
    }
    of_branch(text)
}

/// The same where no branch is named.
fn of_branch(text: &str) -> Result<(String, String)> {
    if let Some(name) = text.strip_prefix("zoo:") {
        return match ZooLoss::from_name(name) {
            Some(loss) => Ok((loss.name.to_owned(), loss.formula.to_owned())),
            None => Err(unknown_in_zoo(name)),
        };
    }
    if let Some(place) = text.strip_prefix('@') {
        return Ok((text.to_owned(), from_run(place)?));
    }
    Ok((text.to_owned(), text.to_owned()))
}

fn unknown_in_zoo(name: &str) -> anyhow::Error {
    let names: Vec<&str> = ZooLoss::all().map(|loss| loss.name).collect();
    let hint = nearest(name, names.iter().copied())
        .map_or_else(String::new, |near| format!("did you mean `zoo:{near}`? "));
    usage(format!(
        "--loss zoo:{name}: no such loss; {hint}known: {}",
        names.join(", ")
    ))
}

/// The run that `@PLACE` names, its folder, and the number of a candidate where one is given.
fn open_run(place: &str) -> Result<(Store, &str, Option<u64>)> {
    let (dir, id) = match place.rsplit_once('#') {
        // A folder may have a `#` in its name.
        Some((dir, _)) if Path::new(place).exists() && Path::new(dir).exists() => {
            return Err(usage(format!(
                "--loss @{place}: both {place} and {dir} exist; rename one of them"
            )));
        }
        Some((dir, id)) if !Path::new(place).exists() => {
            let id: u64 = id.parse().map_err(|_| {
                usage(format!(
                    "--loss @{place}: expected the number of a candidate after `#`"
                ))
            })?;
            (dir, Some(id))
        }
        _ => (place, None),
    };
    Ok((Store::open(Path::new(dir))?, dir, id))
}

fn from_run(place: &str) -> Result<String> {
    let (store, dir, id) = open_run(place)?;
    let Some(id) = id else {
        let recommended = store.recommended()?;
        let (_, formula) =
            recommended.with_context(|| format!("{dir}: no candidate has a score yet"))?;
        return Ok(formula);
    };
    let row = store.candidate(id)?.with_context(|| {
        let folder = shell::path(Path::new(dir));
        format!("{dir}: no candidate {id}; `autoloss show {folder}` lists some")
    })?;
    Ok(row.candidate.formula)
}
