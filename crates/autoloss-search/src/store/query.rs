//! What a run on disk can be asked.

use std::collections::BTreeMap;

use autoloss_expr::Operator;
use rusqlite::Params;
use serde::Serialize;

use super::row::{Cells, Fault};
use super::{
    FIRST_WITH_FULL_TRAINING, FIRST_WITH_REPORTS, FIRST_WITH_SEARCH_SET, Store, StoreError,
};
use crate::comparison::{Comparison, summarise};
use crate::conclusion::{Conclusion, candidate_id};
use crate::event::{
    Best, Candidate, Ended, FailedTraining, Fate, FinalStage, Origin, Tally, Training,
};
use crate::mutation::Mutation;
use crate::settings::Settings;
use crate::task::{EvaluationSet, Schedule};

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
        self.joined.is_some() || matches!(self.fate, Fate::Failed | Fate::Lost | Fate::Pruned)
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
        let values = rusqlite::params_from_iter(values);
        self.rows(sql, values, "candidate", Some("id"), candidate_row)
    }

    /// The rows of a query of a table, whose rows people know by a column.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        table: &'static str,
        key: Option<&'static str>,
        read: impl Fn(&Cells<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || -> Result<Vec<T>, Fault> {
            let mut statement = self.connection.prepare(sql)?;
            let rows =
                statement.query_and_then(values, |row| read(&Cells::new(row, table, key)))?;
            rows.collect()
        };
        rows().map_err(|fault| match fault {
            Fault::Sql(source) => StoreError::Sql {
                path: self.path.clone(),
                source,
            },
            Fault::Damage(what) => self.damaged(what),
        })
    }

    /// The training curve of a candidate: (update, loss value).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn curve(&self, id: u64) -> Result<Vec<(usize, f64)>, StoreError> {
        let sql =
            "SELECT candidate, number, loss_value FROM curve WHERE candidate = ? ORDER BY number";
        let id = id.cast_signed();
        self.rows(sql, [id], "curve", Some("candidate"), |point| {
            // A value that is not a number is stored as NULL.
            let loss_value = point.optional("loss_value", Cells::number)?;
            let number = usize::try_from(point.whole("number")?).unwrap_or(usize::MAX);
            Ok((number, loss_value.unwrap_or(f64::NAN)))
        })
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

    /// Scores of trainings on the way, in the order in which they were told: (candidate, share of the updates,
    /// score).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn reports(&self) -> Result<Vec<(u64, f64, f64)>, StoreError> {
        if self.minor < FIRST_WITH_REPORTS {
            return Ok(Vec::new());
        }
        let sql = "SELECT candidate, share, score FROM report ORDER BY rowid";
        self.rows(sql, [], "report", Some("candidate"), |row| {
            Ok((
                row.whole("candidate")?,
                row.finite("share")?,
                row.finite("score")?,
            ))
        })
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

    /// The candidate that full training found best on the search set; before there is one, the best by its
    /// proxy score. Runs from before there was a search set have chosen on the validation set.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn best_found(&self) -> Result<Option<CandidateRow>, StoreError> {
        let mean = |c: &Comparison| match self.searched_on() {
            EvaluationSet::Search => c.search_mean(),
            EvaluationSet::Validation => c.mean,
        };
        let best_of = |comparisons: Vec<Comparison>| {
            let mut best: Option<(u64, f64)> = None;
            for comparison in comparisons {
                if let (Some(id), Some(mean)) = (candidate_id(&comparison.name), mean(&comparison))
                    && best.is_none_or(|(_, best)| mean > best)
                {
                    best = Some((id, mean));
                }
            }
            best
        };
        let best = match best_of(self.finalists()?) {
            Some(best) => Some(best),
            None => best_of(self.comparisons()?),
        };
        match best {
            Some((id, _)) => self.candidate(id),
            None => Ok(self.top(1)?.into_iter().next()),
        }
    }

    /// The result of the final comparison; `None` before a loss found has a score in it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn conclusion(&self) -> Result<Option<Conclusion>, StoreError> {
        Ok(Conclusion::of(&self.comparisons()?))
    }

    /// Name and formula of the loss to use: that which the final comparison recommends, before there is one
    /// the best found.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn recommended(&self) -> Result<Option<(String, String)>, StoreError> {
        if let Some(conclusion) = self.conclusion()? {
            let (name, formula) = conclusion.recommended();
            return Ok(Some((name.to_owned(), formula.to_owned())));
        }
        let best = self.best_found()?.map(|row| row.candidate);
        Ok(best.map(|best| (format!("#{}", best.id), best.formula)))
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

    /// The full trainings of a stage made so far, the failed ones last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn trainings_of(&self, stage: FinalStage) -> Result<Vec<Ended>, StoreError> {
        let scored = self.trainings(stage.purpose(), stage.set())?;
        let failed = self.failures(stage.purpose())?;
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
        self.summary_of(FinalStage::Comparison)
    }

    /// The full trainings of the finalists on the search set, as far as they were made; the highest mean
    /// first, losses without a score last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn finalists(&self) -> Result<Vec<Comparison>, StoreError> {
        self.summary_of(FinalStage::Finalists)
    }

    fn summary_of(&self, stage: FinalStage) -> Result<Vec<Comparison>, StoreError> {
        let mut comparisons = summarise(self.trainings_of(stage)?);
        comparisons.sort_by(Comparison::better_first);
        Ok(comparisons)
    }

    /// Pictures of what a network trained with a loss of the final comparison does: PNG files.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn pictures(&self, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT name, png FROM picture WHERE name = ? ORDER BY number";
        self.rows(sql, [name], "picture", Some("name"), |row| row.bytes("png"))
    }

    fn failures(&self, purpose: &str) -> Result<Vec<FailedTraining>, StoreError> {
        let sql = "SELECT * FROM failure WHERE purpose = ? ORDER BY rowid";
        self.rows(sql, [purpose], "failure", Some("name"), |row| {
            Ok(FailedTraining {
                name: row.text("name")?,
                formula: row.text("formula")?,
                seed: row.seed("seed")?,
                message: row.text("message")?,
                seconds: row.seconds("seconds")?,
            })
        })
    }

    /// The trainings made for a purpose, which says the set that they were scored on.
    fn trainings(&self, purpose: &str, set: EvaluationSet) -> Result<Vec<Training>, StoreError> {
        let sql = "SELECT * FROM training WHERE purpose = ? ORDER BY rowid";
        self.rows(sql, [purpose], "training", Some("name"), |row| {
            Ok(Training {
                name: row.text("name")?,
                formula: row.text("formula")?,
                seed: row.seed("seed")?,
                set,
                score: row.finite("score")?,
                seconds: row.seconds("seconds")?,
                note: row.optional("note", Cells::text)?,
                curve: row.pairs("curve")?,
                metrics: row.pairs("metrics")?,
                pictures: Vec::new(),
            })
        })
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

fn candidate_row(row: &Cells<'_>) -> Result<CandidateRow, Fault> {
    let fate = |word: &str| Fate::ALL.into_iter().find(|fate| fate.name() == word);
    let norms: Vec<Option<f64>> = row.json("norms")?;
    let candidate = CandidateRow {
        candidate: Candidate {
            id: row.whole("id")?,
            proposal: row.whole("proposal")?,
            draw: row.whole("draw")?,
            parent: row.optional("parent", Cells::whole)?,
            origin: row.word("origin", origin_of)?,
            formula: row.text("formula")?,
            canonical: row.text("canonical")?,
            g: row.optional("g", Cells::number)?,
            norms: norms
                .into_iter()
                .map(|norm| norm.unwrap_or(f64::NAN))
                .collect(),
            seconds: row.seconds("screening_seconds")?,
            worker: usize::try_from(row.whole("worker")?).unwrap_or(usize::MAX),
        },
        fate: row.word("fate", fate)?,
        reason: row.optional("reason", Cells::text)?,
        equivalent_to: row.optional("equivalent_to", Cells::whole)?,
        score: row.optional("score", Cells::finite)?,
        joined: row.optional("joined", Cells::whole)?,
        training_seconds: row.optional("training_seconds", Cells::seconds)?,
        metrics: row.pairs("metrics")?,
        elapsed: row.optional("elapsed", Cells::seconds)?,
    };
    let is_trained = matches!(candidate.fate, Fate::Scored | Fate::Stopped);
    let is_member = is_trained || candidate.joined.is_some();
    if is_member && (candidate.score.is_none() || candidate.joined.is_none()) {
        return Err(row.damage("`score` or `joined` is missing, expected both"));
    }
    Ok(candidate)
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

/// A list as JSON; numbers that are not finite become `null`.
pub(super) fn json<T: Serialize>(list: &T) -> String {
    serde_json::to_string(list).expect("lists of numbers and names are expressible in JSON")
}
