//! Streams of random numbers, one for each use and each item.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Use of a random stream. Streams of different uses never coincide, in whatever crate they are drawn from: all uses
/// stand here, each with a number that stored results depend on.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// A training scene of digits.
    TrainScene = 1,
    /// A validation scene of digits.
    ValScene = 2,
    /// The order of the examples in an epoch.
    EpochOrder = 3,
    /// The variation of an example of a batch.
    Augmentation = 4,
    /// A training scene of figures.
    FigureTrain = 5,
    /// A validation scene of figures.
    FigureVal = 6,
    /// The regions that a detector is trained on.
    Regions = 7,
    /// The division of the training data into training and search set.
    Division = 8,
    /// A picture of a single digit.
    SingleDigit = 9,
}

/// The generator of item `index`, a pure function of its arguments: items can be made in any order and by any thread.
/// The arguments fill the key of the cipher, so that two different triples never share a stream.
#[must_use]
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_differ_in_seed_purpose_and_index() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        let base = draw(1, Purpose::EpochOrder, 1);
        assert_eq!(base, draw(1, Purpose::EpochOrder, 1));
        assert_ne!(base, draw(2, Purpose::EpochOrder, 1));
        assert_ne!(base, draw(1, Purpose::Augmentation, 1));
        assert_ne!(base, draw(1, Purpose::EpochOrder, 2));
    }
}
