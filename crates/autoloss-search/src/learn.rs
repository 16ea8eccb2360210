//! Trained losses as knowledge for predictions: those of an earlier run for a new one, and how well a run's own
//! scores follow from each other.

use std::path::Path;
use std::sync::Arc;

use crate::error::SearchError;
use crate::event::{Event, Fate, Origin};
use crate::fidelity::{Pair, spearman};
use crate::predictor::Predictor;
use crate::record::stored_loss;
use crate::screening::{Scratch, Screening};
use crate::store::{CandidateRow, Recorder, Store};
use crate::task::{Task, parse_loss};

/// Fewest trainings whose order is told.
const FEWEST: usize = 8;

/// The trained losses of an earlier run, the oldest first: each formula with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    losses: Vec<(String, f64)>,
}

impl Earlier {
    /// Trainings of a run whose losses have the task's branches. The scores are those of the task's metric where the
    /// run has recorded it, else those of its own.
    ///
    /// # Errors
    /// If there is no run, it cannot be read, has trained nothing, or its losses do not fit the task.
    pub fn of_run(dir: &Path, task: &dyn Task) -> Result<Self, SearchError> {
        let unfit = |reason: String| SearchError::Unlearnable {
            dir: dir.to_owned(),
            task: task.name().to_owned(),
            reason,
        };
        let rows = trained(&Store::open(dir)?)?;
        if rows.is_empty() {
            return Err(unfit("it has trained no loss".to_owned()));
        }
        let by_metric = |row: &CandidateRow| {
            let mut metrics = row.metrics.iter();
            let known = metrics.find(|(name, _)| name == task.metric());
            known.map(|(_, score)| *score)
        };
        let has_metric = rows.iter().all(|row| by_metric(row).is_some());
        let mut losses = Vec::with_capacity(rows.len());
        for row in rows {
            let score = match has_metric {
                true => by_metric(&row),
                false => row.score,
            };
            let formula = row.candidate.formula;
            parse_loss(task, &formula).map_err(|error| unfit(format!("`{formula}`: {error}")))?;
            losses.extend(score.map(|score| (formula, score)));
        }
        Ok(Self { losses })
    }

    /// Number of the losses.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.losses.len()
    }

    /// Makes a fresh run predict from these losses, too.
    ///
    /// # Errors
    /// If the run cannot be written.
    pub fn teach(self, recorder: &mut Recorder) -> Result<(), SearchError> {
        Ok(recorder.record(
            &Event::Learned {
                losses: self.losses,
            },
            0.0,
        )?)
    }
}

/// The candidates of a run whose training came to its end, in the order of their numbers. A policy's losses, which
/// are no trees of operators, are none of them.
fn trained(store: &Store) -> Result<Vec<CandidateRow>, SearchError> {
    let mut rows = store.candidates()?;
    rows.retain(|row| row.fate == Fate::Scored && row.candidate.origin != Origin::Policy);
    Ok(rows)
}

/// Quality of predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictionQuality {
    /// Spearman's correlation between the scores of trained losses and those predicted from all others.
    pub spearman: f64,
    /// Number of these losses.
    pub losses: usize,
}

/// Quality of the predictions that a run's trainings allow, leaving one out; `None` of fewer than eight trainings,
/// or where all scores are equal.
///
/// # Errors
/// If the run cannot be read or does not fit the task.
pub fn prediction_quality(
    task: &dyn Task,
    store: &Store,
) -> Result<Option<PredictionQuality>, SearchError> {
    let screening = Screening::new(task, &store.info()?.settings)?;
    let (predictor, scores) = predictor_of(task, store, &screening)?;
    let Some(process) = predictor.fit(&[]) else {
        return Ok(None);
    };
    let predicted = process.leave_one_out(&predictor);
    // The newest ones, where there are more than predictions are made from.
    let scores = scores[scores.len() - predicted.len()..].iter().copied();
    let pairs: Vec<Pair> = predicted.into_iter().zip(scores).collect();
    Ok(quality(&pairs))
}

/// Quality of the predictions of another run's scores that a run's trainings allow, as a search makes them that learns
/// from it; `None` of fewer than eight trainings, or where all scores are equal.
///
/// # Errors
/// If the run cannot be read or does not fit the task.
pub fn prediction_quality_of(
    task: &dyn Task,
    store: &Store,
    other: &Earlier,
) -> Result<Option<PredictionQuality>, SearchError> {
    let screening = Screening::new(task, &store.info()?.settings)?;
    let (predictor, _) = predictor_of(task, store, &screening)?;
    let Some(process) = predictor.fit(&[]) else {
        return Ok(None);
    };
    let mut scratch = Scratch::default();
    let known = other.losses.iter().filter_map(|(formula, score)| {
        // A loss of another task was refused when the run was read.
        let loss = parse_loss(task, formula).ok()?;
        Some((
            process.mean(&screening.signature(&loss, &mut scratch)),
            *score,
        ))
    });
    Ok(quality(&known.collect::<Vec<Pair>>()))
}

/// A predictor that knows a run's trained losses, and their scores.
fn predictor_of(
    task: &dyn Task,
    store: &Store,
    screening: &Screening,
) -> Result<(Predictor, Vec<f64>), SearchError> {
    let mut scratch = Scratch::default();
    let mut predictor = Predictor::default();
    let mut scores = Vec::new();
    for row in trained(store)? {
        let loss = stored_loss(task, store, &row)?;
        let signature = Arc::new(screening.signature(&loss, &mut scratch));
        let Some(score) = row.score else { continue };
        predictor.add(row.candidate.id, signature, score, row.trainings as f64);
        scores.push(score);
    }
    Ok((predictor, scores))
}

fn quality(pairs: &[Pair]) -> Option<PredictionQuality> {
    let enough = pairs.len() >= FEWEST;
    let spearman = enough.then(|| spearman(pairs)).flatten()?;
    Some(PredictionQuality {
        spearman,
        losses: pairs.len(),
    })
}
