//! Metrics of several predictions at once: what several threads ask together is one call of the user's `metric_batch`.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, TryRecvError, channel};

use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::faults::Faults;
use crate::guard::lock;

/// A prediction to score.
struct Question {
    /// The metric with the target of its sample.
    scorer: Py<PyAny>,
    /// A list of arrays, one a branch.
    prediction: Py<PyList>,
    reply: Sender<PyResult<f64>>,
}

/// The questions of all threads. Whoever waits first asks for all that wait, so that no thread of its own is needed.
pub(super) struct Gatherer {
    /// Called with a list of pairs of scorer and prediction: gives scores and exceptions, and the exception of the call.
    function: Py<PyAny>,
    waiting: Mutex<Vec<Question>>,
    /// Held by the thread that asks.
    asking: Mutex<()>,
    /// Calls that failed.
    failures: Faults,
}

impl Gatherer {
    pub(super) fn new(function: Py<PyAny>, failures: &Faults) -> Self {
        Self {
            function,
            waiting: Mutex::default(),
            asking: Mutex::default(),
            failures: failures.clone(),
        }
    }

    /// The score of a prediction. Threads that call this must not hold the interpreter's lock.
    ///
    /// # Errors
    /// The exception of the metric.
    pub(super) fn score(&self, scorer: Py<PyAny>, prediction: Py<PyList>) -> PyResult<f64> {
        let (reply, answer) = channel();
        lock(&self.waiting).push(Question {
            scorer,
            prediction,
            reply,
        });
        let asking = lock(&self.asking);
        // The thread that asked before this one may have asked for it, too.
        let answered = match answer.try_recv() {
            Err(TryRecvError::Empty) => {
                let questions = std::mem::take(&mut *lock(&self.waiting));
                self.ask(questions);
                answer.try_recv()
            }
            answered => answered,
        };
        drop(asking);
        answered.unwrap_or_else(|_| Err(PyRuntimeError::new_err("no score was given")))
    }

    fn ask(&self, questions: Vec<Question>) {
        Python::attach(|py| match self.call(py, &questions) {
            Ok(scores) => {
                for (question, score) in questions.into_iter().zip(scores) {
                    // The thread waits for it.
                    let _ = question.reply.send(score);
                }
            }
            Err(error) => {
                for question in questions {
                    let _ = question.reply.send(Err(error.clone_ref(py)));
                }
            }
        });
    }

    fn call(&self, py: Python<'_>, questions: &[Question]) -> PyResult<Vec<PyResult<f64>>> {
        let list = PyList::empty(py);
        for question in questions {
            let (scorer, prediction) = (question.scorer.bind(py), question.prediction.bind(py));
            list.append(PyTuple::new(py, [scorer, prediction.as_any()])?)?;
        }
        let scored = self.function.bind(py).call1((list,))?;
        let (scores, failure): (Vec<Bound<'_, PyAny>>, Option<Bound<'_, PyAny>>) =
            scored.extract()?;
        if let Some(failure) = failure {
            self.failures.note(PyErr::from_value(failure));
        }
        let score = |score: Bound<'_, PyAny>| match score.is_instance_of::<PyBaseException>() {
            true => Err(PyErr::from_value(score)),
            false => score.extract(),
        };
        Ok(scores.into_iter().map(score).collect())
    }
}
