//! The population: the newest members, and the tournament that chooses parents among them.

use std::collections::VecDeque;

use autoloss_expr::Loss;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// A scored candidate that may become a parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The candidate's number.
    pub id: u64,
    /// Number of the candidate whose trainings gave the score: its own, or that of an equivalent one.
    pub trained: u64,
    /// Number of its parent; `None` for a loss that has none.
    pub parent: Option<u64>,
    /// Its loss.
    pub loss: Loss,
    /// Its proxy score; the mean where there are several trainings.
    pub score: f64,
}

/// The newest members, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Population {
    members: VecDeque<Member>,
    capacity: usize,
}

impl Population {
    /// An empty population that keeps `capacity` members.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            members: VecDeque::new(),
            capacity,
        }
    }

    /// Lets a member join; the oldest goes where there are too many.
    pub fn join(&mut self, member: Member) {
        self.members.push_back(member);
        if self.members.len() > self.capacity {
            self.members.pop_front();
        }
    }

    /// Lets all members go.
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// Gives all members with the score of a candidate's trainings another one.
    pub fn correct(&mut self, trained: u64, score: f64) {
        let members = self.members.iter_mut();
        for member in members.filter(|member| member.trained == trained) {
            member.score = score;
        }
    }

    /// The best of a `share` of the members (at least one), drawn uniformly without replacement;
    /// of equal scores the older member. `None` while nobody has joined.
    pub fn tournament(&self, share: f64, rng: &mut ChaCha8Rng) -> Option<&Member> {
        drawn(self.members.len(), share, rng)
            // The smaller place wins among equal scores, whatever the order of the draws.
            .max_by(|&a, &b| {
                let scores = self.members[a].score.total_cmp(&self.members[b].score);
                scores.then(b.cmp(&a))
            })
            .map(|place| &self.members[place])
    }

    /// The members, oldest first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }
}

/// The places that a tournament draws of so many, uniformly without replacement: a `share`, at least one.
pub(crate) fn drawn(
    size: usize,
    share: f64,
    rng: &mut ChaCha8Rng,
) -> impl Iterator<Item = usize> + use<> {
    let count = (size as f64 * share).round() as usize;
    index::sample(rng, size, count.max(1).min(size)).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Stream, generator};
    use autoloss_expr::Tree;

    fn population(capacity: usize, scores: &[f64]) -> Population {
        let mut population = Population::new(capacity);
        for (id, &score) in (0..).zip(scores) {
            let loss = Loss::single("", Tree::one());
            let trained = id;
            population.join(Member {
                id,
                trained,
                parent: None,
                loss,
                score,
            });
        }
        population
    }

    #[test]
    fn a_corrected_score_holds_for_all_that_have_it() {
        let mut population = population(9, &[0.5, 0.9, 0.7]);
        population.members[0].trained = 1;
        population.correct(1, 0.1);
        let scores: Vec<f64> = population.members().map(|m| m.score).collect();
        assert_eq!(scores, [0.1, 0.1, 0.7]);
    }

    #[test]
    fn the_oldest_goes_first() {
        let population = population(3, &[9.0, 1.0, 2.0, 3.0]);
        let ids: Vec<u64> = population.members().map(|m| m.id).collect();
        assert_eq!(ids, [1, 2, 3]);
    }

    #[test]
    fn a_tournament_of_all_gives_the_best_and_of_equals_the_older() {
        let mut rng = generator(0, Stream::Proposal, 0);
        for _ in 0..20 {
            let best = |p: &Population, rng: &mut _| p.tournament(1.0, rng).unwrap().id;
            assert_eq!(best(&population(9, &[0.1, 0.5, 0.3, 0.5]), &mut rng), 1);
        }
        assert!(population(9, &[]).tournament(1.0, &mut rng).is_none());
    }

    #[test]
    fn a_tournament_of_one_is_uniform() {
        let population = population(20, &[0.5; 20]);
        let mut rng = generator(0, Stream::Proposal, 0);
        let mut wins = [0; 20];
        for _ in 0..20_000 {
            wins[population.tournament(0.05, &mut rng).unwrap().id as usize] += 1;
        }
        assert!(wins.iter().all(|n| (850..1150).contains(n)), "{wins:?}");
    }

    #[test]
    fn the_best_of_two_in_four_wins_half_of_the_time() {
        let population = population(4, &[0.1, 0.9, 0.2, 0.3]);
        let mut rng = generator(0, Stream::Proposal, 0);
        let wins = (0..10_000)
            .filter(|_| population.tournament(0.5, &mut rng).unwrap().id == 1)
            .count();
        assert!((4700..5300).contains(&wins), "{wins}");
    }
}
