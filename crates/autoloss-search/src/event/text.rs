//! Events as lines of a log.

use std::fmt;

use super::{Event, Fate, FinalStage};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                task,
                metric,
                seed,
                workers,
                so_far,
            } => {
                write!(
                    f,
                    "search on {task} for {metric}, seed {seed}, workers: {workers}"
                )?;
                if so_far.drawn > 0 {
                    write!(f, ", going on after {} evaluations", so_far.evaluations)?;
                }
                Ok(())
            }
            Self::Drawn {
                proposal,
                drawn,
                structural,
                cached,
            } => write!(
                f,
                "proposal {proposal}: {drawn} drawn, {structural} without prediction or target, {cached} known as rejected"
            ),
            Self::Parked { id, waits_for } => {
                write!(f, "#{id} waits for the score of #{waits_for}")
            }
            Self::EvaluationStarted {
                id,
                formula,
                worker,
            } => write!(f, "#{id} in training on worker {worker}: {formula}"),
            Self::Reported { id, share, score } => {
                write!(f, "#{id} after {:.0} %: {score:.4}", 100.0 * share)
            }
            Self::Lost {
                id,
                attempt,
                reason,
                ..
            } => write!(f, "#{id} lost its worker ({attempt}): {reason}"),
            Self::Learned { losses } => write!(f, "{} losses of an earlier run", losses.len()),
            Self::SearchEnded { end } => write!(f, "search ended: {end}"),
            Self::StageStarted { stage, missing } => {
                write!(f, "{stage}: {missing} full trainings to make")
            }
            Self::Screened { .. }
            | Self::Equivalent { .. }
            | Self::Evaluated { .. }
            | Self::Pruned { .. }
            | Self::Failed { .. } => outcome(self, f),
            Self::Reference { .. } | Self::Repeated { .. } | Self::Trained { .. } => {
                training(self, f)
            }
        }
    }
}

/// The outcome of a candidate.
fn outcome(event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        Event::Screened {
            candidate,
            fate,
            reason,
        } => write!(f, "{candidate} {}: {reason}", fate.name()),
        Event::Equivalent {
            candidate,
            to,
            score,
            ..
        } => write!(f, "{candidate} equivalent to #{to}: {score:.4}"),
        Event::Evaluated {
            candidate,
            fate,
            reason,
            score,
            ..
        } => {
            write!(f, "{candidate} {} {score:.4}", fate.name())?;
            reason
                .as_ref()
                .map_or(Ok(()), |reason| write!(f, " ({reason})"))
        }
        Event::Pruned {
            candidate,
            share,
            score,
            ..
        } => {
            let (fate, percent) = (Fate::Pruned.name(), 100.0 * share);
            write!(f, "{candidate} {fate} after {percent:.0} %: {score:.4}")
        }
        Event::Failed {
            candidate,
            fate,
            message,
            ..
        } => write!(f, "{candidate} {}: {message}", fate.name()),
        _ => Ok(()),
    }
}

/// A training with a fixed loss.
fn training(event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        Event::Reference { training, .. } => write!(f, "reference {training}"),
        Event::Repeated {
            ended: Ok(training),
            mean,
            trainings,
            ..
        } => write!(f, "again {training}, {mean:.4} in the mean of {trainings}"),
        Event::Repeated {
            ended: Err(failed), ..
        } => write!(f, "again {failed}"),
        Event::Trained { stage, ended } => {
            let word = match stage {
                FinalStage::Finalists => "finalist",
                FinalStage::Comparison => "compared",
            };
            match ended {
                Ok(training) => write!(f, "{word} {training}"),
                Err(failed) => write!(f, "{word} {failed}"),
            }
        }
        _ => Ok(()),
    }
}
