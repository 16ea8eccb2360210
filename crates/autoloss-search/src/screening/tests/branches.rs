//! Screening of a task of two branches, together and apart.

use std::sync::Arc;

use autoloss_expr::{Loss, Shape};

use super::quick;
use crate::parse_loss;
use crate::screening::{Judgement, Scratch, Screened, Screener, Screening};
use crate::settings::Settings;
use crate::task::{
    BranchSample, BranchSpec, Derived, Evaluation, InputSpec, Interrupt, Job, Reporter, Role,
    Sample, Task, TaskError,
};

/// Two branches of different shapes; the second has a further input that follows its prediction.
struct TwoBranches(Vec<BranchSpec>, usize);

/// `d` = yhat − 0.1.
struct Offset;

impl Derived for Offset {
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>> {
        vec![prediction.iter().map(|x| x - 0.1).collect()]
    }
    fn pull_back(&self, _: &[f64], gradients: &[&[f64]], gradient: &mut [f64]) {
        for (total, g) in gradient.iter_mut().zip(gradients[0]) {
            *total += g;
        }
    }
}

impl Task for TwoBranches {
    fn name(&self) -> &str {
        "two"
    }
    fn metric(&self) -> &str {
        "nearness"
    }
    fn branches(&self) -> &[BranchSpec] {
        &self.0
    }
    fn samples(&self, count: usize, _: u64) -> Result<Vec<Sample>, TaskError> {
        let sample = || Sample {
            branches: vec![
                BranchSample {
                    scorer: Some(Box::new(|p| 1.0 - f64::from((p[0] - 1.0).abs()))),
                    ..BranchSample::only(
                        Shape::new(1, 1, 1, 2),
                        vec![vec![0.5, 0.5], vec![1.0, 0.0]],
                    )
                },
                BranchSample {
                    derived: Some(Arc::new(Offset)),
                    scorer: Some(Box::new(|p| 0.9 - 4.0 * f64::from((p[0] - 0.1).abs()))),
                    ..BranchSample::only(
                        Shape::new(1, 1, 1, 1),
                        vec![vec![0.35], vec![0.1], vec![0.25]],
                    )
                },
            ],
            scorer: Box::new(|p| 1.0 - f64::from((p[0][0] - 1.0).abs() + (p[1][0] - 0.1).abs())),
        };
        Ok((0..count.min(self.1)).map(|_| sample()).collect())
    }
    fn evaluate_reporting(
        &self,
        _: &Loss,
        _: &Job,
        _: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        Err(TaskError::Interrupted)
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        Vec::new()
    }
}

fn two_branches(samples: usize) -> TwoBranches {
    let mut numbers = InputSpec::numbers_and_target();
    numbers.push(InputSpec::new("d", Role::Derived));
    TwoBranches(
        vec![
            BranchSpec {
                name: "a".to_owned(),
                inputs: InputSpec::probabilities_and_target(),
            },
            BranchSpec {
                name: "b".to_owned(),
                inputs: numbers,
            },
        ],
        samples,
    )
}

#[test]
fn branches_are_screened_together() {
    let task = two_branches(9);
    let mut settings = quick();
    settings.screening.threshold = 0.7;
    let screener = Screener::new(&task, &settings).unwrap();
    let screen = |text: &str| {
        let loss = parse_loss(&task, text).unwrap();
        let exact = screener.screen_exactly(&loss);
        let verdict = screener.screen(&loss, &mut Scratch::default());
        assert_eq!(exact.judgement, verdict.judgement, "{exact:?} {verdict:?}");
        verdict
    };
    // Both predictions reach their targets: the metric goes from 0.25 to 1. The second is pulled
    // by way of what follows it, by itself or beside the prediction.
    for b in [
        "square(d)",
        "square(d) + yhat * 0",
        "0.5 * square(yhat - y) + 0.5 * square(d)",
    ] {
        let verdict = screen(&format!("a = abs(yhat - y); b = {b}"));
        assert_eq!(verdict.judgement, Judgement::Passed, "{verdict:?}");
        // By hand: ∂a = (−½, ½), ∂b = 2 · ¼ at every sample.
        for norm in &verdict.norms {
            assert!((norm - 0.75f64.sqrt()).abs() < 1e-6, "{norm}");
        }
    }
    // One branch alone gains too little.
    let verdict = screen("a = abs(yhat - y); b = -square(d)");
    assert_eq!(verdict.judgement, Judgement::Rejected);
    for text in [
        "a = abs(yhat - y); b = exp(1)",
        "a = abs(yhat); b = d",
        "a = abs(yhat - y); b = square(yhat)",
    ] {
        assert_eq!(screen(text).judgement, Judgement::Structural, "{text}");
    }
}

#[test]
fn branches_are_screened_apart() {
    let task = two_branches(9);
    let mut settings = quick();
    settings.screening.threshold = 0.4;
    let screen = |settings: &Settings, text| {
        let screening = Screening::new(&task, settings).unwrap();
        let loss = parse_loss(&task, text).unwrap();
        let mut scratch = Scratch::default();
        let first = screening.screen(&loss, &mut scratch);
        let (again, passed) = screening.screen(&loss, &mut scratch);
        assert_eq!(first.1, passed);
        match (first.0, again) {
            (Screened::Judged(first), Screened::Judged(again)) => assert_eq!(first, again),
            (Screened::Judged(first), Screened::Known) => {
                assert_ne!(first.judgement, Judgement::Passed);
                return (Some(first), passed);
            }
            (Screened::Structural, Screened::Structural) => return (None, passed),
            _ => panic!("the second verdict is another one"),
        }
        let (Screened::Judged(verdict), _) = screening.screen(&loss, &mut scratch) else {
            panic!("the third verdict is another one")
        };
        (Some(verdict), passed)
    };
    let (verdict, passed) = screen(&settings, "a = abs(yhat - y); b = square(d)");
    let verdict = verdict.unwrap();
    assert_eq!((verdict.judgement, passed), (Judgement::Passed, 2));
    // Three samples, a norm for each branch.
    let want = [0.5f64.sqrt(), 0.5].map(|norm| [norm; 3]).concat();
    assert!(
        verdict
            .norms
            .iter()
            .zip(&want)
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
    assert!(
        (verdict.g.unwrap() - 1.0 / 1.1).abs() < 0.05,
        "the lower of two gains, each as a share of what could be gained: {verdict:?}"
    );
    assert_eq!(verdict.canonical.split("; ").count(), 2);

    let (verdict, passed) = screen(&settings, "a = abs(yhat - y); b = -square(d)");
    let reason = verdict.unwrap().reason.clone().unwrap();
    assert_eq!(passed, 1);
    assert!(reason.starts_with("branch `b`: "), "{reason}");
    assert_eq!(screen(&settings, "a = abs(yhat); b = square(d)"), (None, 0));

    // What is fixed is not judged.
    let fixed = ("b".to_owned(), "-square(d)".to_owned());
    settings.search.fixed.extend([fixed]);
    let (verdict, passed) = screen(&settings, "a = abs(yhat - y); b = -square(d)");
    let verdict = verdict.unwrap();
    assert_eq!((verdict.judgement, passed), (Judgement::Passed, 2));
    assert_eq!(verdict.norms.len(), 6);
}

/// A run that is resumed judges the branches of recorded candidates again, and knows no others.
#[test]
fn a_candidate_of_which_a_branch_was_judged_is_told() {
    let task = two_branches(9);
    let mut settings = quick();
    settings.screening.threshold = 0.4;
    let screening = Screening::new(&task, &settings).unwrap();
    let mut scratch = Scratch::default();
    let mut screen = |text| screening.screen(&parse_loss(&task, text).unwrap(), &mut scratch);
    let reason = |screened: &Screened| match screened {
        Screened::Judged(verdict) => verdict.reason.clone(),
        _ => None,
    };
    let (hopeless, passed) = screen("a = abs(yhat - y); b = exp(1)");
    assert_eq!(passed, 1);
    let said = reason(&hopeless).unwrap();
    assert!(said.starts_with("branch `b`: "), "{said}");
    let (again, passed) = screen("a = abs(yhat - y); b = exp(1)");
    assert!(matches!(again, Screened::Structural) && passed == 1);
    screen("a = abs(yhat - y); b = -square(d)");
    let (known, _) = screen("a = square(yhat - y); b = -square(d)");
    assert!(reason(&known).unwrap().starts_with("branch `b`: "));
    let (again, passed) = screen("a = square(yhat - y); b = -square(d)");
    assert!(matches!(again, Screened::Known) && passed == 1);
}

#[test]
fn missing_samples_are_named() {
    let error = Screener::new(&two_branches(2), &quick()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "screening samples of task `two`: got 2 of 3"
    );
}
