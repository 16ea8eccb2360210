//! The rows of the tables that events are written as.

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;

use crate::event::{Candidate, Event, FailedTraining, Fate, Training};
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
        Event::Screened {
            candidate,
            fate,
            reason,
        } => write_candidate(
            transaction,
            candidate,
            *fate,
            &Outcome {
                reason: Some(reason),
                ..Outcome::default()
            },
        ),
        Event::Equivalent {
            candidate,
            to,
            score,
            joined,
        } => write_candidate(
            transaction,
            candidate,
            Fate::Equivalent,
            &Outcome {
                equivalent_to: Some(*to),
                score: Some(*score),
                joined: Some(*joined),
                ..Outcome::default()
            },
        ),
        Event::Evaluated {
            candidate,
            fate,
            reason,
            score,
            seconds,
            curve,
            metrics,
            joined,
        } => {
            let mut insert =
                transaction.prepare("INSERT OR REPLACE INTO curve VALUES (?, ?, ?)")?;
            for (number, loss_value) in curve {
                let (id, number) = (candidate.id.cast_signed(), *number as i64);
                insert.execute(params![id, number, loss_value])?;
            }
            write_candidate(
                transaction,
                candidate,
                *fate,
                &Outcome {
                    reason: reason.as_deref(),
                    score: Some(*score),
                    joined: Some(*joined),
                    seconds: Some(*seconds),
                    metrics,
                    ..Outcome::default()
                },
            )
        }
        Event::Failed {
            candidate,
            fate,
            message,
            seconds,
        } => write_candidate(
            transaction,
            candidate,
            *fate,
            &Outcome {
                reason: Some(message),
                seconds: Some(*seconds),
                ..Outcome::default()
            },
        ),
        Event::Reported { id, share, score } => transaction
            .execute(
                "INSERT INTO report VALUES (?, ?, ?)",
                params![id.cast_signed(), share, score],
            )
            .map(|_| ()),
        Event::Pruned {
            candidate,
            share,
            score,
            seconds,
        } => {
            let reason = format!("{score:.4} after {:.0} % of the updates", 100.0 * share);
            write_candidate(
                transaction,
                candidate,
                Fate::Pruned,
                &Outcome {
                    reason: Some(&reason),
                    seconds: Some(*seconds),
                    ..Outcome::default()
                },
            )
        }
        Event::Reference(training) => write_training(transaction, "reference", training),
        Event::Repeated { ended, .. } => match ended {
            Ok(training) => write_training(transaction, REPEAT, training),
            Err(failed) => write_failed(transaction, REPEAT, failed),
        },
        Event::Learned(losses) => write_learned(transaction, losses),
        Event::Trained {
            stage,
            ended: Err(failed),
        } => write_failed(transaction, stage.purpose(), failed),
        Event::Trained {
            stage,
            ended: Ok(training),
        } => {
            for (number, png) in training.pictures.iter().enumerate() {
                transaction.execute(
                    "INSERT OR REPLACE INTO picture VALUES (?, ?, ?)",
                    params![training.name, number as i64, png],
                )?;
            }
            write_training(transaction, stage.purpose(), training)
        }
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

/// What a row says beyond the candidate itself.
#[derive(Default)]
struct Outcome<'a> {
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
    result: &Outcome<'_>,
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
