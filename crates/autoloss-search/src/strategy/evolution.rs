//! Ageing evolution, and random search, which is its ablation.

use rand_chacha::ChaCha8Rng;

use super::start::{Sampler, Start};
use crate::population::{Member, Population};
use crate::settings::SearchSettings;

/// Random search: the paper's ablation.
pub(super) struct RandomSearch;

impl Sampler for RandomSearch {
    fn start(&mut self, _: u64, _: &mut ChaCha8Rng) -> Start {
        Start::Random
    }

    fn join(&mut self, _: Member) {}

    fn correct(&mut self, _: u64, _: f64) {}
}

/// Ageing evolution, as in the paper: the winner of a tournament among the newest members is the
/// parent.
pub(super) struct AgeingEvolution {
    population: Population,
    initial: u64,
    tournament: f64,
    /// Whether parents have mates.
    crosses: bool,
}

impl AgeingEvolution {
    pub(super) fn new(settings: &SearchSettings) -> Self {
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
