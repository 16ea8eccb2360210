//! The toy task with trainings that go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use autoloss_expr::Loss;

use crate::toy::Toy;
use crate::*;

/// The toy task with trainings that go wrong.
pub(super) struct Faulty {
    toy: Toy,
    calls: AtomicUsize,
    /// Where it is not 0: trainings before this one are those of the toy task, this one asks for
    /// the run's end and waits for it.
    pub(super) interrupts_at: usize,
    pub(super) interrupt: Interrupt,
    fault: fn(usize) -> Option<Evaluation>,
}

impl Faulty {
    pub(super) fn new(fault: fn(usize) -> Option<Evaluation>) -> Self {
        Self {
            toy: Toy::new(),
            calls: AtomicUsize::new(0),
            interrupts_at: 0,
            interrupt: Interrupt::default(),
            fault,
        }
    }
}

impl Task for Faulty {
    fn name(&self) -> &str {
        "toy"
    }
    fn metric(&self) -> &str {
        self.toy.metric()
    }
    fn branches(&self) -> &[BranchSpec] {
        self.toy.branches()
    }
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.toy.samples(count, seed)
    }
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        stop: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        // Call 0 trains the reference.
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.interrupts_at > 0 {
            if call < self.interrupts_at {
                return self.toy.evaluate_reporting(loss, job, stop, report);
            }
            self.interrupt.set();
            while !stop.is_set() {
                std::thread::yield_now();
            }
            return Err(TaskError::Interrupted);
        }
        match (self.fault)(call) {
            Some(evaluation) => Ok(evaluation),
            None if call == 0 => self.toy.evaluate_reporting(loss, job, stop, report),
            None if call.is_multiple_of(2) => Err(TaskError::Failed("out of memory".to_owned())),
            None => panic!("a bug of the task"),
        }
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}

pub(super) fn scored(score: f64, outcome: Outcome) -> Evaluation {
    Evaluation {
        outcome,
        curve: vec![(1, f64::NAN), (2, f64::INFINITY)],
        ..Evaluation::finished(score, 0.1)
    }
}

/// The toy task with another training.
pub(super) struct Altered<F> {
    toy: Toy,
    evaluate: F,
}

impl<F> Altered<F>
where
    F: Fn(&Loss, &Job) -> Option<String> + Send + Sync,
{
    /// Trainings fail with the message that `evaluate` gives.
    pub(super) fn failing(evaluate: F) -> Self {
        Self {
            toy: Toy::new(),
            evaluate,
        }
    }
}

impl<F> Task for Altered<F>
where
    F: Fn(&Loss, &Job) -> Option<String> + Send + Sync,
{
    fn name(&self) -> &str {
        self.toy.name()
    }
    fn metric(&self) -> &str {
        self.toy.metric()
    }
    fn branches(&self) -> &[BranchSpec] {
        self.toy.branches()
    }
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.toy.samples(count, seed)
    }
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        stop: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        match (self.evaluate)(loss, job) {
            Some(message) => Err(TaskError::Failed(message)),
            None => self.toy.evaluate_reporting(loss, job, stop, report),
        }
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}

/// About a third of all losses, the baselines not among them.
pub(super) fn is_unlucky(loss: &Loss, _: &Job) -> Option<String> {
    let text = loss.to_string();
    let unlucky = !text.contains("log(yhat))") && text.len() % 3 == 1;
    unlucky.then(|| "out of memory".to_owned())
}
