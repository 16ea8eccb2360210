//! Where candidates come from. A search strategy gives the start of each proposal and is told every
//! loss that joins with a score, in order; from that alone it must follow what it proposes, so that a
//! resumed run can tell it all again.

mod given;
mod policy;

use autoloss_expr::Loss;
use rand_chacha::ChaCha8Rng;

use crate::error::SearchError;
use crate::event::Origin;
use crate::population::{Member, Population};
use crate::settings::{SearchSettings, Strategy};
use crate::task::Task;

pub use given::start_losses;
pub(crate) use policy::SurrogatePolicy;

/// What a proposal begins with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// A fresh random loss is drawn, until one passes screening.
    Random,
    /// Offspring of a member are drawn, until one passes screening.
    Parent {
        /// The member.
        parent: Box<Member>,
        /// A second member for crossover, where there is any.
        mate: Option<Box<Member>>,
    },
    /// This loss, of that origin, is evaluated as it is.
    Loss(Loss, Origin),
    /// This loss is screened, then fresh random ones until one passes.
    Given(Loss),
}

/// A search strategy.
pub(crate) trait Sampler: Send {
    /// The start of the proposal with this number; its random numbers come from `rng` alone.
    fn start(&mut self, number: u64, rng: &mut ChaCha8Rng) -> Start;

    /// A loss has a score.
    fn join(&mut self, member: Member);

    /// A loss, and all that are equivalent to it, have another score after further trainings.
    fn correct(&mut self, trained: u64, score: f64);
}

/// The sampler of the settings' strategy.
///
/// # Errors
/// If the strategy needs what the task does not have.
pub(crate) fn sampler(
    settings: &SearchSettings,
    task: &dyn Task,
) -> Result<Box<dyn Sampler>, SearchError> {
    let sampler: Box<dyn Sampler> = match settings.strategy {
        Strategy::Random => Box::new(RandomSearch),
        // What CSE has of its own is its screening.
        Strategy::Evolution | Strategy::Cse => Box::new(AgeingEvolution::new(settings)),
        Strategy::Asl => Box::new(SurrogatePolicy::new(settings, task)?),
    };
    given::before(sampler, settings, task)
}

/// Random search: the paper's ablation.
struct RandomSearch;

impl Sampler for RandomSearch {
    fn start(&mut self, _: u64, _: &mut ChaCha8Rng) -> Start {
        Start::Random
    }

    fn join(&mut self, _: Member) {}

    fn correct(&mut self, _: u64, _: f64) {}
}

/// Ageing evolution, as in the paper: the winner of a tournament among the newest members is the
/// parent.
pub(crate) struct AgeingEvolution {
    population: Population,
    initial: u64,
    tournament: f64,
    /// Whether parents have mates.
    crosses: bool,
}

impl AgeingEvolution {
    pub(crate) fn new(settings: &SearchSettings) -> Self {
        Self {
            population: Population::new(settings.population),
            initial: settings.initial as u64,
            tournament: settings.tournament,
            crosses: settings.crossover > 0.0,
        }
    }

    /// The winner of a tournament.
    fn winner(&self, rng: &mut ChaCha8Rng) -> Option<Box<Member>> {
        let winner = self.population.tournament(self.tournament, rng);
        winner.cloned().map(Box::new)
    }
}

impl Sampler for AgeingEvolution {
    /// The first ones have no parent; neither has a later one that is made before anybody joined,
    /// which happens only with several workers.
    fn start(&mut self, number: u64, rng: &mut ChaCha8Rng) -> Start {
        if number < self.initial {
            return Start::Random;
        }
        let Some(parent) = self.winner(rng) else {
            return Start::Random;
        };
        let mate = self.crosses.then(|| self.winner(rng)).flatten();
        Start::Parent { parent, mate }
    }

    fn join(&mut self, member: Member) {
        self.population.join(member);
    }

    fn correct(&mut self, trained: u64, score: f64) {
        self.population.correct(trained, score);
    }
}
