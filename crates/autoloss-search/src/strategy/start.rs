//! The trait of search strategies.

use autoloss_expr::Loss;
use rand_chacha::ChaCha8Rng;

use crate::event::Origin;
use crate::population::Member;

/// Start of a proposal.
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
    /// Mutations of a candidate are drawn that is not trained, until one passes screening.
    Found {
        /// The candidate's loss.
        loss: Loss,
        /// Number of the trained loss that it descends from; `None` for a random loss.
        ancestor: Option<u64>,
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

    /// Whether the strategy has begun anew, so that the next trainings are of random losses, none of them chosen, as the
    /// first ones (`search.initial`) were: predictions need scores of ordinary losses.
    fn begins_anew(&self) -> bool {
        false
    }

    /// Whether predictions are made from the score of this candidate.
    fn knows(&self, _id: u64) -> bool {
        true
    }

    /// A loss, and all that are equivalent to it, have another score after further trainings.
    fn correct(&mut self, trained: u64, score: f64);
}
