//! Range checks of both sections: the first value out of its range is named.

use super::error::{SettingsError, check};
use super::screening::ScreeningSettings;
use super::search::{Place, SearchSettings, Strategy};

/// Largest depth of random trees that settings may ask for; complete trees of this depth stay below
/// [`MAX_NODES`](crate::MAX_NODES).
pub const MAX_DEPTH: usize = 7;

const SHARE: &str = "a number from 0 to 1";
const AT_LEAST_ONE: &str = "at least 1";

impl SearchSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.validate_run()?;
        self.validate_evolution()?;
        self.validate_proposals()?;
        self.validate_trainings()?;
        self.operators().map(|_| ())
    }

    /// Seed, budget and workers.
    fn validate_run(&self) -> Result<(), SettingsError> {
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
        )
    }

    /// Population and offspring.
    fn validate_evolution(&self) -> Result<(), SettingsError> {
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
        for (key, value) in [
            ("search.tournament", self.tournament),
            ("search.copy", self.copy),
            ("search.restart", self.restart),
            ("search.crossover", self.crossover),
            ("search.constants", self.constants),
            ("search.tuning", self.tuning),
            ("search.local_search", self.local_search),
        ] {
            check((0.0..=1.0).contains(&value), key, value, SHARE)?;
        }
        Ok(())
    }

    /// Random losses, choices and draws.
    fn validate_proposals(&self) -> Result<(), SettingsError> {
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
        )
    }

    /// Rungs, further trainings of leaders, and the full trainings at the end.
    fn validate_trainings(&self) -> Result<(), SettingsError> {
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
            (1..=100).contains(&self.leader_trainings),
            "search.leader_trainings",
            self.leader_trainings,
            "from 1 to 100",
        )?;
        for (key, value) in [
            ("search.final_seeds", self.final_seeds),
            ("search.finalist_seeds", self.finalist_seeds),
            ("search.final_losses", self.final_losses),
        ] {
            check(value <= 1000, key, value, "at most 1000")?;
        }
        Ok(())
    }
}

impl ScreeningSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
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
            check((0.0..=1.0).contains(&value), key, value, SHARE)?;
        }
        Ok(())
    }
}
