//! Screening (the paper's loss rejection): the choice of the candidates that are worth a proxy training.
//!
//! No network is involved: the stored predictions of a few samples are optimised themselves, and a
//! candidate that does not bring them near their targets, by the task's metric, is rejected. The
//! stages run from the cheapest to the dearest, and each is a function of the loss and of the verdicts
//! before it in a fixed order, whichever worker computes it:
//!
//! 1. structural: a branch without prediction or without target is hopeless;
//! 2. cached: a canonical form that was judged has its verdict;
//! 3. gradient: the value and the gradient of the stored predictions must be finite and not zero;
//! 4. equivalent: gradients that are those of a judged candidate, up to scale, lead the
//!    predictions the same way (`screening.same_gradient`);
//! 5. optimised: g(L; ξ), left as soon as it is certain, or as good as certain
//!    (`screening.early_share`).

mod balance;
mod cache;
mod exact;
mod fingerprint;
mod gain;
mod gradient;
mod logits;
mod on_the_way;
mod optimisation;
mod pending;
mod samples;
mod scratch;
mod screener;
mod signature;
mod simulated;
mod stages;
mod structure;
#[cfg(test)]
mod tests;
mod verdict;
mod whole;

pub(crate) use balance::{Balance, unbalanced};
pub use pending::Prepared;
pub(crate) use pending::{Flat, Open, Pulled};
pub use scratch::Scratch;
pub use screener::Screener;
pub(crate) use signature::Signature;
pub use stages::{Stage, Stages};
pub(crate) use verdict::Past;
pub use verdict::{Judgement, Verdict};
pub(crate) use whole::Prescreened;
pub use whole::{Screened, Screening};
