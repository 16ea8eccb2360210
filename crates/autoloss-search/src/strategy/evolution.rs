//! Ageing evolution, and random search, which is its ablation.

use std::collections::HashSet;

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
    climb: Climb,
    /// Numbers of the members of earlier climbs.
    forgotten: HashSet<u64>,
    /// Whether parents have mates.
    crosses: bool,
}

impl AgeingEvolution {
    pub(super) fn new(settings: &SearchSettings) -> Self {
        let patience = match settings.patience {
            0 => 0,
            // Given losses are what all others are to come from.
            _ if !settings.start.is_empty() => 0,
            // Losses that were chosen before the best one had its score tell nothing of the climb.
            patience => patience.max(2 * settings.training_count()),
        };
        Self {
            population: Population::new(settings.population),
            initial: settings.initial as u64,
            tournament: settings.tournament,
            climb: Climb::new(patience, settings.initial),
            forgotten: HashSet::new(),
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
        if number < self.initial || self.begins_anew() {
            return Start::Random;
        }
        let Some(parent) = self.winner(rng) else {
            return Start::Random;
        };
        let mate = self.crosses.then(|| self.winner(rng)).flatten();
        Start::Parent { parent, mate }
    }

    fn join(&mut self, member: Member) {
        if !self.climb.takes(&member) {
            self.forgotten.insert(member.id);
            return;
        }
        self.population.join(member);
        if self.climb.has_ended() {
            self.population.clear();
            let next = Climb::new(self.climb.patience, self.climb.initial);
            let ended = std::mem::replace(&mut self.climb, next);
            self.forgotten.extend(ended.members);
        }
    }

    fn begins_anew(&self) -> bool {
        let is_later_climb = !self.forgotten.is_empty();
        is_later_climb && (self.climb.members.len() as u64) < self.initial
    }

    fn knows(&self, id: u64) -> bool {
        !self.forgotten.contains(&id)
    }

    fn correct(&mut self, trained: u64, score: f64) {
        self.population.correct(trained, score);
    }
}

/// Share of the distance between the median and the best score by which another score has to be above the best.
const STEP: f64 = 0.15;

/// The evolution from fresh random losses until no better score is found for a while, as in hill climbing with
/// restarts. All parents are of one climb: tournaments would else choose the leader of the first one for ever. (ours)
struct Climb {
    /// Trainings without a better score that end it; 0: any number.
    patience: usize,
    /// Its first trainings, which are not expected to be better.
    initial: usize,
    /// Numbers of its members.
    members: HashSet<u64>,
    /// The scores of its trainings, in ascending order.
    scores: Vec<f64>,
    /// The best score, but for better ones by less than a step.
    best: f64,
    /// Trainings since then.
    fruitless: usize,
}

impl Climb {
    fn new(patience: usize, initial: usize) -> Self {
        Self {
            patience,
            initial,
            members: HashSet::new(),
            scores: Vec::new(),
            best: f64::NEG_INFINITY,
            fruitless: 0,
        }
    }

    /// Whether a loss belongs to it: the offspring of an earlier one, which was in training when that ended, does
    /// not.
    fn takes(&mut self, member: &Member) -> bool {
        if member
            .parent
            .is_some_and(|parent| !self.members.contains(&parent))
        {
            return false;
        }
        self.members.insert(member.id);
        if member.trained == member.id {
            self.trained(member.score);
        }
        true
    }

    fn trained(&mut self, score: f64) {
        let median = self.scores.get(self.scores.len() / 2);
        let step = median.map_or(0.0, |median| STEP * (self.best - median).max(0.0));
        if score > self.best + step {
            (self.best, self.fruitless) = (score, 0);
        } else if self.scores.len() >= self.initial {
            self.fruitless += 1;
        }
        let place = self.scores.partition_point(|other| *other < score);
        self.scores.insert(place, score);
    }

    const fn has_ended(&self) -> bool {
        self.patience > 0 && self.fruitless >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use autoloss_expr::{Loss, Tree};

    use super::*;
    use crate::seed::{Stream, generator};

    /// A loss of that number, parent and score.
    fn member(id: u64, parent: Option<u64>, score: f64) -> Member {
        Member {
            id,
            trained: id,
            parent,
            loss: Loss::single("", Tree::one()),
            score,
        }
    }

    fn evolution(settings: &SearchSettings) -> AgeingEvolution {
        AgeingEvolution::new(&SearchSettings {
            initial: 1,
            tournament: 1.0,
            workers: settings.workers.max(1),
            ..settings.clone()
        })
    }

    /// The parent of the next proposal.
    fn parent(evolution: &mut AgeingEvolution) -> Option<u64> {
        match evolution.start(9, &mut generator(0, Stream::Proposal, 0)) {
            Start::Parent { parent, .. } => Some(parent.id),
            _ => None,
        }
    }

    #[test]
    fn a_climb_ends_without_a_better_score_and_its_offspring_are_no_parents() {
        let mut evolution = evolution(&SearchSettings {
            patience: 3,
            ..SearchSettings::default()
        });
        evolution.join(member(1, None, 0.2));
        evolution.join(member(2, Some(1), 0.6));
        // Above the best by less than a step: 5 % of 0.4.
        evolution.join(member(3, Some(2), 0.61));
        evolution.join(member(4, Some(2), 0.7));
        evolution.join(member(5, Some(4), 0.5));
        // A copy is no training.
        evolution.join(Member {
            trained: 4,
            ..member(6, Some(4), 0.7)
        });
        evolution.join(member(7, Some(6), 0.5));
        assert_eq!(parent(&mut evolution), Some(4));
        assert!(!evolution.begins_anew() && (1..=7).all(|id| evolution.knows(id)));
        evolution.join(member(8, Some(6), 0.5));
        assert_eq!(parent(&mut evolution), None);
        evolution.join(member(9, Some(4), 0.9));
        assert_eq!(parent(&mut evolution), None);
        assert!(evolution.begins_anew() && !(1..=9).any(|id| evolution.knows(id)));
        evolution.join(member(10, None, 0.1));
        assert!(!evolution.begins_anew() && evolution.knows(10));
        evolution.join(member(11, Some(10), 0.3));
        assert_eq!(parent(&mut evolution), Some(11));
    }

    #[test]
    fn a_climb_of_many_workers_has_twice_as_many_trainings_to_become_better() {
        let mut evolution = evolution(&SearchSettings {
            patience: 3,
            workers: 4,
            ..SearchSettings::default()
        });
        for id in 1..=8 {
            evolution.join(member(id, None, 1.0 / id as f64));
            assert!(parent(&mut evolution).is_some(), "{id}");
        }
        evolution.join(member(9, None, 0.1));
        assert_eq!(parent(&mut evolution), None);
    }

    #[test]
    fn given_losses_stay_parents_and_so_do_all_without_patience() {
        let given = SearchSettings {
            patience: 1,
            start: vec!["zoo".to_owned()],
            ..SearchSettings::default()
        };
        let without = SearchSettings {
            patience: 0,
            ..SearchSettings::default()
        };
        for settings in [given, without] {
            let mut evolution = evolution(&settings);
            for id in 1..100 {
                evolution.join(member(id, None, 1.0 / id as f64));
            }
            assert_eq!(parent(&mut evolution), Some(1));
        }
    }
}
