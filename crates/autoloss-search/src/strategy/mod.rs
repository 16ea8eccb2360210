//! Search strategies. A strategy gives the start of each proposal and is told every
//! loss that joins with a score, in order; its proposals must follow from that alone, so that a
//! resumed run can tell it all again.

mod evolution;
mod given;
mod policy;
mod start;

pub use given::start_losses;
pub(crate) use start::{Sampler, Start};

use crate::error::SearchError;
use crate::settings::{SearchSettings, Strategy};
use crate::task::Task;
use evolution::{AgeingEvolution, RandomSearch};
use policy::SurrogatePolicy;

/// The sampler of the settings' strategy.
///
/// # Errors
/// A task without a surrogate, where the strategy needs one, or a loss of `search.start` that does not fit.
pub(crate) fn sampler(
    settings: &SearchSettings,
    task: &dyn Task,
) -> Result<Box<dyn Sampler>, SearchError> {
    let sampler: Box<dyn Sampler> = match settings.strategy {
        Strategy::Random => Box::new(RandomSearch),
        // CSE differs from evolution by its screening alone.
        Strategy::Evolution | Strategy::Cse => Box::new(AgeingEvolution::new(settings)),
        Strategy::Asl => Box::new(SurrogatePolicy::new(settings, task)?),
    };
    given::before(sampler, settings, task)
}
