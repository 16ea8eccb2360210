use super::*;
use crate::parse_loss;
use crate::random::Space;
use crate::seed::{Stream, generator};
use crate::task::{BranchSample, Evaluation, InputSpec, Interrupt, Job, TaskError};
use crate::toy::Toy;
use autoloss_expr::Shape;

fn quick() -> Settings {
    let mut settings = Settings::default();
    settings.screening.steps = 60;
    settings.screening.step_size = 0.05;
    settings.screening.samples = 3;
    // So few steps leave no early ones to look at.
    settings.screening.early_share = 0.0;
    settings
}

fn judge(settings: &Settings, text: &str) -> Verdict {
    let toy = Toy::new();
    let screener = Screener::new(&toy, settings).unwrap();
    let loss = parse_loss(&toy, text).unwrap();
    (*screener.screen(&loss, &mut Scratch::default())).clone()
}

#[test]
fn baselines_pass_and_hopeless_losses_do_not() {
    for text in [
        "-(y * log(yhat))",
        "square(yhat - y)",
        "abs(yhat - y)",
        "-(y * yhat)",
    ] {
        let verdict = judge(&quick(), text);
        assert_eq!(verdict.judgement, Judgement::Passed, "{text}: {verdict:?}");
        assert!(verdict.g.unwrap() >= 0.6);
    }
    for (text, judgement, why) in [
        ("square(y)", Judgement::Structural, "uses no prediction"),
        ("square(yhat)", Judgement::Structural, "does not use `y`"),
        ("y * log(yhat)", Judgement::Rejected, "g is"),
        ("mul(y, yhat)", Judgement::Rejected, "g is"),
        (
            "exp(exp(exp(exp(yhat + y))))",
            Judgement::Invalid,
            "of sample 0",
        ),
        ("tanh(tanh(1 / (yhat * (y - y))))", Judgement::Invalid, ""),
        (
            "(yhat - yhat) * y",
            Judgement::Invalid,
            "the gradient is zero",
        ),
    ] {
        let verdict = judge(&quick(), text);
        assert_eq!(verdict.judgement, judgement, "{text}: {verdict:?}");
        assert!(verdict.reason.unwrap().contains(why), "{text}");
        let impossible = verdict.g == Some(f64::NEG_INFINITY);
        assert_eq!(impossible, judgement == Judgement::Invalid);
    }
}

#[test]
fn leaving_early_changes_no_judgement() {
    let toy = Toy::new();
    let settings = quick();
    let mut patient = settings.clone();
    patient.screening.threshold = -10.0;
    let space = Space::new(&settings.search, toy.branches()).unwrap();
    let screener = Screener::new(&toy, &settings).unwrap();
    let reference = Screener::new(&toy, &patient).unwrap();
    let mut scratch = Scratch::default();
    let mut early = 0;
    for n in 0..3000 {
        let loss = space.random_loss(&mut generator(1, Stream::Screening, n));
        let verdict = screener.screen(&loss, &mut scratch);
        let full = reference.screen(&loss, &mut scratch);
        early += usize::from(verdict.judgement == Judgement::Rejected && verdict.g.is_none());
        let passes = full.g.is_some_and(|g| g >= 0.6);
        assert_eq!(verdict.judgement == Judgement::Passed, passes, "{loss}");
        assert!(verdict.g.is_none() || verdict.g == full.g, "{loss}");
    }
    assert!(early > 20, "{early}");
}

#[test]
fn an_early_look_rejects_what_gained_nothing() {
    let mut settings = quick();
    settings.screening.early_share = 0.25;
    for text in ["y * log(yhat)", "mul(y, yhat)", "-(y + yhat)"] {
        let verdict = judge(&settings, text);
        assert_eq!(
            verdict.judgement,
            Judgement::Rejected,
            "{text}: {verdict:?}"
        );
        let reason = verdict.reason.unwrap();
        assert!(
            reason.contains("the first sample gained"),
            "{text}: {reason}"
        );
        assert!(reason.contains("in 15 steps"), "{text}: {reason}");
    }
    for text in ["-(y * log(yhat))", "square(yhat - y)", "abs(yhat - y)"] {
        let verdict = judge(&settings, text);
        assert_eq!(verdict.judgement, Judgement::Passed, "{text}: {verdict:?}");
    }
    settings.screening.early_share = 0.0;
    let patient = judge(&settings, "-(y + yhat)").reason.unwrap();
    assert!(patient.contains("g is at most"), "{patient}");
}

#[test]
fn a_loss_that_pulls_the_same_way_takes_the_verdict() {
    let toy = Toy::new();
    for (same_gradient, optimised) in [(true, 2), (false, 4)] {
        let mut settings = quick();
        settings.screening.same_gradient = same_gradient;
        let screener = Screener::new(&toy, &settings).unwrap();
        let mut scratch = Scratch::default();
        let mut screen = |text| {
            let loss = parse_loss(&toy, text).unwrap();
            screener.screen(&loss, &mut scratch)
        };
        let first = screen("square(yhat - y)");
        let again = screen("2 * square(yhat - y) + y");
        assert_eq!(first.judgement, Judgement::Passed);
        assert_eq!((again.judgement, again.g), (first.judgement, first.g));
        // Its own norms are kept, since equivalent losses are told by them.
        for (a, b) in first.norms.iter().zip(&again.norms) {
            assert!((2.0 * a - b).abs() < 1e-5 * b, "{a} {b}");
        }
        // The negative has the norms of the first, and its own verdict.
        let wrong = screen("-square(yhat - y)");
        let wronger = screen("-square(yhat - y) * 3");
        assert_eq!(wrong.judgement, Judgement::Rejected);
        assert_eq!(wronger.judgement, Judgement::Rejected);
        let named = wronger.reason.as_ref().unwrap();
        assert_eq!(
            named.contains("its gradients are those of"),
            same_gradient,
            "{named}"
        );
        assert_eq!(scratch.stages.optimised.count, optimised);
    }
}

#[test]
fn normalising_measures_against_what_could_be_gained() {
    let mut settings = quick();
    let plain = judge(&settings, "square(yhat - y)").g.unwrap();
    settings.screening.normalise = true;
    let normalised = judge(&settings, "square(yhat - y)").g.unwrap();
    assert!(normalised > plain && normalised <= 1.0);
}

#[test]
fn a_loss_that_computes_the_same_is_known() {
    let toy = Toy::new();
    let screener = Screener::new(&toy, &quick()).unwrap();
    let mut scratch = Scratch::default();
    let loss = |text| parse_loss(&toy, text).unwrap();
    let first = screener.screen(&loss("square(yhat - y)"), &mut scratch);
    let again = screener.screen(&loss("square((-y) + yhat)"), &mut scratch);
    assert_eq!(first, again);
    assert_eq!(scratch.stages.cached.count, 2);
    assert_eq!(scratch.stages.optimised.count, 1);
}

/// Two branches of different shapes; the second has a further differentiable input and no `y`.
struct TwoBranches(Vec<BranchSpec>, usize);

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
                    shape: Shape::new(1, 1, 1, 2),
                    inputs: vec![vec![0.5, 0.5], vec![1.0, 0.0]],
                },
                BranchSample {
                    shape: Shape::new(1, 1, 1, 1),
                    inputs: vec![vec![0.25], vec![0.5]],
                },
            ],
            scorer: Box::new(|p| 1.0 - f64::from((p[0][0] - 1.0).abs() + p[1][0].abs())),
        };
        Ok((0..count.min(self.1)).map(|_| sample()).collect())
    }
    fn evaluate(&self, _: &Loss, _: &Job, _: &Interrupt) -> Result<Evaluation, TaskError> {
        Err(TaskError::Interrupted)
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        Vec::new()
    }
}

fn two_branches(samples: usize) -> TwoBranches {
    let input = |name: &str| InputSpec {
        name: name.to_owned(),
        differentiable: true,
        softmax: false,
    };
    TwoBranches(
        vec![
            BranchSpec {
                name: "a".to_owned(),
                inputs: InputSpec::probabilities_and_target(),
            },
            BranchSpec {
                name: "b".to_owned(),
                inputs: vec![input("i"), input("u")],
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
    let screen = |text| {
        let loss = parse_loss(&task, text).unwrap();
        screener.screen(&loss, &mut Scratch::default())
    };
    // Both predictions reach their targets: the metric goes from 0.25 to 1.
    let verdict = screen("a = abs(yhat - y); b = square(i) + u * 0");
    assert_eq!(verdict.judgement, Judgement::Passed, "{verdict:?}");
    // By hand: ∂a = (−½, ½), ∂i = 2 · ¼, ∂u = 0 at every sample.
    for norm in &verdict.norms {
        assert!((norm - 0.75f64.sqrt()).abs() < 1e-6, "{norm}");
    }
    // One branch alone gains too little.
    let verdict = screen("a = abs(yhat - y); b = square(u)");
    assert_eq!(verdict.judgement, Judgement::Rejected);
    assert_eq!(
        screen("a = abs(yhat - y); b = exp(1)").judgement,
        Judgement::Structural
    );
    assert_eq!(
        screen("a = abs(yhat); b = i").judgement,
        Judgement::Structural
    );
}

#[test]
fn missing_samples_are_named() {
    let error = Screener::new(&two_branches(2), &quick()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "screening samples of task `two`: got 2 of 3"
    );
}

#[test]
fn logits_and_bounded_predictions_judge_cross_entropy_alike() {
    let task = Toy::new();
    let loss = parse_loss(&task, "-(y * log(yhat))").unwrap();
    let wrong = parse_loss(&task, "y * log(yhat)").unwrap();
    for predictions in [Predictions::Bounded, Predictions::Free, Predictions::Logits] {
        let mut settings = Settings::default();
        settings.screening.steps = 100;
        settings.screening.step_size = 0.05;
        settings.screening.predictions = predictions;
        let screener = Screener::new(&task, &settings).unwrap();
        let verdict = screener.screen(&loss, &mut Scratch::default());
        assert_eq!(
            verdict.judgement,
            Judgement::Passed,
            "{predictions:?}: {verdict:?}"
        );
        let verdict = screener.screen(&wrong, &mut Scratch::default());
        assert_eq!(
            verdict.judgement,
            Judgement::Rejected,
            "{predictions:?}: {verdict:?}"
        );
    }
}
