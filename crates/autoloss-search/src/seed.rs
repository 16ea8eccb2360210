//! Every random number of a run is a function of the run's seed, what it is for, and a counter,
//! so that nothing depends on which thread came first.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for; the streams of one seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Proposal n of a search.
    Proposal,
    /// Random candidate n of a screening without a search.
    Screening,
    /// The screening samples.
    Samples,
    /// The proxy trainings of a search.
    Evaluation,
    /// Proxy training n of the final comparison.
    Final,
    /// Made-up predictions of screening sample n.
    Simulation,
}

/// The generator of item `n` of a stream.
#[must_use]
pub fn generator(run_seed: u64, stream: Stream, n: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&run_seed.to_le_bytes());
    key[8..16].copy_from_slice(&(stream as u64).to_le_bytes());
    key[16..24].copy_from_slice(&n.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A short seed, easy to type on a command line.
fn short(run_seed: u64, stream: Stream, n: u64) -> u64 {
    u64::from(generator(run_seed, stream, n).random::<u32>())
}

/// The seed all proxy trainings of a search share, so that candidates differ in the loss alone.
#[must_use]
pub fn evaluation_seed(run_seed: u64) -> u64 {
    short(run_seed, Stream::Evaluation, 0)
}

/// Seeds the search has not seen, for the final comparison.
#[must_use]
pub fn final_seeds(run_seed: u64, count: usize) -> Vec<u64> {
    let seen = evaluation_seed(run_seed);
    let mut seeds = Vec::with_capacity(count);
    for n in 0.. {
        if seeds.len() == count {
            break;
        }
        let seed = short(run_seed, Stream::Final, n);
        if seed != seen && !seeds.contains(&seed) {
            seeds.push(seed);
        }
    }
    seeds
}

/// The seed of the screening samples.
#[must_use]
pub fn samples_seed(run_seed: u64) -> u64 {
    short(run_seed, Stream::Samples, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_numbers_differ_and_repeat() {
        let first = |seed, stream, n| generator(seed, stream, n).random::<u64>();
        let one = first(1, Stream::Proposal, 1);
        assert_eq!(one, first(1, Stream::Proposal, 1));
        assert_ne!(one, first(1, Stream::Proposal, 2));
        assert_ne!(one, first(2, Stream::Proposal, 1));
        assert_ne!(one, first(1, Stream::Screening, 1));
    }

    #[test]
    fn final_seeds_are_fresh_and_begin_alike() {
        let seeds = final_seeds(3, 50);
        assert_eq!(seeds[..5], final_seeds(3, 5));
        assert!(!seeds.contains(&evaluation_seed(3)));
        let distinct: std::collections::HashSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), 50);
    }
}
