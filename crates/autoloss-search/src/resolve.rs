//! Losses as people name them: a formula, `zoo:NAME` (a hand-written loss), `@DIR` (the loss that a run
//! recommends) or `@DIR#ID` (a candidate of a run); each branch may be named by itself, as in
//! `rpn_class = zoo:cross_entropy; rpn_box = abs(yhat - y)`.

use std::path::Path;

use autoloss_expr::{INPUTS, Loss, ParseError, Tree, ZooLoss, nearest};

use crate::settings::{SearchSettings, SettingsError};
use crate::store::{Store, StoreError};
use crate::task::{Task, parse_loss};

/// Reason for which a text names no loss.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A formula that cannot be read.
    #[error("{error}{hint}\n{}", error.caret(formula))]
    Formula {
        /// Column, and the expected token.
        error: ParseError,
        /// The formula.
        formula: String,
        /// A possible reason.
        hint: String,
    },
    /// No hand-written loss of that name.
    #[error("zoo:{name}: no such loss; {}known: {}", near(name), known().join(", "))]
    Zoo {
        /// The name.
        name: String,
    },
    /// Two folders that a text may mean.
    #[error("@{place}: both {place} and {dir} exist; rename one of them")]
    Ambiguous {
        /// The text after `@`.
        place: String,
        /// The text before `#`.
        dir: String,
    },
    /// The text after `#` is no number.
    #[error("@{place}: expected the number of a candidate after `#`")]
    Number {
        /// The text after `@`.
        place: String,
    },
    /// A run whose candidates have no scores.
    #[error("{dir}: no candidate has a score yet")]
    NoScore {
        /// The folder of the run.
        dir: String,
    },
    /// A run without that candidate.
    #[error("{dir}: no candidate {id}; `autoloss show {dir}` lists some")]
    NoCandidate {
        /// The folder of the run.
        dir: String,
        /// The candidate's number.
        id: u64,
    },
    /// The run cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ResolveError {
    /// Whether the text is wrong, and not the run that it names.
    #[must_use]
    pub const fn is_of_the_text(&self) -> bool {
        match self {
            Self::Formula { .. }
            | Self::Zoo { .. }
            | Self::Ambiguous { .. }
            | Self::Number { .. } => true,
            Self::NoScore { .. } | Self::NoCandidate { .. } | Self::Store(_) => false,
        }
    }
}

fn known() -> Vec<&'static str> {
    ZooLoss::all().map(|loss| loss.name).collect()
}

fn near(name: &str) -> String {
    nearest(name, known()).map_or_else(String::new, |near| format!("did you mean `zoo:{near}`? "))
}

/// A loss with the name that people gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The text given, or the zoo's name.
    pub name: String,
    /// The loss.
    pub loss: Loss,
}

/// The loss that a text names for a task. `zoo:NAME` may also be one of the task's baselines.
///
/// # Errors
/// A formula, name, run or candidate that is not there or does not fit the task.
pub fn resolve(text: &str, task: &dyn Task) -> Result<Named, ResolveError> {
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
    match parse_loss(task, &formula) {
        Ok(loss) => Ok(Named { name, loss }),
        Err(error) => Err(ResolveError::Formula {
            error,
            formula,
            hint: other_task(text, task),
        }),
    }
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

/// The formula of one branch, given by itself or by a loss that has it.
///
/// # Errors
/// The errors of [`resolve`], but for the formula, which is not read.
pub fn of_branch(branch: &str, text: &str) -> Result<String, ResolveError> {
    let (_, formula) = formula(text.trim())?;
    let part = formula
        .split(';')
        .find_map(|part| match part.split_once('=') {
            Some((name, tree)) if name.trim() == branch => Some(tree.trim().to_owned()),
            _ => None,
        });
    Ok(part.unwrap_or(formula))
}

/// Replaces losses in `search.fixed` that are named (`zoo:NAME`, `@DIR`), and those of runs in `search.start`, by
/// their formulas, so that a run can be gone on with wherever it is.
///
/// # Errors
/// The branch or text, and why its loss is none.
pub fn resolve_fixed(settings: &mut SearchSettings) -> Result<(), SettingsError> {
    for text in settings
        .start
        .iter_mut()
        .filter(|text| text.starts_with('@'))
    {
        let (_, formula) = formula(text).map_err(|error| SettingsError::Start {
            text: text.clone(),
            reason: error.to_string(),
        })?;
        *text = formula;
    }
    for (branch, text) in &mut settings.fixed {
        *text = of_branch(branch, text).map_err(|error| SettingsError::Fixed {
            branch: branch.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}

/// (name, formula) of a text, with the names in it replaced by their formulas.
///
/// # Errors
/// The errors of [`resolve`], but for the formula, which is not read.
pub fn formula(text: &str) -> Result<(String, String), ResolveError> {
    if text.contains('=') && !text.starts_with('@') {
        let part = |part: &str| match part.split_once('=') {
            Some((branch, loss)) if loss.trim().starts_with(['z', '@']) => {
                let (_, formula) = named(loss.trim())?;
                Ok(format!("{branch}= {formula}"))
            }
            // The text as it was typed, so that columns in messages are those of the user's text.
            _ => Ok(part.to_owned()),
        };
        let parts = text.split(';').map(part);
        let parts = parts.collect::<Result<Vec<String>, ResolveError>>()?;
        return Ok((text.to_owned(), parts.join(";")));
    }
    named(text)
}

/// Names of the branches that a formula gives, in its order; none of a formula of one branch.
#[must_use]
pub fn branch_names(formula: &str) -> Vec<&str> {
    let parts = formula.split(';').filter_map(|part| part.split_once('='));
    parts.map(|(name, _)| name.trim()).collect()
}

/// Reads a formula of one branch, or one of several that it names, over the inputs that branches of any task offer.
///
/// ```
/// use autoloss_search::resolve::{branch_names, read};
///
/// assert_eq!(read("-(y * log(yhat))")?.branches[0].name, "");
/// let formula = "rpn_box = 1 - i / u; mask = yhat - y";
/// assert_eq!(branch_names(formula), ["rpn_box", "mask"]);
/// assert_eq!(read(formula)?.branches.len(), 2);
/// assert!(read("a = y; b = lgo(y)").is_err());
/// # Ok::<(), autoloss_expr::ParseError>(())
/// ```
///
/// # Errors
/// The column and the expected token.
pub fn read(formula: &str) -> Result<Loss, ParseError> {
    let names = branch_names(formula);
    match names.is_empty() {
        true => Tree::parse(formula, &INPUTS).map(|tree| Loss::single("", tree)),
        false => {
            let specs: Vec<_> = names.iter().map(|name| (*name, INPUTS.to_vec())).collect();
            Loss::parse(formula, &specs)
        }
    }
}

/// (name, formula) of a text that names no branch.
fn named(text: &str) -> Result<(String, String), ResolveError> {
    if let Some(name) = text.strip_prefix("zoo:") {
        let loss = ZooLoss::from_name(name).ok_or_else(|| ResolveError::Zoo {
            name: name.to_owned(),
        })?;
        return Ok((loss.name.to_owned(), loss.formula.to_owned()));
    }
    let formula = match text.strip_prefix('@') {
        Some(place) => of_run(place)?,
        None => text.to_owned(),
    };
    Ok((text.to_owned(), formula))
}

/// The run that `@PLACE` names, its folder, and the number of a candidate where one is given.
fn open_run(place: &str) -> Result<(Store, &str, Option<u64>), ResolveError> {
    let (dir, id) = match place.rsplit_once('#') {
        // A folder may have a `#` in its name.
        Some((dir, _)) if Path::new(place).exists() && Path::new(dir).exists() => {
            return Err(ResolveError::Ambiguous {
                place: place.to_owned(),
                dir: dir.to_owned(),
            });
        }
        Some((dir, id)) if !Path::new(place).exists() => {
            let number = id.parse().map_err(|_| ResolveError::Number {
                place: place.to_owned(),
            })?;
            (dir, Some(number))
        }
        _ => (place, None),
    };
    Ok((Store::open(Path::new(dir))?, dir, id))
}

fn of_run(place: &str) -> Result<String, ResolveError> {
    let (store, dir, id) = open_run(place)?;
    let dir = dir.to_owned();
    match id {
        None => {
            let recommended = store.recommended()?;
            let formula = recommended.map(|(_, formula)| formula);
            formula.ok_or(ResolveError::NoScore { dir })
        }
        Some(id) => {
            let formula = store.candidate(id)?.map(|row| row.candidate.formula);
            formula.ok_or(ResolveError::NoCandidate { dir, id })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{create, settings};
    use crate::toy::Toy;
    use crate::{Interrupt, run};

    #[test]
    fn formulas_and_names_of_the_zoo_are_losses() {
        let toy = Toy::new();
        let by_name = resolve("zoo:cross_entropy", &toy).unwrap();
        let by_formula = resolve(" -(y *  log(yhat))", &toy).unwrap();
        assert_eq!(by_name.loss, by_formula.loss);
        assert_eq!(by_name.name, "cross_entropy");
        assert_eq!(by_formula.name, "-(y * log(yhat))");
        let error = resolve("zoo:cross_entrpy", &toy).unwrap_err();
        assert!(error.is_of_the_text());
        let text = error.to_string();
        assert!(text.contains("did you mean `zoo:cross_entropy`?"), "{text}");
        let text = resolve("yhat - z", &toy).unwrap_err().to_string();
        assert!(
            text.lines().count() == 3 && text.contains("yhat - z"),
            "{text}"
        );
    }

    #[test]
    fn a_branch_is_taken_from_a_loss_that_has_it() {
        let whole = "a = zoo:mse; b = abs(yhat - y)";
        assert_eq!(of_branch("b", whole).unwrap(), "abs(yhat - y)");
        assert_eq!(of_branch("a", whole).unwrap(), "square(yhat - y)");
        assert_eq!(of_branch("c", "zoo:mse").unwrap(), "square(yhat - y)");
    }

    #[test]
    fn named_losses_of_fixed_branches_become_formulas() {
        let mut settings = SearchSettings::default();
        let fixed = [
            ("a", "zoo:mse"),
            ("b", "abs(yhat - y)"),
            ("c", "c = zoo:mse; d = y"),
        ];
        let fixed = fixed.map(|(branch, loss)| (branch.to_owned(), loss.to_owned()));
        settings.fixed.extend(fixed);
        resolve_fixed(&mut settings).unwrap();
        let formulas: Vec<&str> = settings.fixed.values().map(String::as_str).collect();
        assert_eq!(
            formulas,
            ["square(yhat - y)", "abs(yhat - y)", "square(yhat - y)"]
        );
        settings
            .fixed
            .insert("e".to_owned(), "zoo:nothing".to_owned());
        let error = resolve_fixed(&mut settings).unwrap_err().to_string();
        assert!(
            error.contains("search.fixed.e") && error.contains("no such loss"),
            "{error}"
        );
    }

    #[test]
    fn runs_give_what_they_recommend_or_a_candidate() {
        let dir = tempfile::tempdir().unwrap();
        let toy = Toy::new();
        // A folder with the sign that precedes a number.
        let path = dir.path().join("run#1");
        let mut recorder = create(&path, &settings(4));
        let named = format!("@{}", path.display());
        let error = resolve(&named, &toy).unwrap_err();
        assert!(matches!(error, ResolveError::NoScore { .. }) && !error.is_of_the_text());
        run(&toy, &mut recorder, &Interrupt::default(), &mut |_| ()).unwrap();
        let store = Store::open(&path).unwrap();
        let (_, formula) = store.recommended().unwrap().unwrap();
        assert_eq!(resolve(&named, &toy).unwrap().loss.to_string(), formula);
        let best = store.top(1).unwrap().swap_remove(0).candidate;
        let one = resolve(&format!("{named}#{}", best.id), &toy).unwrap();
        assert_eq!(one.loss.to_string(), best.formula);
        let missing = resolve(&format!("{named}#99999"), &toy).unwrap_err();
        assert!(matches!(
            missing,
            ResolveError::NoCandidate { id: 99999, .. }
        ));
        let no_number = resolve(&format!("{named}#x"), &toy).unwrap_err();
        assert!(
            matches!(no_number, ResolveError::Number { .. }),
            "{no_number}"
        );
        let nowhere = resolve("@nowhere", &toy).unwrap_err();
        assert!(matches!(nowhere, ResolveError::Store(StoreError::NoRun(_))));
    }
}
