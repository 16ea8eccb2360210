//! Task, settings and state of a run, and the sums over it.

use super::candidates::CandidateRow;
use crate::event::{Fate, Tally};
use crate::settings::Settings;
use crate::store::row::Cells;
use crate::store::{
    FIRST_WITH_BRANCHES, FIRST_WITH_FULL_TRAINING, FIRST_WITH_SEARCH_SET, NONE, SOFTMAX, Store,
    StoreError,
};
use crate::task::{EvaluationSet, Schedule};

/// Task, settings and state of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// Name and version of the program that began it.
    pub program: String,
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// The set that candidates and the reference were scored on; the validation set in runs from before
    /// the training data were split.
    pub searched_on: EvaluationSet,
    /// The training of the final comparison; the proxy in runs from before full training.
    pub compared_by: Schedule,
    /// The settings of the search.
    pub settings: Settings,
    /// The settings of the task, as TOML.
    pub task_settings: String,
    /// The seed.
    pub seed: u64,
    /// Cores of the machine it began on.
    pub cores: usize,
    /// Its processor architecture.
    pub arch: String,
    /// Beginning of the run, in seconds since 1970.
    pub created: u64,
    /// Seconds it has taken so far.
    pub elapsed: f64,
    /// Reason for which its search ended; `None` while it has not.
    pub ended: Option<String>,
}

/// A branch of the task of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunBranch {
    /// Its name.
    pub name: String,
    /// Whether its prediction is a softmax over the channels.
    pub softmax: bool,
}

impl RunInfo {
    /// The metric with the set that its scores are of, in words.
    #[must_use]
    pub fn metric_on(&self, set: EvaluationSet) -> String {
        let before = match self.searched_on {
            EvaluationSet::Search => "",
            EvaluationSet::Validation => " (before the split)",
        };
        let set = match self.searched_on {
            EvaluationSet::Search => set,
            EvaluationSet::Validation => EvaluationSet::Validation,
        };
        format!("{} on the {set}{before}", self.metric)
    }
}

impl Store {
    /// Task, settings and state of the run.
    ///
    /// # Errors
    /// If the file cannot be read or its settings are none of this program's.
    pub fn info(&self) -> Result<RunInfo, StoreError> {
        let rows = self.rows("SELECT * FROM run", [], "run", None, |run| {
            let info = RunInfo {
                program: run.text("program")?,
                task: run.text("task")?,
                metric: run.text("metric")?,
                searched_on: self.searched_on(),
                compared_by: match self.minor < FIRST_WITH_FULL_TRAINING {
                    true => Schedule::Proxy,
                    false => Schedule::Full,
                },
                settings: Settings::default(),
                task_settings: run.text("task_settings")?,
                seed: run.seed("seed")?,
                cores: usize::try_from(run.whole("cores")?).unwrap_or(usize::MAX),
                arch: run.text("arch")?,
                created: run.whole("created")?,
                elapsed: run.seconds("elapsed")?,
                ended: run.optional("ended", Cells::text)?,
            };
            Ok((run.text("settings")?, info))
        })?;
        let row = rows.into_iter().next();
        let (text, info) =
            row.ok_or_else(|| self.damaged("table `run` is empty, expected one row".to_owned()))?;
        let settings = Settings::from_toml(&with_older_meaning(&text));
        let settings = settings.map_err(|source| match self.is_newer() {
            true => self.damaged(source.to_string()),
            false => StoreError::Settings {
                path: self.path.clone(),
                source,
            },
        })?;
        Ok(RunInfo { settings, ..info })
    }

    /// The branches of the task, in its order; none of a run from before they were recorded.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn branches(&self) -> Result<Vec<RunBranch>, StoreError> {
        if self.minor < FIRST_WITH_BRANCHES {
            return Ok(Vec::new());
        }
        let sql = "SELECT * FROM branch ORDER BY number";
        self.rows(sql, [], "branch", Some("number"), |row| {
            Ok(RunBranch {
                name: row.text("name")?,
                softmax: row.word("activation", |word| match word {
                    SOFTMAX => Some(true),
                    NONE => Some(false),
                    _ => None,
                })?,
            })
        })
    }

    pub(super) fn searched_on(&self) -> EvaluationSet {
        match self.minor < FIRST_WITH_SEARCH_SET {
            true => EvaluationSet::Validation,
            false => EvaluationSet::Search,
        }
    }

    /// The sums over the run so far, those of the funnel from draw to score among them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn tally(&self) -> Result<Tally, StoreError> {
        self.tally_of(&self.candidates()?)
    }

    pub(crate) fn tally_of(&self, rows: &[CandidateRow]) -> Result<Tally, StoreError> {
        let drawn = self.rows(
            "SELECT * FROM drawn",
            [],
            "drawn",
            Some("proposal"),
            |row| {
                Ok([
                    row.whole("drawn")?,
                    row.whole("structural")?,
                    row.whole("cached")?,
                ])
            },
        )?;
        let sum = |place: usize| {
            drawn
                .iter()
                .fold(0, |sum: u64, row| sum.saturating_add(row[place]))
        };
        let [drawn, structural, cached] = [0, 1, 2].map(sum);
        let mut tally = Tally {
            drawn,
            structural,
            cached,
            reference: self.reference()?.map(|t| (t.name, t.score)),
            repeated: self.repeats()?.len() as u64,
            ..Tally::default()
        };
        let (mut joined, rest): (Vec<&CandidateRow>, Vec<_>) =
            rows.iter().partition(|row| row.joined.is_some());
        joined.sort_by_key(|row| row.joined);
        for row in rest.into_iter().chain(joined) {
            match row.training_seconds {
                Some(_) if row.fate == Fate::Pruned => tally.count_pruned(&row.candidate),
                _ => tally.count(&row.candidate, row.fate, row.score),
            }
        }
        Ok(tally)
    }

    /// Each change of the best score: (evaluations, best score so far).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn progress(&self) -> Result<Vec<(u64, f64)>, StoreError> {
        Ok(self.tally()?.progress)
    }
}

/// Stored settings, with the behaviour of their run in place of the defaults of keys that it is older than.
fn with_older_meaning(text: &str) -> String {
    let Ok(mut table) = text.parse::<toml::Table>() else {
        return text.to_owned();
    };
    if let Some(search) = table.get_mut("search").and_then(toml::Value::as_table_mut) {
        // Before there was a choice, the first candidate that passed was trained.
        search.entry("choices").or_insert(toml::Value::Integer(1));
        // Mutations were of trained losses alone.
        search
            .entry("local_search")
            .or_insert(toml::Value::Float(0.0));
        // There never was one among the losses of a policy.
        if search.get("strategy").and_then(toml::Value::as_str) == Some("asl") {
            search.insert("choices".to_owned(), toml::Value::Integer(1));
        }
    }
    table.to_string()
}
