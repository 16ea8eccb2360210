//! Checkpoints of a network that is one number, raised by 1 in each update.

use burn::module::Param;
use burn::tensor::{Device, Tensor};

use super::*;
use crate::loss::{LossAt, LossValue};
use crate::train::Optimiser;
use std::path::Path;

/// Update after which the network's score on the search set is best; that on the validation set grows on.
const PEAK: f64 = 3.0;

#[derive(Module, Debug)]
struct Number {
    value: Param<Tensor<1>>,
}

impl Number {
    fn new() -> Self {
        Self {
            value: Param::from_tensor(Tensor::zeros([1], &Device::flex().autodiff())),
        }
    }

    fn get(&self) -> f64 {
        f64::from(self.value.val().into_scalar::<f32>())
    }
}

struct Counting(TrainingSettings);

impl Counting {
    fn steps(steps: usize) -> Self {
        Self(TrainingSettings {
            steps,
            batch: 2,
            crop: 0,
            optimiser: Optimiser::Sgd,
            learning_rate: 1.0,
            momentum: 0.0,
            weight_decay: 0.0,
            warmup: 0,
            power: 0.0,
            threads: 1,
            loader_threads: 0,
        })
    }
}

impl Learner for Counting {
    type Net = Number;

    fn training(&self) -> &TrainingSettings {
        &self.0
    }

    fn searched_metric(&self) -> &str {
        "nearness"
    }

    fn summary(&self) -> Result<Summary, DataError> {
        Ok(Summary::default())
    }

    fn start(
        &self,
        _loss: &Loss,
        _seed: u64,
        _done: usize,
    ) -> Result<(Number, LossOf<'_, Number>), TaskError> {
        let falling = |net: &Number, _update| {
            Ok(LossAt {
                loss_value: LossValue::Known(-net.get()),
                root: -net.value.val(),
                gradient_is_finite: true,
            })
        };
        Ok((Number::new(), Box::new(falling)))
    }

    fn score(
        &self,
        net: &Number,
        set: EvaluationSet,
        _all: bool,
        _interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        let score = match set {
            EvaluationSet::Search => 1.0 - (net.get() - PEAK).abs() / 8.0,
            EvaluationSet::Validation => net.get() / 8.0,
        };
        Ok(vec![("nearness".to_owned(), score)])
    }

    fn pictures(&self, _net: &Number, _count: usize) -> Result<Vec<Vec<u8>>, TrainError> {
        Ok(Vec::new())
    }
}

/// Interrupts after an update.
fn interrupting(interrupt: &Interrupt, after: Option<usize>) -> impl Fn(Report) + Sync {
    move |report| {
        if let Report::Update { update, .. } = report
            && after == Some(update)
        {
            interrupt.set();
        }
    }
}

/// Score on the search set and number at the end of a training in `dir`, whose result is of the
/// validation set.
fn trained(
    dir: &Path,
    steps: usize,
    (every, best): (usize, bool),
    interrupted_after: Option<usize>,
) -> Result<(f64, f64), TaskError> {
    let interrupt = Interrupt::default();
    let evaluation = evaluate(
        &Counting::steps(steps),
        &Loss::single("nothing", Tree::one()),
        &Job {
            set: EvaluationSet::Validation,
            keeping: Some(Keeping {
                dir: dir.to_owned(),
                every,
                best,
            }),
            ..Job::default()
        },
        &interrupt,
        &interrupting(&interrupt, interrupted_after),
    )?;
    let mut kept = Number::new();
    load_network(&mut kept, &dir.join("network.safetensors")).unwrap();
    assert_eq!(evaluation.score, kept.get() / 8.0);
    let mut metrics = evaluation.metrics.iter();
    let searched = metrics.find(|(name, _)| name == SEARCH_SCORE).unwrap();
    Ok((searched.1, kept.get()))
}

#[test]
fn the_best_checkpoint_on_the_search_set_is_kept_where_it_is_asked_for() {
    for (every, best, expected) in [
        (1, true, (1.0, 3.0)),
        (1, false, (0.625, 6.0)),
        // Of the checkpoints 2, 4 and 6 the first of the two best.
        (2, true, (0.875, 2.0)),
        // No checkpoint but the one at the end.
        (6, true, (0.625, 6.0)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let got = trained(dir.path(), 6, (every, best), None).unwrap();
        assert_eq!(got, expected, "every {every}, best {best}");
    }
}

#[test]
fn an_end_better_than_every_checkpoint_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(trained(dir.path(), 3, (2, true), None).unwrap(), (1.0, 3.0));
}

#[test]
fn the_best_checkpoint_outlives_an_interruption() {
    let dir = tempfile::tempdir().unwrap();
    let ended = trained(dir.path(), 6, (1, true), Some(5));
    assert!(matches!(ended, Err(TaskError::Interrupted)));
    assert_eq!(trained(dir.path(), 6, (1, true), None).unwrap(), (1.0, 3.0));
}
