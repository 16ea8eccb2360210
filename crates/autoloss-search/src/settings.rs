//! Settings of a search: every number of the method that a person may want to change.
//!
//! `default.toml` is the same as [`Settings::default`], with each key's meaning and source.

mod text;

use std::collections::BTreeMap;
use std::fmt::Display;

use autoloss_expr::{Operator, nearest};
use serde::{Deserialize, Serialize};

use crate::random::MAX_DEPTH;
pub use text::{key_value, parse_toml, read_table, set_key};

/// Everything that steers a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How candidates are proposed and evaluated.
    pub search: SearchSettings,
    /// Which candidates are worth an evaluation.
    pub screening: ScreeningSettings,
}

/// Where candidates come from.
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
    const fn choices(self) -> usize {
        match self {
            Self::Evolution => 100,
            Self::Random | Self::Asl | Self::Cse => 1,
        }
    }
}

/// Where the trainings of a search run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On threads of the search's own process.
    #[default]
    Threads,
    /// Each worker in a process of its own.
    Processes,
}

/// What a restart in the course of evolution makes anew. The paper speaks of a fresh random tree and
/// is silent about losses of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartBranches {
    /// One branch of the parent, drawn uniformly from those that are searched.
    One,
    /// All branches that are searched: nothing of the parent is left.
    All,
}

/// The `[search]` section; `default.toml` tells each key's meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    pub tournament: f64,
    pub copy: f64,
    pub restart: f64,
    pub restart_branches: RestartBranches,
    pub depth: usize,
    pub operators: Vec<String>,
    pub choices: usize,
    pub max_draws: u64,
    pub policy_samples: usize,
    pub equivalence: bool,
    pub stop_on_invalid: bool,
    pub all_metrics: bool,
    pub rungs: Vec<f64>,
    pub rung_share: f64,
    pub final_losses: usize,
    pub finalist_seeds: usize,
    pub final_seeds: usize,
    pub fixed: BTreeMap<String, String>,
}

/// The `[screening]` section; `default.toml` tells each key's meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "default.toml documents every key, and a test sees to it"
)]
pub struct ScreeningSettings {
    pub rejection: bool,
    pub branches: Branches,
    pub samples: usize,
    pub threshold: f64,
    pub steps: usize,
    pub step_size: f64,
    pub normalise: bool,
    pub predictions: Predictions,
    pub same_gradient: bool,
    pub early_share: f64,
    pub early_gain: f64,
}

/// How the branches of a task are screened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branches {
    /// Each by itself, by a metric of its own.
    Apart,
    /// All together, by the task's metric.
    Together,
}

/// How the stored predictions are moved in screening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictions {
    /// Themselves; class probabilities are put back into [0, 1] after each step.
    Bounded,
    /// Themselves, wherever that leads.
    Free,
    /// By way of their logits, where they are class probabilities.
    Logits,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Evolution,
            seed: 0,
            evaluations: None,
            time: None,
            workers: 0,
            executor: Place::Threads,
            devices: Vec::new(),
            trial_time: None,
            population: 2500,
            initial: 20,
            tournament: 0.05,
            copy: 0.1,
            restart: 0.5,
            restart_branches: RestartBranches::One,
            depth: 3,
            operators: Operator::default_set()
                .map(|op| op.name().to_owned())
                .collect(),
            choices: 100,
            max_draws: 200_000,
            policy_samples: 32,
            equivalence: true,
            stop_on_invalid: true,
            all_metrics: false,
            rungs: Vec::new(),
            rung_share: 0.5,
            final_losses: 3,
            finalist_seeds: 2,
            final_seeds: 5,
            fixed: BTreeMap::new(),
        }
    }
}

impl Default for ScreeningSettings {
    fn default() -> Self {
        Self {
            rejection: true,
            branches: Branches::Apart,
            samples: 5,
            threshold: 0.6,
            steps: 500,
            step_size: 0.01,
            normalise: false,
            predictions: Predictions::Bounded,
            same_gradient: true,
            early_share: 0.1,
            early_gain: 0.5,
        }
    }
}

/// Settings that make no sense, or text that holds none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, an unknown key, or a value of another type.
    #[error("settings: {0}")]
    Toml(String),
    /// A value outside its range.
    #[error("settings: `{key}` is {value}, expected {expected}")]
    Range {
        /// The key with its section.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A formula that a branch is to be held fixed to.
    #[error("settings: `search.fixed.{branch}`: {reason}")]
    Fixed {
        /// The branch named.
        branch: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An operator that does not exist.
    #[error("settings: `search.operators` names `{name}`, which is no operator{}", hint(nearest.as_deref()))]
    UnknownOperator {
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn check(
    holds: bool,
    key: &'static str,
    value: impl Display + Copy,
    expected: &'static str,
) -> Result<(), SettingsError> {
    if holds {
        return Ok(());
    }
    Err(SettingsError::Range {
        key,
        value: format!("{value}"),
        expected,
    })
}

impl Settings {
    /// The commented defaults, as a file to start from.
    pub const DEFAULT_TOML: &str = include_str!("default.toml");

    /// The published configuration of AutoLoss-Zero (arXiv 2103.14026), where it differs from the defaults or
    /// from a task's settings.
    pub const PAPER_TOML: &str = include_str!("paper.toml");

    /// Reads settings from TOML; keys left out keep their defaults.
    ///
    /// # Errors
    /// If the text is not TOML, has unknown keys, or values that [`Settings::validate`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        Self::from_table(parse_toml(text).map_err(SettingsError::Toml)?)
    }

    /// Settings from a table; keys left out keep their defaults.
    ///
    /// # Errors
    /// If there are unknown keys, or values that [`Settings::validate`] refuses.
    pub fn from_table(table: toml::Table) -> Result<Self, SettingsError> {
        let search = table.get("search");
        let chosen = search.is_some_and(|search| search.get("choices").is_some());
        let mut settings: Self = read_table(table, "").map_err(SettingsError::Toml)?;
        if !chosen {
            settings.search.choices = settings.search.strategy.choices();
        }
        settings.validate()?;
        Ok(settings)
    }

    /// The settings as TOML, without comments.
    ///
    /// # Panics
    /// If the seed is larger than TOML's integers, which [`Settings::validate`] refuses.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("valid settings are expressible in TOML")
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// Names the first key that is out of range and what was expected.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.search.validate()?;
        self.screening.validate()
    }
}

impl SearchSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        const SHARE: &str = "a number from 0 to 1";
        const AT_LEAST_ONE: &str = "at least 1";
        check(
            i64::try_from(self.seed).is_ok(),
            "search.seed",
            self.seed,
            "at most 9223372036854775807",
        )?;
        check(
            self.evaluations.is_none_or(|n| (1..=1 << 53).contains(&n)),
            "search.evaluations",
            self.evaluations.unwrap_or_default(),
            "from 1 to 9007199254740992, or no such key for no limit",
        )?;
        check(
            self.time.is_none_or(|t| t > 0.0 && t <= 1e9),
            "search.time",
            self.time.unwrap_or_default(),
            "seconds above 0 and at most 1e9, or no such key for no limit",
        )?;
        check(
            self.workers <= 1024,
            "search.workers",
            self.workers,
            "at most 1024",
        )?;
        check(
            self.devices.is_empty() || self.executor == Place::Processes,
            "search.devices",
            format_args!("a list of {}", self.devices.len()),
            "none with the executor `threads`: several devices need `search.executor = \"processes\"`",
        )?;
        check(
            self.trial_time.is_none_or(|t| t > 0.0 && t <= 1e9),
            "search.trial_time",
            self.trial_time.unwrap_or_default(),
            "seconds above 0 and at most 1e9, or no such key for no limit",
        )?;
        check(
            self.population >= 1,
            "search.population",
            self.population,
            AT_LEAST_ONE,
        )?;
        check(
            (1..=self.population).contains(&self.initial),
            "search.initial",
            self.initial,
            "at least 1 and at most `search.population`",
        )?;
        check(
            share(self.tournament),
            "search.tournament",
            self.tournament,
            SHARE,
        )?;
        check(share(self.copy), "search.copy", self.copy, SHARE)?;
        check(share(self.restart), "search.restart", self.restart, SHARE)?;
        check(
            (1..=MAX_DEPTH).contains(&self.depth),
            "search.depth",
            self.depth,
            "a depth from 1 to 7",
        )?;
        check(
            (1..=100_000).contains(&self.choices),
            "search.choices",
            self.choices,
            "from 1 to 100000",
        )?;
        check(
            self.strategy != Strategy::Asl || self.choices == 1,
            "search.choices",
            self.choices,
            "1 with the strategy `asl`, whose losses are trained as they are",
        )?;
        check(
            self.max_draws >= 1,
            "search.max_draws",
            self.max_draws,
            AT_LEAST_ONE,
        )?;
        check(
            (2..=10_000).contains(&self.policy_samples),
            "search.policy_samples",
            self.policy_samples,
            "from 2 to 10000",
        )?;
        let rising = self.rungs.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = |rung: &f64| *rung > 0.0 && *rung < 1.0;
        check(
            rising && self.rungs.iter().all(inside),
            "search.rungs",
            format_args!("{:?}", self.rungs),
            "rising shares of the updates, each above 0 and below 1",
        )?;
        check(
            self.rung_share > 0.0 && self.rung_share <= 1.0,
            "search.rung_share",
            self.rung_share,
            "a number above 0 and at most 1",
        )?;
        check(
            self.final_seeds <= 1000,
            "search.final_seeds",
            self.final_seeds,
            "at most 1000",
        )?;
        check(
            self.finalist_seeds <= 1000,
            "search.finalist_seeds",
            self.finalist_seeds,
            "at most 1000",
        )?;
        check(
            self.final_losses <= 1000,
            "search.final_losses",
            self.final_losses,
            "at most 1000",
        )?;
        self.operators().map(|_| ())
    }

    /// Number of the best losses that a finished run shows: those of the final comparison, or the default
    /// number where there is none.
    #[must_use]
    pub fn shown_losses(&self) -> usize {
        match self.final_losses {
            0 => Self::default().final_losses,
            n => n,
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

impl ScreeningSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        check(
            (1..=1000).contains(&self.samples),
            "screening.samples",
            self.samples,
            "from 1 to 1000",
        )?;
        check(
            self.threshold.is_finite() && self.threshold <= 1.0,
            "screening.threshold",
            self.threshold,
            "a number of at most 1",
        )?;
        check(
            (1..=1_000_000).contains(&self.steps),
            "screening.steps",
            self.steps,
            "from 1 to 1000000",
        )?;
        check(
            self.step_size.is_finite() && self.step_size > 0.0,
            "screening.step_size",
            self.step_size,
            "a number above 0",
        )?;
        for (key, value) in [
            ("screening.early_share", self.early_share),
            ("screening.early_gain", self.early_gain),
        ] {
            check(
                (0.0..=1.0).contains(&value),
                key,
                value,
                "a number from 0 to 1",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Settings::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn default_toml_is_the_default() {
        let read = Settings::from_toml(Settings::DEFAULT_TOML).unwrap();
        assert_eq!(read, Settings::default());
        assert_ne!(Settings::from_toml("[search]\nseed = 1").unwrap(), read);
    }

    #[test]
    fn every_key_is_in_default_toml_with_a_comment() {
        let mut all = Settings::default();
        all.search.evaluations = Some(1);
        all.search.time = Some(1.0);
        all.search.trial_time = Some(1.0);
        let branch = ("rpn_box".to_owned(), String::new());
        all.search.fixed.extend([branch]);
        let keys: Vec<String> = all
            .to_toml()
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(key, _)| key.to_owned()))
            .collect();
        assert!(keys.len() > 30);
        let lines: Vec<&str> = Settings::DEFAULT_TOML.lines().collect();
        for key in keys {
            let starts = |line: &&str| {
                let line = line.strip_prefix("# ").unwrap_or(line);
                line.starts_with(&format!("{key} = "))
            };
            let number = lines
                .iter()
                .position(starts)
                .unwrap_or_else(|| panic!("{key} is missing"));
            assert!(lines[number - 1].starts_with("# "), "{key} has no comment");
        }
    }

    #[test]
    fn other_strategies_than_evolution_choose_only_where_they_are_told_to() {
        let choices = |text: &str| Settings::from_toml(text).unwrap().search.choices;
        assert_eq!(choices(""), 100);
        assert_eq!(choices("[search]\nstrategy = \"evolution\""), 100);
        for strategy in ["random", "cse", "asl"] {
            let told = format!("[search]\nstrategy = \"{strategy}\"\n");
            assert_eq!(choices(&told), 1, "{strategy}");
            let told = format!("{told}choices = 30");
            match strategy {
                "asl" => assert!(error(&told).contains("`search.choices` is 30, expected 1 with")),
                _ => assert_eq!(choices(&told), 30, "{strategy}"),
            }
        }
    }

    #[test]
    fn settings_survive_the_way_through_text() {
        let mut settings = Settings::default();
        settings.search.time = Some(0.1 + 0.2);
        settings.search.operators = vec!["sin".to_owned()];
        settings.screening.threshold = -0.25;
        assert_eq!(Settings::from_toml(&settings.to_toml()).unwrap(), settings);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("[search]\nworker = 1").contains("worker"));
        assert!(error("[search]\nseed = -1").contains("seed"));
        assert!(error("strategy = 1").contains("strategy"));
        assert_eq!(
            error("[search]\noperators = [\"add\", \"sqr\"]"),
            "settings: `search.operators` names `sqr`, which is no operator; did you mean `sqrt`?"
        );
        for (text, key) in [
            ("[search]\noperators = []", "search.operators"),
            ("[search]\ninitial = 3000", "search.initial"),
            ("[search]\ninitial = 0", "search.initial"),
            ("[search]\npopulation = 0", "search.population"),
            ("[search]\ncopy = 1.5", "search.copy"),
            ("[search]\ntournament = nan", "search.tournament"),
            ("[search]\nrestart = -0.1", "search.restart"),
            ("[search]\ndepth = 0", "search.depth"),
            ("[search]\ndepth = 8", "search.depth"),
            ("[search]\nevaluations = 0", "search.evaluations"),
            ("[search]\ntime = 0.0", "search.time"),
            ("[search]\nmax_draws = 0", "search.max_draws"),
            ("[search]\nfinal_seeds = 1001", "search.final_seeds"),
            ("[search]\nfinalist_seeds = 1001", "search.finalist_seeds"),
            ("[screening]\nthreshold = 1.01", "screening.threshold"),
            ("[screening]\nthreshold = nan", "screening.threshold"),
            ("[screening]\nsamples = 0", "screening.samples"),
            ("[screening]\nsteps = 0", "screening.steps"),
            ("[screening]\nstep_size = 0.0", "screening.step_size"),
            ("[screening]\nearly_share = 1.5", "screening.early_share"),
            ("[screening]\nearly_gain = -1", "screening.early_gain"),
        ] {
            let message = error(text);
            assert!(message.contains(&format!("`{key}`")), "{text}: {message}");
            assert!(message.contains("expected"), "{message}");
        }
        assert!(Settings::from_toml("[screening]\nthreshold = 1.0").is_ok());
    }
}
