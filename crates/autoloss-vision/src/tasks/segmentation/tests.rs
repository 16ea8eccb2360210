//! Trainings and screening of semantic segmentation on the embedded scenes.

use autoloss_expr::{Tree, ZooKind, ZooLoss};
use autoloss_search::{Evaluation, Job, Judgement, Outcome, Scratch, Screener, Settings, Task};

use super::super::TaskName;
use super::super::schedules::Schedules;
use super::super::settings::preset;
use super::*;

fn digits(change: impl FnOnce(&mut SegmentationSettings)) -> Schedules<Segmentation> {
    let mut settings: SegmentationSettings = preset(TaskName::Digits);
    change(&mut settings);
    Schedules::open(settings.clone(), settings, &Device::flex()).unwrap()
}

/// Updates of a tiny training.
const STEPS: usize = 6;

/// Scenes and a training of a fraction of a second.
fn tiny(settings: &mut SegmentationSettings) {
    settings.digits.size = 32;
    settings.digits.train = 64;
    settings.search_images = 8;
    settings.val_images = 8;
    settings.training.crop = 32;
    settings.training.steps = STEPS;
    settings.training.batch = 4;
}

fn loss(formula: &str) -> Loss {
    let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
    Loss::single("segmentation", tree)
}

fn evaluate(task: &dyn Task, formula: &str, seed: u64) -> Evaluation {
    let job = Job {
        seed,
        stop_on_invalid: true,
        ..Job::default()
    };
    task.evaluate(&loss(formula), &job, &Interrupt::default())
        .unwrap()
}

#[test]
fn hand_written_losses_pass_screening_with_room_and_wrong_signs_fail() {
    for metric in ["miou", "bf1"] {
        let task = digits(|settings| metric.clone_into(&mut settings.metric));
        let settings = Settings::default();
        let screener = Screener::new(&task, &settings).unwrap();
        let mut scratch = Scratch::default();
        let of_classes = |zoo: &&ZooLoss| {
            let inputs = zoo.tree();
            // Squared and absolute errors train classes, too.
            let fits = zoo.kind == ZooKind::Classes || ["mse", "l1"].contains(&zoo.name);
            let tree = inputs.native().is_none();
            fits && tree && inputs.inputs().is_subset(&["yhat", "y"].into())
        };
        for zoo in ZooLoss::all().filter(of_classes) {
            let verdict = screener.screen(&loss(zoo.formula), &mut scratch);
            let g = verdict.g.unwrap_or_default();
            assert!(g > 0.75, "{} with {metric}: g = {g}", zoo.name);
            let wrong = loss(&format!("-({})", zoo.formula));
            let verdict = screener.screen(&wrong, &mut scratch);
            assert_ne!(verdict.judgement, Judgement::Passed, "-{}", zoo.name);
        }
    }
}

#[test]
fn an_evaluation_is_a_function_of_loss_and_seed() {
    let once = digits(tiny);
    let threaded = digits(|settings| {
        tiny(settings);
        settings.training.threads = 2;
        settings.training.loader_threads = 2;
    });
    let first = evaluate(&once, "-(y * log(yhat))", 3);
    let again = evaluate(&once, "-(y * log(yhat))", 3);
    assert_eq!((first.score, &first.curve), (again.score, &again.curve));
    let other = evaluate(&threaded, "-(y * log(yhat))", 3);
    assert_eq!((first.score, &first.curve), (other.score, &other.curve));
    assert_ne!(first.curve, evaluate(&once, "-(y * log(yhat))", 4).curve);
}

#[test]
fn training_lowers_the_loss() {
    let task = digits(|settings| {
        tiny(settings);
        settings.training.steps = 30;
    });
    let curve = evaluate(&task, "-(y * log(yhat))", 0).curve;
    let (first, last) = (curve[0].1, curve[curve.len() - 1].1);
    assert!(last < 0.6 * first, "from {first} to {last}");
}

#[test]
fn invalid_trainings_stop_at_once_unless_told_not_to() {
    let task = digits(tiny);
    let stopped = evaluate(&task, "exp(inv(yhat - yhat))", 0);
    assert!(matches!(
        stopped.outcome,
        Outcome::Stopped { update: 1, .. }
    ));
    assert_eq!(stopped.score, 0.0);
    let job = Job {
        seed: 0,
        stop_on_invalid: false,
        ..Job::default()
    };
    let invalid = loss("exp(inv(yhat - yhat))");
    let through = task
        .evaluate(&invalid, &job, &Interrupt::default())
        .unwrap();
    assert_eq!(through.outcome, Outcome::Finished);
    // No update is left out, and a network of invalid parameters predicts no class: it scores 0,
    // not what the first class everywhere would.
    assert_eq!(through.curve.len(), STEPS);
    assert!(through.curve.iter().all(|(_, value)| !value.is_finite()));
    assert_eq!(through.score, 0.0);
}

#[test]
fn an_interrupt_ends_a_training() {
    let task = digits(tiny);
    let interrupt = Interrupt::default();
    interrupt.set();
    let job = Job {
        seed: 0,
        stop_on_invalid: true,
        ..Job::default()
    };
    let ended = task.evaluate(&loss("-(y * log(yhat))"), &job, &interrupt);
    assert!(matches!(ended, Err(TaskError::Interrupted)));
}
