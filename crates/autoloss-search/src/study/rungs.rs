//! Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934): a training goes on at a rung if its score
//! is among the better ones that reached the rung so far.

use std::collections::HashMap;

use super::trial::TrialId;
use crate::settings::SearchSettings;

/// Decision about a training that has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The training goes on.
    Continue,
    /// The training is to be ended: [`Study::tell`](super::Study::tell) then takes whatever its outcome is.
    Prune,
}

/// The rungs of a search.
pub(super) struct Rungs {
    shares: Vec<f64>,
    /// Share of the trainings that go on.
    kept: f64,
    /// Reports of a rung before the first training is ended there.
    least: usize,
    /// Scores at each rung, by the trial.
    scores: Vec<HashMap<TrialId, f64>>,
    /// Final scores of trials that came to their end.
    finals: HashMap<TrialId, f64>,
}

impl Rungs {
    pub(super) fn new(search: &SearchSettings) -> Self {
        Self {
            shares: search.rungs.clone(),
            kept: search.rung_share,
            least: search.initial,
            scores: vec![HashMap::new(); search.rungs.len()],
            finals: HashMap::new(),
        }
    }

    /// The shares of the updates at which trainings report.
    pub(super) fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Takes a report; `None` where it is none of a rung, or was made before.
    pub(super) fn report(&mut self, id: TrialId, share: f64, score: f64) -> Option<Decision> {
        let rung = self.enter(id, share, score)?;
        let scores = &self.scores[rung];
        let better = scores.values().filter(|other| **other > score).count();
        let go_on = (scores.len() as f64 * self.kept).ceil();
        Some(match scores.len() >= self.least && better as f64 >= go_on {
            true => Decision::Prune,
            false => Decision::Continue,
        })
    }

    /// Enters a report: the number of its rung, if it is new.
    pub(super) fn enter(&mut self, id: TrialId, share: f64, score: f64) -> Option<usize> {
        let same = |rung: &f64| (rung - share).abs() < 1e-9;
        let rung = self.shares.iter().position(same)?;
        self.scores[rung]
            .insert(id, score)
            .is_none()
            .then_some(rung)
    }

    /// Enters the final score of a trial.
    pub(super) fn finish(&mut self, id: TrialId, score: f64) {
        if !self.shares.is_empty() {
            self.finals.insert(id, score);
        }
    }

    /// Share of the updates at the last rung that a trial has reached.
    pub(super) fn reached(&self, id: TrialId) -> Option<f64> {
        let rungs = self.shares.iter().zip(&self.scores).rev();
        let mut reached = rungs.filter(|(_, scores)| scores.contains_key(&id));
        reached.next().map(|(share, _)| *share)
    }

    /// The final score of the finished trial that was most like this one at its last rung: what a pruned
    /// training is thought to be worth. `None` before any finished that passed the rung.
    pub(super) fn worth(&self, id: TrialId) -> Option<f64> {
        let at = self.scores.iter().rev().find(|at| at.contains_key(&id))?;
        let score = at[&id];
        let finished = at.iter().filter_map(|(other, at)| {
            let end = self.finals.get(other)?;
            Some(((at - score).abs(), *other, *end))
        });
        let nearest = finished.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.map(|(_, _, end)| end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(initial: usize, rung_share: f64) -> Rungs {
        Rungs::new(&SearchSettings {
            rungs: vec![0.25, 0.5],
            rung_share,
            initial,
            ..SearchSettings::default()
        })
    }

    #[test]
    fn the_better_half_goes_on() {
        let mut rungs = rungs(4, 0.5);
        // Too few reports to end any.
        for (id, score) in [(1, 0.4), (2, 0.3), (3, 0.2)] {
            assert_eq!(rungs.report(id, 0.25, score), Some(Decision::Continue));
        }
        // Of four the third, of five the third, of six the fourth.
        assert_eq!(rungs.report(4, 0.25, 0.25), Some(Decision::Prune));
        assert_eq!(rungs.report(5, 0.25, 0.35), Some(Decision::Continue));
        assert_eq!(rungs.report(6, 0.25, 0.28), Some(Decision::Prune));
        // Each rung by itself; a report twice, or of no rung, changes nothing.
        assert_eq!(rungs.report(1, 0.5, 0.1), Some(Decision::Continue));
        assert_eq!(rungs.report(1, 0.5, 0.9), None);
        assert_eq!(rungs.report(1, 0.3, 0.1), None);
        assert_eq!(
            [1, 2, 9].map(|id| rungs.reached(id)),
            [Some(0.5), Some(0.25), None]
        );
    }

    #[test]
    fn equal_scores_go_on_together() {
        let mut rungs = rungs(1, 0.25);
        for id in 0..20 {
            assert_eq!(rungs.report(id, 0.5, 0.5), Some(Decision::Continue));
        }
        assert_eq!(rungs.report(20, 0.5, 0.4), Some(Decision::Prune));
    }

    #[test]
    fn a_pruned_training_is_worth_what_its_like_came_to() {
        let mut rungs = rungs(1, 0.5);
        for (id, score) in [(1, 0.4), (2, 0.2), (3, 0.21)] {
            rungs.enter(id, 0.25, score);
        }
        assert_eq!(rungs.worth(3), None);
        rungs.finish(1, 0.8);
        assert_eq!(rungs.worth(3), Some(0.8));
        rungs.finish(2, 0.5);
        assert_eq!(rungs.worth(3), Some(0.5));
        assert_eq!(rungs.worth(4), None);
    }
}
