//! A task whose trainings take no time, and workers that misbehave.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use autoloss_expr::Loss;
use autoloss_search::toy::Toy;
use autoloss_search::{BranchSpec, Evaluation, Interrupt, Job, Reporter, Sample, Task, TaskError};
use serde::{Deserialize, Serialize};

/// The behaviour of a worker process; numbers count its trainings, 0 is never.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Behaviour {
    /// Duration of a training.
    pub(crate) milliseconds: u64,
    pub(crate) dies_every: u64,
    pub(crate) rubbish_every: u64,
    pub(crate) hangs_every: u64,
    /// A part of the formulas at which it dies.
    pub(crate) dies_at: Option<String>,
}

impl Behaviour {
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap()
    }
}

/// The toy task with scores that follow from the formula.
pub(crate) struct Trivial {
    toy: Toy,
    behaviour: Behaviour,
    trainings: AtomicU64,
}

impl Trivial {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            toy: Toy::new(),
            behaviour,
            trainings: AtomicU64::new(0),
        }
    }

    pub(crate) fn open(settings: &str) -> Result<Self, String> {
        let behaviour = serde_json::from_str(settings).map_err(|error| error.to_string())?;
        Ok(Self::new(behaviour))
    }

    fn misbehave(&self, loss: &Loss) {
        let count = self.trainings.fetch_add(1, Ordering::Relaxed) + 1;
        let now = |every: u64| every > 0 && count.is_multiple_of(every);
        let at = self.behaviour.dies_at.as_ref();
        if now(self.behaviour.dies_every) || at.is_some_and(|at| loss.to_string().contains(at)) {
            eprintln!("dead on request");
            std::process::exit(3);
        }
        if now(self.behaviour.rubbish_every) {
            println!("no message");
        }
        if now(self.behaviour.hangs_every) {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

/// The score of a formula.
pub(crate) fn score(formula: &str) -> f64 {
    let hash = formula.bytes().fold(7_u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    (hash % 10_000) as f64 / 10_000.0
}

impl Task for Trivial {
    fn name(&self) -> &str {
        "trivial"
    }

    fn metric(&self) -> &str {
        "luck"
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
        _: &Job,
        interrupt: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        self.misbehave(loss);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(self.behaviour.milliseconds) {
            if interrupt.is_set() {
                return Err(TaskError::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let score = score(&loss.to_string());
        Ok(Evaluation::finished(score, start.elapsed().as_secs_f64()))
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}
