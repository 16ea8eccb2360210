//! Screening on the toy task.

mod branches;

use super::*;
use crate::parse_loss;
use crate::random::Space;
use crate::seed::{Stream, generator};
use crate::settings::{Predictions, Settings};
use crate::task::Task;
use crate::toy::Toy;

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
