//! A population that begins with given losses.

use autoloss_expr::Loss;
use rand_chacha::ChaCha8Rng;

use super::start::{Sampler, Start};
use crate::error::SearchError;
use crate::event::Origin;
use crate::hand_written::hand_written_losses;
use crate::population::Member;
use crate::random::Space;
use crate::resolve::resolve;
use crate::settings::{SearchSettings, SettingsError};
use crate::task::Task;

/// The word for all hand-written losses that fit a task.
const ZOO: &str = "zoo";

/// The sampler with the losses of `search.start` as its first proposals.
///
/// # Errors
/// A loss that does not fit the task, or is no tree of operators.
pub(super) fn before(
    sampler: Box<dyn Sampler>,
    settings: &SearchSettings,
    task: &dyn Task,
) -> Result<Box<dyn Sampler>, SearchError> {
    if settings.start.is_empty() {
        return Ok(sampler);
    }
    let losses = start_losses(settings, task)?;
    Ok(Box::new(Given {
        losses,
        screened: settings.start_screened,
        sampler,
    }))
}

/// The losses of `search.start`, each once.
///
/// # Errors
/// A loss that does not fit the task, or is no tree of operators.
pub fn start_losses(settings: &SearchSettings, task: &dyn Task) -> Result<Vec<Loss>, SearchError> {
    let mut losses: Vec<Loss> = Vec::new();
    for text in &settings.start {
        for loss in named(text, settings, task)? {
            if !losses.contains(&loss) {
                losses.push(loss);
            }
        }
    }
    Ok(losses)
}

/// The losses that a text names.
fn named(text: &str, settings: &SearchSettings, task: &dyn Task) -> Result<Vec<Loss>, SearchError> {
    let is_tree = |loss: &Loss| loss.branches.iter().all(|b| b.tree.native().is_none());
    if text == ZOO {
        let space = Space::new(settings, task.branches())?;
        let all = hand_written_losses(task, settings, &space)?.into_iter();
        return Ok(all.map(|(_, loss)| loss).filter(is_tree).collect());
    }
    let wrong = |reason: String| SettingsError::Start {
        text: text.to_owned(),
        reason,
    };
    let named = resolve(text, task).map_err(|error| wrong(error.to_string()))?;
    let loss = named.loss;
    match is_tree(&loss) {
        true => Ok(vec![loss]),
        false => Err(wrong("is no tree of operators: it cannot be changed".to_owned()).into()),
    }
}

/// Given losses, then those of another sampler.
struct Given {
    losses: Vec<Loss>,
    /// Whether they have to pass screening.
    screened: bool,
    sampler: Box<dyn Sampler>,
}

impl Sampler for Given {
    fn start(&mut self, number: u64, rng: &mut ChaCha8Rng) -> Start {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        match self.losses.get(place) {
            Some(loss) if self.screened => Start::Given(loss.clone()),
            Some(loss) => Start::Loss(loss.clone(), Origin::Given),
            None => self.sampler.start(number, rng),
        }
    }

    fn join(&mut self, member: Member) {
        self.sampler.join(member);
    }

    fn begins_anew(&self) -> bool {
        self.sampler.begins_anew()
    }

    fn knows(&self, id: u64) -> bool {
        self.sampler.knows(id)
    }

    fn correct(&mut self, trained: u64, score: f64) {
        self.sampler.correct(trained, score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_loss;
    use crate::seed::{Stream, generator};
    use crate::toy::Toy;

    fn starts(start: &[&str]) -> Result<Vec<Start>, SearchError> {
        let settings = SearchSettings {
            start: start.iter().map(|text| (*text).to_owned()).collect(),
            ..SearchSettings::default()
        };
        let mut sampler = super::super::sampler(&settings, &Toy::new())?;
        let mut rng = generator(0, Stream::Proposal, 0);
        Ok((0..20)
            .map(|number| sampler.start(number, &mut rng))
            .collect())
    }

    #[test]
    fn given_losses_come_first_each_once() {
        let toy = Toy::new();
        let loss = |text: &str| Start::Given(parse_loss(&toy, text).unwrap());
        let texts = ["square(yhat - y)", "-(y * log(yhat))", "square(yhat - y)"];
        let all = starts(&texts).unwrap();
        assert_eq!(all[..2], [loss(texts[0]), loss(texts[1])]);
        assert!(all[2..].iter().all(|start| *start == Start::Random));
        let zoo = starts(&["zoo"]).unwrap();
        let given = zoo.iter().filter(|start| matches!(start, Start::Given(_)));
        assert!((4..19).contains(&given.count()), "{zoo:?}");
        assert!(zoo.contains(&loss("-(y * log(yhat))")));
    }

    #[test]
    fn a_loss_that_cannot_begin_a_population_is_named() {
        let said = starts(&["yhat +"]).unwrap_err().to_string();
        assert!(
            said.starts_with("settings: `search.start`: `yhat +`: "),
            "{said}"
        );
        let said = starts(&["lovasz_softmax()"]).unwrap_err().to_string();
        assert!(said.contains("is no tree of operators"), "{said}");
    }
}
