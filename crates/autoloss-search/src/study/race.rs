//! Racing: the losses that lead by their mean scores are trained again with further seeds, until each has its
//! number of trainings or falls behind, so that a lucky seed leads no more. (ours; after the aggressive racing of
//! Hutter, Hoos and Leyton-Brown 2011)

use std::collections::BTreeMap;

use autoloss_expr::Loss;

use super::trial::TrialId;
use crate::comparison::mean_and_std;
use crate::event::Best;
use crate::population::Member;
use crate::settings::SearchSettings;

/// The number of a further training is in the bits from this one of its trial's number; that of its candidate
/// is below.
const REPEAT: u32 = 44;

/// Entrants kept, the best by their mean scores: for another one to lead again, all but a few of them would have to
/// fall behind it in further trainings.
const KEPT: usize = 1024;

/// A trained candidate.
struct Entrant {
    loss: Loss,
    /// The formula that it is trained by.
    formula: String,
    scores: Vec<f64>,
    /// Whether it is in training again.
    running: bool,
    /// Whether a further training failed: it gets no more.
    closed: bool,
}

impl Entrant {
    fn mean(&self) -> f64 {
        mean_and_std(&self.scores).0
    }
}

/// A further training of a leader to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    /// Number of the candidate.
    pub(super) candidate: u64,
    /// Number of the further training, from 0.
    pub(super) number: usize,
    /// The candidate's formula.
    pub(super) formula: String,
}

impl Repeat {
    /// Number of its trial, which no candidate has.
    pub(super) const fn trial(&self) -> TrialId {
        ((self.number as u64 + 1) << REPEAT) | self.candidate
    }
}

/// The trained candidates of a search and their further trainings.
pub(super) struct Race {
    /// Candidates that lead.
    leaders: usize,
    /// Trainings of each of them.
    trainings: usize,
    /// Candidates that are trained before any leads.
    least: usize,
    entrants: BTreeMap<u64, Entrant>,
}

impl Race {
    pub(super) fn new(search: &SearchSettings) -> Self {
        Self {
            leaders: search.final_losses.max(1),
            trainings: search.leader_trainings,
            least: search.initial,
            entrants: BTreeMap::new(),
        }
    }

    /// Enters a candidate with its first score.
    pub(super) fn enter(&mut self, id: u64, (loss, formula): (&Loss, &str), score: f64) {
        let entrant = Entrant {
            loss: loss.clone(),
            formula: formula.to_owned(),
            scores: vec![score],
            running: false,
            closed: false,
        };
        self.entrants.insert(id, entrant);
        if self.entrants.len() >= 2 * KEPT {
            for id in self.ranking().drain(KEPT..) {
                self.entrants.remove(&id);
            }
        }
    }

    /// The leader that has too few trainings and is not in training, the best first.
    pub(super) fn next(&mut self) -> Option<Repeat> {
        if self.trainings < 2 || self.entrants.len() < self.least {
            return None;
        }
        let wanted = self.ranking().into_iter().take(self.leaders).find(|id| {
            let entrant = &self.entrants[id];
            !entrant.running && !entrant.closed && entrant.scores.len() < self.trainings
        })?;
        let entrant = self.entrants.get_mut(&wanted)?;
        entrant.running = true;
        Some(Repeat {
            candidate: wanted,
            number: entrant.scores.len() - 1,
            formula: entrant.formula.clone(),
        })
    }

    /// A further training ended with a score: the mean of the candidate's scores, and their number.
    pub(super) fn finish(&mut self, id: u64, score: f64) -> Option<(f64, usize)> {
        let entrant = self.entrants.get_mut(&id)?;
        entrant.running = false;
        entrant.scores.push(score);
        Some((entrant.mean(), entrant.scores.len()))
    }

    /// A further training ended before its time: it is made again.
    pub(super) fn interrupt(&mut self, id: u64) {
        if let Some(entrant) = self.entrants.get_mut(&id) {
            entrant.running = false;
        }
    }

    /// A further training failed.
    pub(super) fn close(&mut self, id: u64) {
        if let Some(entrant) = self.entrants.get_mut(&id) {
            (entrant.running, entrant.closed) = (false, true);
        }
    }

    /// Mean score and number of trainings of a candidate.
    pub(super) fn standing(&self, id: u64) -> Option<(f64, usize)> {
        let entrant = self.entrants.get(&id)?;
        Some((entrant.mean(), entrant.scores.len()))
    }

    /// The best candidate by its mean score.
    pub(super) fn best(&self) -> Option<Best> {
        let id = self.ranking().into_iter().next()?;
        let entrant = &self.entrants[&id];
        Some(Best {
            id,
            score: entrant.mean(),
            formula: entrant.formula.clone(),
        })
    }

    /// The candidates that lead, the best first.
    pub(super) fn leaders(&self) -> Vec<Member> {
        let ranking = self.ranking().into_iter().take(self.leaders);
        let member = |id: u64| {
            let entrant = &self.entrants[&id];
            Member {
                id,
                trained: id,
                parent: None,
                loss: entrant.loss.clone(),
                score: entrant.mean(),
            }
        };
        ranking.map(member).collect()
    }

    /// The candidates, the best first; the earlier one of equals.
    fn ranking(&self) -> Vec<u64> {
        let means = self.entrants.iter().map(|(id, e)| (*id, e.mean()));
        let mut ranking: Vec<(u64, f64)> = means.collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranking.into_iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_expr::Tree;

    fn race(leader_trainings: usize, scores: &[f64]) -> Race {
        let mut race = Race::new(&SearchSettings {
            leader_trainings,
            final_losses: 2,
            initial: 3,
            ..SearchSettings::default()
        });
        for (id, score) in (1..).zip(scores) {
            race.enter(id, (&Loss::single("", Tree::one()), "1"), *score);
        }
        race
    }

    fn next(race: &mut Race) -> Option<(u64, usize)> {
        race.next().map(|repeat| (repeat.candidate, repeat.number))
    }

    #[test]
    fn those_that_lead_are_trained_again_until_they_have_their_number() {
        let mut race = race(3, &[0.1, 0.5, 0.4]);
        assert_eq!(next(&mut race), Some((2, 0)));
        assert_eq!(next(&mut race), Some((3, 0)));
        assert_eq!(next(&mut race), None);
        assert_eq!(race.finish(2, 0.1), Some((0.3, 2)));
        // The candidate leads no more, but is second still.
        assert_eq!(next(&mut race), Some((2, 1)));
        assert_eq!(race.finish(3, 0.4), Some((0.4, 2)));
        assert_eq!(race.best().unwrap().id, 3);
        assert_eq!(next(&mut race), Some((3, 1)));
        race.finish(2, 0.0);
        race.finish(3, 0.4);
        // Two means of three: 0.2 and 0.4; nobody else is better.
        assert_eq!(next(&mut race), None);
        race.enter(9, (&Loss::single("", Tree::one()), "1"), 0.3);
        let leaders: Vec<u64> = race.leaders().iter().map(|leader| leader.id).collect();
        assert_eq!(leaders, [3, 9]);
        assert_eq!(next(&mut race), Some((9, 0)));
        assert_eq!(race.standing(9), Some((0.3, 1)));
    }

    #[test]
    fn nobody_is_trained_again_before_there_are_enough_or_where_one_training_decides() {
        assert_eq!(next(&mut race(3, &[0.1, 0.5])), None);
        assert_eq!(next(&mut race(1, &[0.1, 0.5, 0.4])), None);
    }

    #[test]
    fn the_best_of_many_are_kept() {
        let scores: Vec<f64> = (0..3000).map(|n| f64::from(n * 7 % 3001)).collect();
        let mut race = race(2, &scores);
        assert!(race.entrants.len() < 2 * KEPT);
        let highest = scores.iter().copied().fold(0.0, f64::max);
        assert_eq!(race.best().map(|best| best.score), Some(highest));
        assert_eq!(race.leaders()[1].score, highest - 1.0);
        assert!(race.next().is_some());
    }

    #[test]
    fn a_training_that_failed_is_the_last_and_one_cut_off_is_made_again() {
        let mut race = race(2, &[0.1, 0.2, 0.4]);
        assert_eq!(next(&mut race), Some((3, 0)));
        race.interrupt(3);
        assert_eq!(next(&mut race), Some((3, 0)));
        race.close(3);
        assert_eq!(next(&mut race), Some((2, 0)));
        assert_eq!(next(&mut race), None);
    }

    #[test]
    fn trials_of_further_trainings_have_numbers_of_their_own() {
        let repeat = |candidate, number| Repeat {
            candidate,
            number,
            formula: String::new(),
        };
        let numbers = [(1, 0), (1, 1), (2, 0)].map(|(c, n)| repeat(c, n).trial());
        assert!(
            numbers
                .iter()
                .all(|number| *number > 1 << 40 && *number < 1 << 53)
        );
        assert!(numbers[0] != numbers[1] && numbers[0] != numbers[2]);
    }
}
