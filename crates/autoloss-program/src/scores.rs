//! Scores of predictions by the program: questions of all threads in as few messages as possible.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use crate::child::{Child, Start, unexpected};
use crate::message::{Answer, Ask, Predicted};
use crate::npy;

/// Predictions of one message at most.
const BATCH: usize = 64;

/// Times in a row that the program may fail before it is asked nothing more.
const FAILURES: u32 = 5;

/// A prediction for a sample.
pub(crate) struct Prediction {
    pub(crate) sample: usize,
    /// The branch to score by itself; `None`: all of them.
    pub(crate) branch: Option<String>,
    /// Extents and values of each branch.
    pub(crate) fields: Vec<(Vec<usize>, Vec<f32>)>,
}

/// A prediction to score.
pub(crate) struct Question {
    prediction: Prediction,
    reply: Sender<f64>,
}

/// Failures of the program during screening.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<(u64, Option<String>)>>);

impl Faults {
    fn note(&self, error: String) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.0 += 1;
        faults.1.get_or_insert(error);
    }

    /// Their number and the first of them, in words.
    pub(crate) fn remark(&self) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, first) = (faults.0, faults.1.as_ref()?);
        Some(format!(
            "the program failed {count} times to score predictions, whose losses count as invalid; the first time: {first}"
        ))
    }
}

/// The start of the program for another time, after it failed.
pub(crate) struct Restart {
    pub(crate) start: Start,
    pub(crate) fingerprint: String,
    /// Number and seed of the samples that it scores predictions of.
    pub(crate) samples: (usize, u64),
}

/// The side of the program: it is started anew where it failed.
pub(crate) struct Scoring {
    child: Option<Child>,
    about: Restart,
    /// Files of predictions.
    folder: TempDir,
    faults: Faults,
    /// Failures since the last score.
    failures: u32,
    /// Messages so far.
    asked: u64,
}

impl Scoring {
    pub(crate) fn new(child: Child, about: Restart, faults: Faults) -> std::io::Result<Self> {
        Ok(Self {
            child: Some(child),
            about,
            folder: tempfile::tempdir()?,
            faults,
            failures: 0,
            asked: 0,
        })
    }

    /// Answers questions until nobody can ask any more; all that come in while the program works are one message.
    pub(crate) fn serve(mut self, questions: &Receiver<Question>) {
        while let Ok(first) = questions.recv() {
            let mut batch = vec![first];
            batch.extend(questions.try_iter().take(BATCH - 1));
            let scores = self.score(&batch);
            for (question, score) in batch.into_iter().zip(scores) {
                // A search that has ended wants none.
                let _ = question.reply.send(score.unwrap_or(f64::NAN));
            }
        }
    }

    /// Scores of a batch. Where the program fails, each prediction is asked once more by itself, and then has no score.
    fn score(&mut self, batch: &[Question]) -> Vec<Option<f64>> {
        if self.failures >= FAILURES {
            return vec![None; batch.len()];
        }
        if let Ok(scores) = self.ask(batch) {
            self.failures = 0;
            return scores;
        }
        let each = batch.iter().map(|question| {
            let score = match self.failures < FAILURES {
                true => self.ask(std::slice::from_ref(question)),
                false => return None,
            };
            match score {
                Ok(scores) => {
                    self.failures = 0;
                    scores[0]
                }
                Err(error) => {
                    self.failures += 1;
                    self.faults.note(error);
                    None
                }
            }
        });
        each.collect()
    }

    /// The program's scores of a batch. One that fails is ended.
    fn ask(&mut self, batch: &[Question]) -> Result<Vec<Option<f64>>, String> {
        let mut child = match self.child.take() {
            Some(child) => child,
            None => self.about.begin(self.folder.path())?,
        };
        self.asked += 1;
        let predictions: Vec<&Prediction> = batch.iter().map(|q| &q.prediction).collect();
        let scored = scores(&mut child, self.asked, &predictions, self.folder.path());
        if !matches!(scored, Err(Unscored::Broken(_))) {
            self.child = Some(child);
        }
        scored.map_err(Unscored::reason)
    }
}

/// Why there are no scores.
pub(crate) enum Unscored {
    /// The program says so, and goes on.
    Said(String),
    /// It ended, did not answer, or answered something else.
    Broken(String),
}

impl Unscored {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Said(reason) | Self::Broken(reason) => reason,
        }
    }
}

/// Asks the program for the scores of predictions, whose files go into the folder; `None` of one that has none.
pub(crate) fn scores(
    child: &mut Child,
    id: u64,
    predictions: &[&Prediction],
    folder: &Path,
) -> Result<Vec<Option<f64>>, Unscored> {
    let question = Ask::Score {
        id,
        predictions: write(predictions, folder).map_err(Unscored::Said)?,
    };
    match child.ask(&question).map_err(Unscored::Broken)? {
        Answer::Scores { id: of, scores } if of == id && scores.len() == predictions.len() => {
            Ok(scores)
        }
        Answer::Scores { id: of, scores } => Err(Unscored::Broken(format!(
            "it gave {} scores for message {of}, expected {} for message {id}",
            scores.len(),
            predictions.len()
        ))),
        Answer::Error { message } => Err(Unscored::Said(message)),
        other => Err(Unscored::Broken(unexpected(&other, "scores"))),
    }
}

impl Restart {
    /// The program, started anew, with the samples that it has to know.
    fn begin(&self, folder: &Path) -> Result<Child, String> {
        let (mut child, _) = self.start.again(&self.fingerprint)?;
        let (count, seed) = self.samples;
        child.samples(count, seed, folder)?;
        Ok(child)
    }
}

/// Writes predictions into files of the folder.
fn write(predictions: &[&Prediction], folder: &Path) -> Result<Vec<Predicted>, String> {
    let file = |name: String, (extents, values): &(Vec<usize>, Vec<f32>)| {
        let path = folder.join(name);
        let written = std::fs::File::create(&path)
            .and_then(|mut file| npy::write(&mut file, extents, values));
        written.map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        Ok(path)
    };
    let predicted = |(number, prediction): (usize, &&Prediction)| {
        let files = prediction.fields.iter().enumerate();
        let files = files.map(|(branch, field)| file(format!("{number}-{branch}.npy"), field));
        Ok(Predicted {
            sample: prediction.sample,
            branch: prediction.branch.clone(),
            files: files.collect::<Result<Vec<PathBuf>, String>>()?,
        })
    };
    predictions.iter().enumerate().map(predicted).collect()
}

/// Asks for the score of a prediction and waits for it; not a number where it has none.
pub(crate) fn ask(questions: &Sender<Question>, prediction: Prediction) -> f64 {
    let (reply, score) = channel();
    match questions.send(Question { prediction, reply }) {
        Ok(()) => score.recv().unwrap_or(f64::NAN),
        Err(_) => f64::NAN,
    }
}
