//! What a run on disk can be asked.

use std::collections::BTreeMap;

use autoloss_expr::Operator;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FIRST_WITH_SEARCH_SET, Store, StoreError};
use crate::comparison::{Comparison, summarise};
use crate::event::{Best, Candidate, Ended, FailedTraining, Fate, Origin, Tally, Training};
use crate::mutation::Mutation;
use crate::settings::Settings;
use crate::task::EvaluationSet;

/// What a run is about.
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
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// Seconds it has taken so far.
    pub elapsed: f64,
    /// Why its search ended; `None` while it has not.
    pub ended: Option<String>,
}

/// A candidate with its fate.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateRow {
    /// The candidate.
    pub candidate: Candidate,
    /// What became of it.
    pub fate: Fate,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// Whose score it took over.
    pub equivalent_to: Option<u64>,
    /// Its score.
    pub score: Option<f64>,
    /// The how-manieth it joined the population, from 0.
    pub joined: Option<u64>,
    /// Seconds of training.
    pub training_seconds: Option<f64>,
    /// Further metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// Seconds into the run when it joined; `None` too where an earlier version ran.
    pub elapsed: Option<f64>,
}

impl CandidateRow {
    /// Whether its proposal has an outcome by it.
    pub(crate) fn is_settled(&self) -> bool {
        self.joined.is_some() || self.fate == Fate::Failed
    }
}

const CANDIDATES: &str = "SELECT id, proposal, draw, parent, origin, formula, canonical, fate, \
    reason, g, norms, equivalent_to, score, joined, screening_seconds, training_seconds, metrics, \
    worker, elapsed FROM candidate LEFT JOIN moment ON candidate = id";

impl Store {
    /// What the run is about.
    ///
    /// # Errors
    /// If the file cannot be read or its settings are none of this program's.
    pub fn info(&self) -> Result<RunInfo, StoreError> {
        let row = self.connection.query_row("SELECT * FROM run", [], |row| {
            let text = row.get::<_, String>("settings")?;
            Ok((
                text,
                RunInfo {
                    program: row.get("program")?,
                    task: row.get("task")?,
                    metric: row.get("metric")?,
                    searched_on: self.searched_on(),
                    settings: Settings::default(),
                    task_settings: row.get("task_settings")?,
                    seed: number(row, "seed")?,
                    cores: number(row, "cores")? as usize,
                    arch: row.get("arch")?,
                    created: number(row, "created")?,
                    elapsed: row.get("elapsed")?,
                    ended: row.get("ended")?,
                },
            ))
        });
        let (text, info) = self.sql(row)?;
        let settings = Settings::from_toml(&with_older_meaning(&text));
        let settings = settings.map_err(|source| StoreError::Settings {
            path: self.path.clone(),
            source,
        })?;
        Ok(RunInfo { settings, ..info })
    }

    fn searched_on(&self) -> EvaluationSet {
        match self.minor < FIRST_WITH_SEARCH_SET {
            true => EvaluationSet::Validation,
            false => EvaluationSet::Search,
        }
    }

    /// All candidates that reached screening, by number.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn candidates(&self) -> Result<Vec<CandidateRow>, StoreError> {
        self.select(&format!("{CANDIDATES} ORDER BY id"), &[])
    }

    /// The `n` best trained candidates, of equal scores the earlier one first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn top(&self, n: usize) -> Result<Vec<CandidateRow>, StoreError> {
        let sql = format!("{CANDIDATES} WHERE fate = 'scored' ORDER BY score DESC, id LIMIT ?");
        self.select(&sql, &[n as i64])
    }

    /// The candidate with that number.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn candidate(&self, id: u64) -> Result<Option<CandidateRow>, StoreError> {
        let rows = self.select(&format!("{CANDIDATES} WHERE id = ?"), &[id.cast_signed()])?;
        Ok(rows.into_iter().next())
    }

    fn select(&self, sql: &str, values: &[i64]) -> Result<Vec<CandidateRow>, StoreError> {
        let rows = self.connection.prepare(sql).and_then(|mut statement| {
            let values = rusqlite::params_from_iter(values);
            statement.query_map(values, candidate_row)?.collect()
        });
        self.sql(rows)
    }

    /// The training curve of a candidate: (update, loss value).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn curve(&self, id: u64) -> Result<Vec<(usize, f64)>, StoreError> {
        let sql = "SELECT number, loss_value FROM curve WHERE candidate = ? ORDER BY number";
        let rows = self.connection.prepare(sql).and_then(|mut statement| {
            let point = |row: &Row<'_>| {
                // What is not a number is stored as NULL.
                let loss_value = row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN);
                Ok((row.get::<_, i64>(0)?.max(0) as usize, loss_value))
            };
            statement.query_map([id.cast_signed()], point)?.collect()
        });
        self.sql(rows)
    }

    /// The sums over the run so far, those of the funnel from draw to score among them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn tally(&self) -> Result<Tally, StoreError> {
        self.tally_of(&self.candidates()?)
    }

    pub(crate) fn tally_of(&self, rows: &[CandidateRow]) -> Result<Tally, StoreError> {
        let sql = "SELECT total(drawn), total(structural), total(cached) FROM drawn";
        let sums = self.connection.query_row(sql, [], |row| {
            Ok([0, 1, 2].map(|i| row.get::<_, f64>(i).map_or(0, |sum| sum as u64)))
        });
        let [drawn, structural, cached] = self.sql(sums)?;
        let mut tally = Tally {
            drawn,
            structural,
            cached,
            reference: self.reference()?.map(|t| (t.name, t.score)),
            ..Tally::default()
        };
        let (mut joined, rest): (Vec<&CandidateRow>, Vec<_>) =
            rows.iter().partition(|row| row.joined.is_some());
        joined.sort_by_key(|row| row.joined);
        for row in rest.into_iter().chain(joined) {
            tally.count(&row.candidate, row.fate, row.score);
        }
        Ok(tally)
    }

    /// Whenever the best score changed: (evaluations, best score so far).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn progress(&self) -> Result<Vec<(u64, f64)>, StoreError> {
        Ok(self.tally()?.progress)
    }

    /// The best trained candidate.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn best(&self) -> Result<Option<Best>, StoreError> {
        Ok(self.top(1)?.into_iter().next().and_then(|row| {
            Some(Best {
                id: row.candidate.id,
                score: row.score?,
                formula: row.candidate.formula,
            })
        }))
    }

    /// The candidate that the final comparison found best; before there is one, the best by the score
    /// that the search saw.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn best_found(&self) -> Result<Option<CandidateRow>, StoreError> {
        let ids = self.comparisons()?;
        let id = ids
            .iter()
            .filter(|c| c.mean.is_some())
            .find_map(|c| c.name.strip_prefix('#')?.parse().ok());
        match id {
            Some(id) => self.candidate(id),
            None => Ok(self.top(1)?.into_iter().next()),
        }
    }

    /// In how many of the scored candidates each operator occurs, the most frequent first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn operator_counts(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        let mut counts: BTreeMap<Operator, u64> = BTreeMap::new();
        for row in self.candidates()? {
            if row.fate != Fate::Scored {
                continue;
            }
            // The canonical form writes every operator as a call, `add` and `neg` too.
            let words: Vec<&str> = row
                .candidate
                .canonical
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .collect();
            for op in Operator::ALL {
                *counts.entry(*op).or_default() += u64::from(words.contains(&op.name()));
            }
        }
        counts.retain(|_, count| *count > 0);
        let mut counts: Vec<_> = counts.into_iter().map(|(op, n)| (op.name(), n)).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(counts)
    }

    /// The training of the task's usual loss with the search's seed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn reference(&self) -> Result<Option<Training>, StoreError> {
        let reference = self.trainings("reference", self.searched_on())?;
        Ok(reference.into_iter().next())
    }

    /// The trainings of the final comparison made so far, the failed ones last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn final_trainings(&self) -> Result<Vec<Ended>, StoreError> {
        let scored = self.trainings("final", EvaluationSet::Validation)?;
        let failed = self.failures("final")?;
        Ok(scored
            .into_iter()
            .map(Ok)
            .chain(failed.into_iter().map(Err))
            .collect())
    }

    /// The final comparison, as far as it was made; the highest mean first, losses without a score last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn comparisons(&self) -> Result<Vec<Comparison>, StoreError> {
        let mut comparisons = summarise(self.final_trainings()?);
        comparisons.sort_by(Comparison::better_first);
        Ok(comparisons)
    }

    /// Pictures of what a network trained with a loss of the final comparison does: PNG files.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn pictures(&self, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT png FROM picture WHERE name = ? ORDER BY number";
        let rows = self
            .connection
            .prepare(sql)
            .and_then(|mut statement| statement.query_map([name], |row| row.get(0))?.collect());
        self.sql(rows)
    }

    fn failures(&self, purpose: &str) -> Result<Vec<FailedTraining>, StoreError> {
        let sql = "SELECT * FROM failure WHERE purpose = ? ORDER BY rowid";
        let rows = self.connection.prepare(sql).and_then(|mut statement| {
            let failure = |row: &Row<'_>| {
                Ok(FailedTraining {
                    name: row.get("name")?,
                    formula: row.get("formula")?,
                    seed: number(row, "seed")?,
                    message: row.get("message")?,
                    seconds: row.get("seconds")?,
                })
            };
            statement.query_map([purpose], failure)?.collect()
        });
        self.sql(rows)
    }

    /// The trainings made for a purpose, which says the set that they were scored on.
    fn trainings(&self, purpose: &str, set: EvaluationSet) -> Result<Vec<Training>, StoreError> {
        let sql = "SELECT * FROM training WHERE purpose = ? ORDER BY rowid";
        let rows = self.connection.prepare(sql).and_then(|mut statement| {
            let training = |row: &Row<'_>| {
                Ok(Training {
                    name: row.get("name")?,
                    formula: row.get("formula")?,
                    seed: number(row, "seed")?,
                    set,
                    score: row.get("score")?,
                    seconds: row.get("seconds")?,
                    note: row.get("note")?,
                    curve: pairs(row, "curve")?,
                    metrics: pairs(row, "metrics")?,
                    pictures: Vec::new(),
                })
            };
            statement.query_map([purpose], training)?.collect()
        });
        self.sql(rows)
    }
}

/// Stored settings with what their run did where it is older than a key.
fn with_older_meaning(text: &str) -> String {
    let Ok(mut table) = text.parse::<toml::Table>() else {
        return text.to_owned();
    };
    if let Some(search) = table.get_mut("search").and_then(toml::Value::as_table_mut) {
        // Before there was a choice, the first candidate that passed was trained.
        search.entry("choices").or_insert(toml::Value::Integer(1));
        // There never was one among the losses of a policy.
        if search.get("strategy").and_then(toml::Value::as_str) == Some("asl") {
            search.insert("choices".to_owned(), toml::Value::Integer(1));
        }
    }
    table.to_string()
}

fn candidate_row(row: &Row<'_>) -> Result<CandidateRow, rusqlite::Error> {
    let fate = row.get::<_, String>("fate")?;
    let origin = row.get::<_, String>("origin")?;
    Ok(CandidateRow {
        candidate: Candidate {
            id: number(row, "id")?,
            proposal: number(row, "proposal")?,
            draw: number(row, "draw")?,
            parent: row.get::<_, Option<i64>>("parent")?.map(i64::cast_unsigned),
            origin: origin_of(&origin).ok_or_else(|| unknown("origin", &origin))?,
            formula: row.get("formula")?,
            canonical: row.get("canonical")?,
            g: row.get("g")?,
            norms: from_json::<Vec<Option<f64>>>(row, "norms")?
                .into_iter()
                .map(|norm| norm.unwrap_or(f64::NAN))
                .collect(),
            seconds: row.get("screening_seconds")?,
            worker: number(row, "worker")? as usize,
        },
        fate: Fate::ALL
            .into_iter()
            .find(|f| f.name() == fate)
            .ok_or_else(|| unknown("fate", &fate))?,
        reason: row.get("reason")?,
        equivalent_to: row
            .get::<_, Option<i64>>("equivalent_to")?
            .map(i64::cast_unsigned),
        score: row.get("score")?,
        joined: row.get::<_, Option<i64>>("joined")?.map(i64::cast_unsigned),
        training_seconds: row.get("training_seconds")?,
        metrics: pairs(row, "metrics")?,
        elapsed: row.get("elapsed")?,
    })
}

fn origin_of(name: &str) -> Option<Origin> {
    [
        Origin::Random,
        Origin::Copy,
        Origin::Policy,
        Origin::Mutation(Mutation::Insertion),
        Origin::Mutation(Mutation::Deletion),
        Origin::Mutation(Mutation::Replacement),
    ]
    .into_iter()
    .find(|origin| origin.name() == name)
}

/// Numbers are stored in the bits of SQLite's signed ones.
fn number(row: &Row<'_>, column: &str) -> Result<u64, rusqlite::Error> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn unknown(column: &str, value: &str) -> rusqlite::Error {
    let message = format!("unknown {column} `{value}`");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, message.into())
}

/// Pairs whose number is `null` where it is none.
fn pairs<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> Result<Vec<(T, f64)>, rusqlite::Error> {
    let pairs = from_json::<Vec<(T, Option<f64>)>>(row, column)?;
    let filled = pairs
        .into_iter()
        .map(|(key, x)| (key, x.unwrap_or(f64::NAN)));
    Ok(filled.collect())
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, rusqlite::Error> {
    let text = row.get::<_, String>(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(e)))
}

/// A list as JSON; numbers that are not finite become `null`.
pub(super) fn json<T: Serialize>(list: &T) -> String {
    serde_json::to_string(list).expect("lists of numbers and names are expressible in JSON")
}
