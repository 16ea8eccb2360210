//! Fidelity of a proxy: agreement of the proxy's ranking of losses with that of full training.
//!
//! A [`panel()`] of losses is trained by both; the [`FidelityReport`] compares the two rankings and the costs.

mod correlation;
mod panel;

use crate::comparison::{Comparison, Entry, entries};
use crate::event::{Ended, Training};
use crate::seed::fidelity_seeds;
use crate::task::{EvaluationSet, Job, SEARCH_SCORE, Schedule};

pub use correlation::{Correlation, Pair, kendall, mid_ranks, regret, spearman};
pub use panel::{PanelKind, PanelLoss, panel};

/// Losses that have to train at all for a ranking to tell anything.
pub const LEAST: usize = 8;

/// Losses with the best proxy scores among which the regret looks for the best one in full training.
pub const CHOSEN: usize = 3;

/// Reason for which a proxy could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FidelityError {
    /// Full training does too little with too many losses.
    #[error(
        "only {trained} of the {all} losses of the panel train at all, expected at least {LEAST}: of the others \
         {failed} failed, {stopped} were stopped by values that are not finite, and {constant} end with the \
         lowest score of the panel or with 0. Train longer (task.full.training.steps), or give losses that train \
         (--loss) or a larger panel (--losses)"
    )]
    Trained {
        /// Losses that train.
        trained: usize,
        /// Losses of the panel.
        all: usize,
        /// Losses of which all trainings of a kind failed.
        failed: usize,
        /// Losses of which each full training was stopped.
        stopped: usize,
        /// Losses with the score of a network that has learned nothing.
        constant: usize,
    },
}

/// The trainings of a panel: those by the proxy, scored as a search does, and those in full.
#[derive(Clone, Debug)]
pub struct Trainings {
    /// Each loss by the proxy.
    pub proxy: Vec<Entry>,
    /// Each loss in full.
    pub full: Vec<Entry>,
}

impl Trainings {
    /// The trainings with numbers of seeds of the proxy and of full training, no seed in both; more seeds begin
    /// with the same ones.
    #[must_use]
    pub fn new(panel: &[PanelLoss], seed: u64, (proxy, full): (usize, usize), base: &Job) -> Self {
        let seeds = fidelity_seeds(seed, 2 * proxy.max(full));
        let every_second = |first: usize, count: usize| -> Vec<u64> {
            seeds
                .iter()
                .skip(first)
                .step_by(2)
                .copied()
                .take(count)
                .collect()
        };
        let losses: Vec<_> = panel
            .iter()
            .map(|l| (l.name.clone(), l.loss.clone()))
            .collect();
        let job = |schedule, set| Job {
            schedule,
            set,
            ..base.clone()
        };
        let search = job(Schedule::Proxy, EvaluationSet::Search);
        let validation = job(Schedule::Full, EvaluationSet::Validation);
        Self {
            proxy: entries(&losses, &every_second(0, proxy), &search, 0),
            full: entries(&losses, &every_second(1, full), &validation, 0),
        }
    }
}

/// A loss of the panel with its trainings.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// Its origin.
    pub kind: PanelKind,
    /// Its trainings by the proxy.
    pub proxy: Comparison,
    /// Its full trainings.
    pub full: Comparison,
}

impl Tried {
    /// Mean scores by the proxy and in full; `None` where all trainings of a kind failed.
    #[must_use]
    pub fn scores(&self) -> Option<Pair> {
        Some((rounded(self.proxy.mean?), rounded(self.full.mean?)))
    }

    /// Whether values that are not finite stopped every full training.
    fn stopped(&self) -> bool {
        self.full
            .trainings
            .iter()
            .all(|training| training.note.is_some())
    }
}

/// Agreement of two rankings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fidelity {
    /// Spearman's rank correlation.
    pub spearman: Correlation,
    /// Kendall's tau-b.
    pub kendall: Correlation,
    /// Best score in full training of the panel less that of the [`CHOSEN`] losses with the best proxy scores.
    pub regret: f64,
}

impl Fidelity {
    fn new(pairs: &[Pair], seed: u64) -> Self {
        Self {
            spearman: Correlation::new(pairs, spearman, seed),
            kendall: Correlation::new(pairs, kendall, seed),
            regret: regret(pairs, CHOSEN),
        }
    }
}

/// A panel with all its trainings.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityReport {
    /// The losses, the best in full training first, those without a score last.
    pub losses: Vec<Tried>,
    seed: u64,
}

impl FidelityReport {
    /// Puts the trainings of a panel together; those of other losses are left out. The seed is that of the
    /// bootstrap intervals.
    #[must_use]
    pub fn new(panel: &[PanelLoss], proxy: &[Ended], full: &[Ended], seed: u64) -> Self {
        let tried = |loss: &PanelLoss| Tried {
            name: loss.name.clone(),
            formula: loss.loss.to_string(),
            kind: loss.kind,
            proxy: Comparison::of(&loss.name, &loss.loss, proxy),
            full: Comparison::of(&loss.name, &loss.loss, full),
        };
        let mut losses: Vec<Tried> = panel.iter().map(tried).collect();
        losses.sort_by(|a, b| a.full.better_first(&b.full));
        Self { losses, seed }
    }

    /// The proxy scores and full scores of the losses that have both.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        self.losses.iter().filter_map(Tried::scores).collect()
    }

    /// The agreement of the rankings by the searched metric.
    ///
    /// # Errors
    /// Fewer than [`LEAST`] losses that train at all.
    pub fn fidelity(&self) -> Result<Fidelity, FidelityError> {
        self.check()?;
        Ok(Fidelity::new(&self.pairs(), self.seed))
    }

    /// Losses that train at all: those with a score whose full trainings were not all stopped and whose mean
    /// score is above 0 and above the lowest one of the panel. A score that no other loss has is not that of a
    /// network that has learned nothing, which always predicts the same: a lowest one that is alone counts.
    pub fn trained(&self) -> impl Iterator<Item = &Tried> {
        let scored = || self.losses.iter().filter_map(Tried::scores);
        let lowest = scored().map(|pair| pair.1).fold(f64::INFINITY, f64::min);
        let alone = scored().filter(|pair| pair.1 == lowest).count() == 1;
        let trains = move |full: f64| full > 0.0 && (full > lowest || alone);
        let losses = self.losses.iter();
        losses.filter(move |tried| tried.scores().is_some_and(|s| trains(s.1)) && !tried.stopped())
    }

    fn check(&self) -> Result<(), FidelityError> {
        let (trained, all) = (self.trained().count(), self.losses.len());
        if trained >= LEAST {
            return Ok(());
        }
        let scored: Vec<&Tried> = self
            .losses
            .iter()
            .filter(|t| t.scores().is_some())
            .collect();
        let stopped = scored.iter().filter(|tried| tried.stopped()).count();
        Err(FidelityError::Trained {
            trained,
            all,
            failed: all - scored.len(),
            stopped,
            constant: scored.len() - stopped - trained,
        })
    }

    /// The agreement by each further metric that every finished training was scored by, by its name.
    #[must_use]
    pub fn by_metric(&self, searched: &str) -> Vec<(String, Fidelity)> {
        let finished = || {
            let all = self
                .losses
                .iter()
                .flat_map(|t| t.proxy.trainings.iter().chain(&t.full.trainings));
            all.filter(|training| training.note.is_none())
        };
        let names = finished().next().map(|training| &training.metrics);
        let names = names.into_iter().flatten().map(|(name, _)| name);
        let names = names.filter(|name| *name != searched && *name != SEARCH_SCORE);
        let everywhere = |name: &&String| finished().all(|t| metric(t, name).is_some());
        names
            .filter(everywhere)
            .map(|name| {
                // A stopped training has no metric but a score of 0.
                let score = |training: &Training| metric(training, name).unwrap_or(0.0);
                let mean = |of: &Comparison| of.clone().scored_by(score).mean.map(rounded);
                let pair = |tried: &Tried| Some((mean(&tried.proxy)?, mean(&tried.full)?));
                let pairs: Vec<Pair> = self.losses.iter().filter_map(pair).collect();
                (name.clone(), Fidelity::new(&pairs, self.seed))
            })
            .collect()
    }

    /// Mean seconds of the trainings of a schedule that were made to their end.
    #[must_use]
    pub fn seconds(&self, schedule: Schedule) -> Option<f64> {
        let trainings = self.losses.iter().flat_map(|tried| match schedule {
            Schedule::Proxy => &tried.proxy.trainings,
            Schedule::Full => &tried.full.trainings,
        });
        let finished = trainings.filter(|training| training.note.is_none());
        let seconds: Vec<f64> = finished.map(|training| training.seconds).collect();
        (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
    }

    /// Mean cost of a full training in proxy trainings.
    #[must_use]
    pub fn cost_ratio(&self) -> Option<f64> {
        let (proxy, full) = (
            self.seconds(Schedule::Proxy)?,
            self.seconds(Schedule::Full)?,
        );
        (proxy > 0.0).then(|| full / proxy)
    }
}

/// A score to nine decimals: equal scores have equal means, whatever the order of their sums.
fn rounded(score: f64) -> f64 {
    (score * 1e9).round() / 1e9
}

fn metric(training: &Training, name: &str) -> Option<f64> {
    let mut metrics = training.metrics.iter();
    metrics
        .find(|(other, _)| other == name)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests;
