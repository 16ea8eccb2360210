//! Every random number of a run is a function of the run's seed, its purpose, and a counter,
//! so that nothing depends on which thread came first.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Purpose of random numbers; the streams of one seed are independent of each other.
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
    /// Training n of `autoloss compare`.
    Comparison,
    /// Training n of `autoloss reproduce`.
    Reproduction,
    /// Full training n of a finalist.
    Finalist,
    /// Training n of `autoloss fidelity`.
    Fidelity,
    /// Random tree n of a panel of losses.
    Panel,
    /// Resample n of a bootstrap interval.
    Bootstrap,
    /// Further proxy training n of a leader.
    Leader,
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

/// A seed below 2³².
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
    distinct(count, Some(seen), |n| short(run_seed, Stream::Final, n))
}

/// Seeds that no search and no final comparison has, whatever its run's seed, for `autoloss compare`:
/// theirs are below 2³², these from 2³² to 2·2³².
#[must_use]
pub fn comparison_seeds(seed: u64, count: usize) -> Vec<u64> {
    distinct(count, None, |n| {
        (1 << 32) | short(seed, Stream::Comparison, n)
    })
}

/// Seeds that neither the search nor the final comparison has, for the full trainings by which one of the
/// finalists is chosen: from 3·2³² to 4·2³².
#[must_use]
pub fn finalist_seeds(run_seed: u64, count: usize) -> Vec<u64> {
    distinct(count, None, |n| {
        (3 << 32) | short(run_seed, Stream::Finalist, n)
    })
}

/// The seed of the n-th further proxy training of a leader, from 0: from 5·2³² to 6·2³², so that nothing but the
/// search has it.
#[must_use]
pub fn leader_seed(run_seed: u64, n: usize) -> u64 {
    (5 << 32) | short(run_seed, Stream::Leader, n as u64)
}

/// Seeds that no search, comparison or table has, for `autoloss fidelity`: from 4·2³² to 5·2³².
#[must_use]
pub fn fidelity_seeds(seed: u64, count: usize) -> Vec<u64> {
    distinct(count, None, |n| {
        (4 << 32) | short(seed, Stream::Fidelity, n)
    })
}

/// Seeds that no search and no comparison has, for `autoloss reproduce`: from 2·2³² to 3·2³².
#[must_use]
pub fn reproduction_seeds(count: usize) -> Vec<u64> {
    distinct(count, None, |n| {
        (2 << 32) | short(0, Stream::Reproduction, n)
    })
}

/// The first `count` seeds of a sequence that differ from each other and from those seen.
fn distinct(count: usize, seen: Option<u64>, seed: impl Fn(u64) -> u64) -> Vec<u64> {
    let mut known: HashSet<u64> = seen.into_iter().collect();
    (0..)
        .map(seed)
        .filter(|seed| known.insert(*seed))
        .take(count)
        .collect()
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
    fn no_comparison_repeats_a_seed_that_a_loss_was_chosen_by() {
        let compared = |seed| comparison_seeds(seed, 300);
        let reproduced = reproduction_seeds(300);
        for run_seed in [0, 1, 7, u64::MAX] {
            let mut all = final_seeds(run_seed, 300);
            all.push(evaluation_seed(run_seed));
            all.extend(finalist_seeds(run_seed, 300));
            for seed in [0, 1, 7, u64::MAX] {
                all.extend(compared(seed));
            }
            all.extend(&reproduced);
            all.extend(fidelity_seeds(run_seed, 300));
            let distinct: HashSet<&u64> = all.iter().collect();
            assert_eq!(distinct.len(), 8 * 300 + 1);
        }
        assert_eq!(compared(3)[..5], comparison_seeds(3, 5));
        // By their ranges, not by luck.
        let place = |seeds: &[u64]| -> HashSet<u64> { seeds.iter().map(|s| s >> 32).collect() };
        assert_eq!(place(&final_seeds(3, 300)), HashSet::from([0]));
        assert_eq!(place(&compared(3)), HashSet::from([1]));
        assert_eq!(place(&reproduced), HashSet::from([2]));
        assert_eq!(place(&finalist_seeds(3, 300)), HashSet::from([3]));
        assert_eq!(place(&fidelity_seeds(3, 300)), HashSet::from([4]));
        let leader: Vec<u64> = (0..300).map(|n| leader_seed(3, n)).collect();
        assert_eq!(place(&leader), HashSet::from([5]));
    }

    #[test]
    fn final_seeds_are_fresh_and_begin_alike() {
        let seeds = final_seeds(3, 50);
        assert_eq!(seeds[..5], final_seeds(3, 5));
        assert!(!seeds.contains(&evaluation_seed(3)));
        let distinct: HashSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), 50);
    }
}
