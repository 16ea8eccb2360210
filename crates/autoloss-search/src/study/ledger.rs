//! Scores by equivalence: the candidates that have one, those in training, and those that wait for one.

use std::collections::HashMap;

use super::contender::Contender;
use crate::equivalence::Key;

/// Knowledge of candidates with the same gradient norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// No candidate has these norms.
    New,
    /// A candidate with these norms, by its number, has a score.
    Scored(u64, f64),
    /// A candidate with these norms is in training.
    InTraining(u64),
    /// The training of a candidate with these norms was ended early.
    Pruned(u64),
}

impl Known {
    /// The candidate that it is equivalent to.
    pub(crate) const fn candidate(self) -> Option<u64> {
        match self {
            Self::New => None,
            Self::Scored(id, _) | Self::InTraining(id) | Self::Pruned(id) => Some(id),
        }
    }
}

/// The candidates by the key of their gradient norms.
pub(crate) struct Ledger {
    /// Whether equivalent candidates share a score at all.
    equivalence: bool,
    scored: HashMap<Key, (u64, f64)>,
    /// Candidates whose trainings were ended early.
    pruned: HashMap<Key, u64>,
    /// Candidates in training, each with those that wait for its score.
    training: HashMap<Key, (u64, Vec<Contender>)>,
}

impl Ledger {
    pub(crate) fn new(equivalence: bool) -> Self {
        Self {
            equivalence,
            scored: HashMap::new(),
            pruned: HashMap::new(),
            training: HashMap::new(),
        }
    }

    /// Knowledge of candidates equivalent to one with these norms.
    pub(crate) fn known(&self, norms: &[f64]) -> Known {
        let Some(key) = self.key(norms) else {
            return Known::New;
        };
        if let Some(&(id, score)) = self.scored.get(&key) {
            return Known::Scored(id, score);
        }
        if let Some(id) = self.pruned.get(&key) {
            return Known::Pruned(*id);
        }
        self.training
            .get(&key)
            .map_or(Known::New, |(id, _)| Known::InTraining(*id))
    }

    /// A candidate's training begins.
    pub(crate) fn begin(&mut self, id: u64, norms: &[f64]) {
        if let Some(key) = self.key(norms) {
            self.training.insert(key, (id, Vec::new()));
        }
    }

    /// Lets a candidate wait for the equivalent one in training.
    pub(crate) fn park(&mut self, waiting: Contender) {
        if let Some(key) = self.key(&waiting.candidate.norms)
            && let Some((_, parked)) = self.training.get_mut(&key)
        {
            parked.push(waiting);
        }
    }

    /// A training ended: the candidates that waited for its score.
    pub(crate) fn end(&mut self, norms: &[f64]) -> Vec<Contender> {
        let key = self.key(norms);
        let training = key.and_then(|key| self.training.remove(&key));
        training.map_or_else(Vec::new, |(_, waiting)| waiting)
    }

    /// Enters a score; the first of equivalent candidates counts.
    pub(crate) fn enter(&mut self, id: u64, score: f64, norms: &[f64]) {
        if let Some(key) = self.key(norms) {
            self.scored.entry(key).or_insert((id, score));
        }
    }

    /// Gives a candidate that has a score another one.
    pub(crate) fn correct(&mut self, id: u64, score: f64) {
        let mut scored = self.scored.values_mut();
        if let Some(known) = scored.find(|(known, _)| *known == id) {
            known.1 = score;
        }
    }

    /// Enters a candidate whose training was ended early.
    pub(crate) fn enter_pruned(&mut self, id: u64, norms: &[f64]) {
        if let Some(key) = self.key(norms) {
            self.pruned.entry(key).or_insert(id);
        }
    }

    fn key(&self, norms: &[f64]) -> Option<Key> {
        self.equivalence.then(|| Key::new(norms)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Candidate, Origin};
    use autoloss_expr::{Loss, Tree};

    fn waiting(id: u64, norms: &[f64]) -> Contender {
        Contender::new(
            Candidate {
                id,
                proposal: 0,
                draw: 1,
                parent: None,
                origin: Origin::Random,
                formula: String::new(),
                canonical: String::new(),
                g: None,
                norms: norms.to_vec(),
                seconds: 0.0,
                worker: 0,
            },
            Loss::single("", Tree::one()),
        )
    }

    #[test]
    fn equivalents_of_a_training_wait_for_its_score() {
        let mut ledger = Ledger::new(true);
        let norms = [1.0, 2.0];
        assert_eq!(ledger.known(&norms), Known::New);
        ledger.begin(1, &norms);
        assert_eq!(ledger.known(&[1.001, 2.0]), Known::InTraining(1));
        ledger.park(waiting(2, &norms));
        let parked = ledger.end(&norms);
        ledger.enter(1, 0.5, &norms);
        assert_eq!((parked.len(), parked[0].candidate.id), (1, 2));
        assert_eq!(ledger.known(&norms), Known::Scored(1, 0.5));
        assert_eq!(ledger.known(&[1.1, 2.0]), Known::New);
        ledger.enter(3, 0.7, &norms);
        assert_eq!(ledger.known(&norms), Known::Scored(1, 0.5));
    }

    #[test]
    fn a_training_without_a_score_leaves_nothing_but_those_that_waited() {
        let mut ledger = Ledger::new(true);
        ledger.begin(1, &[1.0]);
        ledger.park(waiting(2, &[1.0]));
        let waited = ledger.end(&[1.0]);
        assert_eq!(waited[0].candidate.id, 2);
        assert_eq!(ledger.known(&[1.0]), Known::New);
        assert!(ledger.end(&[1.0]).is_empty());
    }

    #[test]
    fn without_the_check_no_candidate_is_equivalent() {
        let mut ledger = Ledger::new(false);
        ledger.enter(1, 0.5, &[1.0]);
        assert_eq!(ledger.known(&[1.0]), Known::New);
    }
}
