//! Candidates with their fates, and their trainings as a search made them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use autoloss_expr::Operator;

use crate::comparison::mean_and_std;
use crate::conclusion::candidate_id;
use crate::event::{Best, Candidate, Fate, Origin};
use crate::store::row::{Cells, Fault};
use crate::store::{FIRST_WITH_REPORTS, REPEAT, Store, StoreError};

/// A candidate with its fate.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateRow {
    /// The candidate.
    pub candidate: Candidate,
    /// Its fate.
    pub fate: Fate,
    /// Reason of the fate, where there is one.
    pub reason: Option<String>,
    /// Number of the candidate whose score it took over.
    pub equivalent_to: Option<u64>,
    /// Its score: the mean where it was trained several times.
    pub score: Option<f64>,
    /// Score of its first training, which it joined the population with.
    pub first_score: Option<f64>,
    /// Number of its trainings that the score is the mean of; 1 too where it was not trained.
    pub trainings: u64,
    /// Position in the order of joining the population, from 0.
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
        let mut rows = self.select(
            &format!("{CANDIDATES} WHERE fate = 'scored' ORDER BY id"),
            &[],
        )?;
        // Sorted by means, which the table does not hold.
        rows.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        rows.truncate(n);
        Ok(rows)
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
        let mut rows = self.rows(sql, values, "candidate", Some("id"), candidate_row)?;
        let further = self.further_scores()?;
        for row in &mut rows {
            if let (Some(first), Some(more)) = (row.score, further.get(&row.candidate.id)) {
                let scores = [&[first], &more[..]].concat();
                row.score = Some(mean_and_std(&scores).0);
                row.trainings = scores.len() as u64;
            }
        }
        Ok(rows)
    }

    /// The scores of further trainings of leaders, by the candidate.
    fn further_scores(&self) -> Result<BTreeMap<u64, Vec<f64>>, StoreError> {
        let sql = "SELECT name, score FROM training WHERE purpose = ? ORDER BY rowid";
        let further = self.rows(sql, [REPEAT], "training", Some("name"), |row| {
            Ok((row.text("name")?, row.finite("score")?))
        })?;
        let mut scores: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (name, score) in further {
            if let Some(id) = candidate_id(&name) {
                scores.entry(id).or_default().push(score);
            }
        }
        Ok(scores)
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

    /// Number of the scored candidates that each operator occurs in, the most frequent first.
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
}

fn candidate_row(row: &Cells<'_>) -> Result<CandidateRow, Fault> {
    let fate = |word: &str| Fate::ALL.into_iter().find(|fate| fate.name() == word);
    let norms: Vec<Option<f64>> = row.json("norms")?;
    let score = row.optional("score", Cells::finite)?;
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
        score,
        first_score: score,
        trainings: 1,
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
    Origin::all().find(|origin| origin.name() == name)
}
