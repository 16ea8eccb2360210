//! The rows of the tables that events are written as.

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;

use crate::event::{Candidate, Ended, Event, FailedTraining, Fate, Training};
use crate::store::{EARLIER, REPEAT};

pub(super) fn write(
    connection: &mut Connection,
    events: &[(Event, f64)],
    elapsed: f64,
) -> Result<(), rusqlite::Error> {
    // Dropped without a commit, the transaction is rolled back.
    let transaction = connection.transaction()?;
    for (event, moment) in events {
        write_event(&transaction, event)?;
        write_trial(&transaction, event, *moment)?;
        if let Event::Evaluated { candidate, .. } | Event::Equivalent { candidate, .. } = event {
            transaction.execute(
                "INSERT OR REPLACE INTO moment VALUES (?, ?)",
                params![candidate.id.cast_signed(), moment],
            )?;
        }
    }
    transaction.execute("UPDATE run SET elapsed = ?", [elapsed])?;
    transaction.commit()
}

fn write_event(transaction: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    match event {
        Event::Drawn {
            proposal,
            drawn,
            structural,
            cached,
        } => transaction
            .execute(
                "INSERT INTO drawn VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                 drawn = drawn + ?2, structural = structural + ?3, cached = cached + ?4",
                [proposal, drawn, structural, cached].map(|n| n.cast_signed()),
            )
            .map(|_| ()),
        Event::Evaluated {
            candidate, curve, ..
        } => {
            write_curve(transaction, candidate.id, curve)?;
            write_outcome(transaction, event)
        }
        Event::Screened { .. }
        | Event::Equivalent { .. }
        | Event::Failed { .. }
        | Event::Pruned { .. } => write_outcome(transaction, event),
        Event::Reported { id, share, score } => transaction
            .execute(
                "INSERT INTO report VALUES (?, ?, ?)",
                params![id.cast_signed(), share, score],
            )
            .map(|_| ()),
        Event::Reference { training, .. } => write_training(transaction, "reference", training),
        Event::Repeated { ended, .. } => write_ended(transaction, REPEAT, ended),
        Event::Learned { losses } => write_learned(transaction, losses),
        Event::Trained { stage, ended } => write_ended(transaction, stage.purpose(), ended),
        Event::SearchEnded { end } => transaction
            .execute("UPDATE run SET ended = ?", [end.to_string()])
            .map(|_| ()),
        Event::Started { .. }
        | Event::Parked { .. }
        | Event::EvaluationStarted { .. }
        | Event::Lost { .. }
        | Event::StageStarted { .. } => Ok(()),
    }
}

/// The row of a candidate whose outcome an event tells.
fn write_outcome(transaction: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    let pruned;
    let (candidate, fate, columns) = match event {
        Event::Screened {
            candidate,
            fate,
            reason,
        } => {
            let columns = Columns {
                reason: Some(reason),
                ..Columns::default()
            };
            (candidate, *fate, columns)
        }
        Event::Equivalent {
            candidate,
            to,
            score,
            joined,
        } => {
            let columns = Columns {
                equivalent_to: Some(*to),
                score: Some(*score),
                joined: Some(*joined),
                ..Columns::default()
            };
            (candidate, Fate::Equivalent, columns)
        }
        Event::Evaluated {
            candidate,
            fate,
            reason,
            score,
            seconds,
            metrics,
            joined,
            ..
        } => {
            let columns = Columns {
                reason: reason.as_deref(),
                score: Some(*score),
                joined: Some(*joined),
                seconds: Some(*seconds),
                metrics,
                ..Columns::default()
            };
            (candidate, *fate, columns)
        }
        Event::Failed {
            candidate,
            fate,
            message,
            seconds,
            ..
        } => {
            let columns = Columns {
                reason: Some(message),
                seconds: Some(*seconds),
                ..Columns::default()
            };
            (candidate, *fate, columns)
        }
        Event::Pruned {
            candidate,
            share,
            score,
            seconds,
            ..
        } => {
            pruned = format!("{score:.4} after {:.0} % of the updates", 100.0 * share);
            let columns = Columns {
                reason: Some(&pruned),
                seconds: Some(*seconds),
                ..Columns::default()
            };
            (candidate, Fate::Pruned, columns)
        }
        _ => return Ok(()),
    };
    write_candidate(transaction, candidate, fate, &columns)
}

/// The loss values of a candidate's training.
fn write_curve(
    transaction: &Transaction<'_>,
    id: u64,
    curve: &[(usize, f64)],
) -> Result<(), rusqlite::Error> {
    let mut insert = transaction.prepare("INSERT OR REPLACE INTO curve VALUES (?, ?, ?)")?;
    for (number, loss_value) in curve {
        insert.execute(params![id.cast_signed(), *number as i64, loss_value])?;
    }
    Ok(())
}

/// The row of a training with a fixed loss, and its pictures.
fn write_ended(
    transaction: &Transaction<'_>,
    purpose: &str,
    ended: &Ended,
) -> Result<(), rusqlite::Error> {
    let training = match ended {
        Ok(training) => training,
        Err(failed) => return write_failed(transaction, purpose, failed),
    };
    for (number, png) in training.pictures.iter().enumerate() {
        transaction.execute(
            "INSERT OR REPLACE INTO picture VALUES (?, ?, ?)",
            params![training.name, number as i64, png],
        )?;
    }
    write_training(transaction, purpose, training)
}

/// The row of a trial that ended on a worker, or lost it.
fn write_trial(
    transaction: &Transaction<'_>,
    event: &Event,
    moment: f64,
) -> Result<(), rusqlite::Error> {
    let Some((id, worker, seconds)) = trial(event) else {
        return Ok(());
    };
    let lost = matches!(event, Event::Lost { .. });
    let mut insert = transaction.prepare("INSERT INTO trial VALUES (?, ?, ?, ?, ?)")?;
    let (id, worker) = (id.cast_signed(), worker as i64);
    insert.execute(params![id, worker, seconds, moment, lost])?;
    Ok(())
}

/// Candidate, worker and seconds of the trial whose end an event tells.
const fn trial(event: &Event) -> Option<(u64, usize, f64)> {
    match event {
        Event::Reference { training, worker } => Some((0, *worker, training.seconds)),
        Event::Evaluated {
            candidate,
            seconds,
            worker: Some(worker),
            ..
        } => Some((candidate.id, *worker, *seconds)),
        // Told by its last loss of a worker.
        Event::Failed {
            fate: Fate::Lost, ..
        } => None,
        Event::Failed {
            candidate,
            seconds,
            worker,
            ..
        }
        | Event::Pruned {
            candidate,
            seconds,
            worker,
            ..
        } => Some((candidate.id, *worker, *seconds)),
        Event::Lost {
            id,
            worker,
            seconds,
            ..
        } => Some((*id, *worker, *seconds)),
        Event::Repeated {
            id, ended, worker, ..
        } => match ended {
            Ok(training) => Some((*id, *worker, training.seconds)),
            Err(failed) => Some((*id, *worker, failed.seconds)),
        },
        _ => None,
    }
}

/// The losses of an earlier run, as trainings that are numbered instead of seeded.
fn write_learned(
    transaction: &Transaction<'_>,
    losses: &[(String, f64)],
) -> Result<(), rusqlite::Error> {
    let mut insert = transaction
        .prepare("INSERT OR REPLACE INTO training VALUES (?, ?, ?, ?, ?, 0.0, NULL, '[]', '[]')")?;
    for (number, (formula, score)) in losses.iter().enumerate() {
        insert.execute(params![EARLIER, "", formula, number as i64, score])?;
    }
    Ok(())
}

/// Columns of a row beyond the candidate itself.
#[derive(Default)]
struct Columns<'a> {
    reason: Option<&'a str>,
    equivalent_to: Option<u64>,
    score: Option<f64>,
    joined: Option<u64>,
    seconds: Option<f64>,
    metrics: &'a [(String, f64)],
}

fn write_candidate(
    transaction: &Transaction<'_>,
    candidate: &Candidate,
    fate: Fate,
    result: &Columns<'_>,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            candidate.id.cast_signed(),
            candidate.proposal.cast_signed(),
            candidate.draw.cast_signed(),
            candidate.parent.map(u64::cast_signed),
            candidate.origin.name(),
            candidate.formula,
            candidate.canonical,
            fate.name(),
            result.reason,
            candidate.g,
            json(&candidate.norms),
            result.equivalent_to.map(u64::cast_signed),
            result.score,
            result.joined.map(u64::cast_signed),
            candidate.seconds,
            result.seconds,
            json(&result.metrics),
            candidate.worker as i64,
        ],
    )?;
    Ok(())
}

fn write_training(
    transaction: &Transaction<'_>,
    purpose: &str,
    training: &Training,
) -> Result<(), rusqlite::Error> {
    // An earlier try may have failed.
    transaction.execute(
        "DELETE FROM failure WHERE purpose = ? AND name = ? AND seed = ?",
        params![purpose, training.name, training.seed.cast_signed()],
    )?;
    transaction.execute(
        "INSERT OR REPLACE INTO training VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            purpose,
            training.name,
            training.formula,
            training.seed.cast_signed(),
            training.score,
            training.seconds,
            training.note,
            json(&training.curve),
            json(&training.metrics),
        ],
    )?;
    Ok(())
}

fn write_failed(
    transaction: &Transaction<'_>,
    purpose: &str,
    failed: &FailedTraining,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?)",
        params![
            purpose,
            failed.name,
            failed.formula,
            failed.seed.cast_signed(),
            failed.seconds,
            failed.message,
        ],
    )?;
    Ok(())
}

/// A list as JSON; numbers that are not finite become `null`.
fn json<T: Serialize>(list: &T) -> String {
    serde_json::to_string(list).expect("lists of numbers and names are expressible in JSON")
}
