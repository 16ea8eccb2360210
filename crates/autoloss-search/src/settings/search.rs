//! The `[search]` section: proposals and evaluations of candidates.

use std::collections::BTreeMap;

use autoloss_expr::{Operator, nearest};
use serde::{Deserialize, Serialize};

use super::error::{SettingsError, check};

/// Source of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Ageing evolution.
    Evolution,
    /// Every candidate a fresh random loss: the ablation.
    Random,
    /// Auto Seg-Loss: curves in the task's metric, found by a policy.
    Asl,
    /// Evolution with the screening of CSE-AutoLoss: convergence on made-up predictions.
    Cse,
}

impl Strategy {
    /// Candidates that are found for each training where the settings do not say it.
    pub(super) const fn choices(self) -> usize {
        match self {
            Self::Evolution => 100,
            Self::Random | Self::Asl | Self::Cse => 1,
        }
    }
}

/// Place of the trainings of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On threads of the search's own process.
    #[default]
    Threads,
    /// Each worker in a process of its own.
    Processes,
}

/// Branches that a restart in the course of evolution makes anew. The paper speaks of a fresh random tree and
/// is silent about losses of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartBranches {
    /// A single branch of the parent, drawn uniformly from those that are searched.
    One,
    /// All branches that are searched: nothing of the parent is left.
    All,
}

/// The `[search]` section; `default.toml` tells each key's meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "default.toml documents every key, and a test sees to it"
)]
pub struct SearchSettings {
    pub strategy: Strategy,
    pub seed: u64,
    pub evaluations: Option<u64>,
    pub time: Option<f64>,
    pub workers: usize,
    pub executor: Place,
    pub devices: Vec<String>,
    pub trial_time: Option<f64>,
    pub population: usize,
    pub initial: usize,
    pub start: Vec<String>,
    pub start_screened: bool,
    pub tournament: f64,
    pub copy: f64,
    pub restart: f64,
    pub restart_branches: RestartBranches,
    pub crossover: f64,
    pub constants: f64,
    pub tuning: f64,
    pub balance: bool,
    pub depth: usize,
    pub operators: Vec<String>,
    pub patience: usize,
    pub choices: usize,
    pub local_search: f64,
    pub max_draws: u64,
    pub policy_samples: usize,
    pub equivalence: bool,
    pub stop_on_invalid: bool,
    pub all_metrics: bool,
    pub rungs: Vec<f64>,
    pub rung_share: f64,
    pub leader_trainings: usize,
    pub final_losses: usize,
    pub finalist_seeds: usize,
    pub final_seeds: usize,
    pub fixed: BTreeMap<String, String>,
}

impl SearchSettings {
    /// Number of the best losses that a finished run shows: those of the final comparison, or the default
    /// number where there is none.
    #[must_use]
    pub fn shown_losses(&self) -> usize {
        match self.final_losses {
            0 => Self::default().final_losses,
            n => n,
        }
    }

    /// Whether candidates to choose from come from a local search.
    pub(crate) fn searches_locally(&self) -> bool {
        self.choices_from_trained() < self.choices
    }

    /// Number of candidates to choose from that come from trained losses or are random; the others come from a local
    /// search.
    pub(crate) fn choices_from_trained(&self) -> usize {
        match self.strategy {
            Strategy::Evolution | Strategy::Cse => {
                (self.choices as f64 * (1.0 - self.local_search)).ceil() as usize
            }
            // All candidates are random.
            Strategy::Random | Strategy::Asl => self.choices,
        }
    }

    /// The operators that were named.
    ///
    /// # Errors
    /// If there are none, or one is unknown.
    pub fn operators(&self) -> Result<Vec<Operator>, SettingsError> {
        check(
            !self.operators.is_empty(),
            "search.operators",
            "empty",
            "at least one operator",
        )?;
        let known = |name: &String| {
            Operator::from_name(name).ok_or_else(|| SettingsError::UnknownOperator {
                name: name.clone(),
                nearest: nearest(name, Operator::ALL.iter().map(|op| op.name())).map(str::to_owned),
            })
        };
        self.operators.iter().map(known).collect()
    }

    /// The number of workers: as many as cores where the setting is 0.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }

    /// The number of trainings side by side: as many as devices, or else as cores, where the setting is 0.
    #[must_use]
    pub fn training_count(&self) -> usize {
        match (self.workers, self.devices.len()) {
            (0, devices @ 1..) => devices,
            _ => self.worker_count(),
        }
    }
}
