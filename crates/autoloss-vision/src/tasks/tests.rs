//! Properties of every embedded task.

use autoloss_data::Split;
use autoloss_expr::{Loss, Operator, Tree};
use autoloss_search::{
    Evaluation, EvaluationSet, Interrupt, Job, Judgement, Keeping, Outcome, Report, SEARCH_SCORE,
    Schedule, Scratch, Screened, Screener, Screening, Settings, TaskError,
};
use burn::tensor::Device;

use super::detection::Detection;
use super::pose::Pose;
use super::schedules::Schedules;
use super::segmentation::Segmentation;
use super::{FamilySettings, TaskName, TaskSettings, VisionTask};

/// An embedded task with changed settings.
pub(super) fn open(name: TaskName, changes: &str) -> Box<dyn VisionTask> {
    let text = format!("name = \"{name}\"\n{changes}");
    let settings = TaskSettings::from_table(&toml::from_str(&text).unwrap()).unwrap();
    settings.open(&Device::flex()).unwrap()
}

/// A training of a fraction of a second.
const TINY: &str = "search_images = 4\nval_images = 4\n[training]\nsteps = 3\nbatch = 2\n";

const OBJECTS: [TaskName; 3] = [
    TaskName::DigitsDetection,
    TaskName::DigitsInstances,
    TaskName::FiguresPose,
];

pub(super) fn usual(task: &dyn VisionTask) -> Loss {
    task.baselines().swap_remove(0).1
}

pub(super) fn evaluate(task: &dyn VisionTask, loss: &Loss, seed: u64) -> Evaluation {
    let job = Job {
        seed,
        stop_on_invalid: true,
        ..Job::default()
    };
    task.evaluate(loss, &job, &Interrupt::default()).unwrap()
}

/// The loss with the negative of one branch.
fn negated(loss: &Loss, branch: usize) -> Loss {
    let mut loss = loss.clone();
    let tree = std::mem::replace(&mut loss.branches[branch].tree, Tree::one());
    loss.branches[branch].tree = Tree::apply(Operator::Neg, vec![tree]);
    loss
}

#[test]
fn hand_written_losses_pass_screening_with_room_and_wrong_signs_fail() {
    for name in OBJECTS {
        let task = open(name, "");
        let settings = Settings::from_table(name.search_preset()).unwrap();
        let together = Screener::new(&*task, &settings).unwrap();
        let apart = Screening::new(&*task, &settings).unwrap();
        let mut scratch = Scratch::default();
        let mut judge = |loss: &Loss| {
            let one = together.screen(loss, &mut scratch);
            let passes = match apart.screen(loss, &mut scratch).0 {
                Screened::Judged(verdict) => verdict.judgement == Judgement::Passed,
                _ => false,
            };
            (one.judgement == Judgement::Passed, passes, one.g)
        };
        // Native losses are not screened.
        let trees =
            |(_, loss): &(String, Loss)| loss.branches.iter().all(|b| b.tree.native().is_none());
        for (loss_name, loss) in task.baselines().into_iter().filter(trees) {
            let (together, apart, g) = judge(&loss);
            assert!(together && apart, "{name}: {loss_name}");
            assert!(g.unwrap() > 0.7, "{name}: {loss_name}: {g:?}");
            for branch in 0..loss.branches.len() {
                let (together, apart, _) = judge(&negated(&loss, branch));
                let wrong = &loss.branches[branch].name;
                assert!(!together && !apart, "{name}: {loss_name} with -{wrong}");
            }
        }
    }
}

#[test]
fn an_evaluation_is_a_function_of_loss_and_seed() {
    for name in OBJECTS {
        let task = open(name, TINY);
        let loss = usual(&*task);
        let first = evaluate(&*task, &loss, 3);
        let again = evaluate(&*task, &loss, 3);
        assert_eq!(
            (first.score, &first.curve),
            (again.score, &again.curve),
            "{name}"
        );
        let threads = format!("{TINY}threads = 2\nloader_threads = 2\n");
        let other = evaluate(&*open(name, &threads), &loss, 3);
        assert_eq!(
            (first.score, &first.curve),
            (other.score, &other.curve),
            "{name}"
        );
        assert_ne!(first.curve, evaluate(&*task, &loss, 4).curve, "{name}");
    }
}

#[test]
fn training_lowers_the_loss() {
    let settings =
        "search_images = 1\nval_images = 1\n[training]\nsteps = 150\nbatch = 4\nwarmup = 0";
    for name in OBJECTS {
        // Few scenes, seen again and again.
        let scenes = match name {
            TaskName::FiguresPose => "figures",
            _ => "digits",
        };
        let task = open(name, &format!("{settings}\n[{scenes}]\ntrain = 9\n"));
        let curve = evaluate(&*task, &usual(&*task), 0).curve;
        // Regions grow harder while the first stage learns: means over some updates.
        let mean = |part: &[(usize, f64)]| part.iter().map(|(_, v)| v).sum::<f64>() / 10.0;
        let (first, last) = (mean(&curve[..10]), mean(&curve[curve.len() - 10..]));
        assert!(last < 0.6 * first, "{name}: from {first} to {last}");
    }
}

#[test]
fn detection_takes_the_name_of_any_network_alone() {
    for (name, head) in [
        (TaskName::DigitsDetection, "fasterrcnn"),
        (TaskName::DigitsInstances, "maskrcnn"),
    ] {
        let changes = |backbone: &str| {
            let training = "search_images = 2\nval_images = 2\n[training]\nsteps = 1\nbatch = 2";
            format!("{training}\n[network]\nname = \"{head}-{backbone}\"\n")
        };
        for backbone in ["slim", "resnet18", "resnet34", "resnet50", "resnet101"] {
            let text = format!("name = \"{name}\"\n{}", changes(backbone));
            let settings = TaskSettings::from_table(&toml::from_str(&text).unwrap()).unwrap();
            let FamilySettings::Detection(settings) = settings.of(Schedule::Proxy) else {
                panic!("{name} is no detection")
            };
            settings.network.config(10).unwrap();
        }
        let task = open(name, &changes("resnet18"));
        let evaluation = evaluate(&*task, &usual(&*task), 0);
        assert_eq!(evaluation.outcome, Outcome::Finished, "{head}");
        assert!(evaluation.curve[0].1 > 0.0, "{:?}", evaluation.curve);
    }
}

#[test]
fn invalid_trainings_stop_at_once_and_interrupts_end_them() {
    for name in OBJECTS {
        let task = open(name, TINY);
        let mut loss = usual(&*task);
        let job = Job {
            seed: 0,
            stop_on_invalid: true,
            ..Job::default()
        };
        let interrupt = Interrupt::default();
        interrupt.set();
        let ended = task.evaluate(&loss, &job, &interrupt);
        assert!(matches!(ended, Err(TaskError::Interrupted)), "{name}");
        let last = loss.branches.len() - 1;
        let inputs = ["yhat", "y"];
        loss.branches[last].tree = Tree::parse("exp(inv(yhat - yhat))", &inputs).unwrap();
        let stopped = evaluate(&*task, &loss, 0);
        assert!(
            matches!(stopped.outcome, Outcome::Stopped { update: 1, .. }),
            "{name}: {:?}",
            stopped.outcome
        );
        assert_eq!(stopped.score, 0.0);
    }
}

/// A full training in a folder, interrupted after an update if one is given.
fn retrain(
    task: &dyn VisionTask,
    dir: &std::path::Path,
    every: usize,
    interrupted_after: Option<usize>,
) -> Result<Evaluation, TaskError> {
    let job = Job {
        set: EvaluationSet::Validation,
        seed: 1,
        stop_on_invalid: true,
        all_metrics: true,
        keeping: Some(Keeping {
            dir: dir.to_owned(),
            every,
            best: false,
        }),
        ..Job::default()
    };
    let interrupt = Interrupt::default();
    task.evaluate_reporting(&usual(task), &job, &interrupt, &|report| {
        if let Report::Update { update, .. } = report
            && interrupted_after == Some(update)
        {
            interrupt.set();
        }
    })
}

/// Content of a safetensors file: the place of each tensor, and their bytes. The header's remarks are in any order.
fn parameters(file: &[u8]) -> (serde_json::Value, Vec<u8>) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&file[8..8 + length]).unwrap();
    (header, file[8 + length..].to_vec())
}

#[test]
fn an_interrupted_training_goes_on_exactly() {
    let settings = "search_images = 4\nval_images = 4\n[training]\nsteps = 7\nbatch = 2\n";
    let digits = [TaskName::Digits];
    for name in OBJECTS.into_iter().chain(digits) {
        for threads in ["", "loader_threads = 2\n"] {
            let task = open(name, &format!("{settings}{threads}"));
            let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let want = retrain(&*task, whole.path(), 3, None).unwrap();
            let ended = retrain(&*task, broken.path(), 3, Some(5));
            assert!(matches!(ended, Err(TaskError::Interrupted)), "{name}");
            // A stray file, as an interruption during a checkpoint leaves it.
            std::fs::write(broken.path().join("checkpoint-6.network"), "half").unwrap();
            let got = retrain(&*task, broken.path(), 3, None).unwrap();
            assert_eq!((got.score, &got.curve), (want.score, &want.curve), "{name}");
            let network = |dir: &tempfile::TempDir| {
                parameters(&std::fs::read(dir.path().join("network.safetensors")).unwrap())
            };
            assert!(
                network(&whole) == network(&broken),
                "{name}: other parameters"
            );
        }
    }
}

#[test]
fn checkpoints_of_another_network_are_refused() {
    let settings = "search_images = 4\nval_images = 4\n[training]\nsteps = 3\nbatch = 2\n";
    let dir = tempfile::tempdir().unwrap();
    let task = open(TaskName::Digits, settings);
    retrain(&*task, dir.path(), 2, None).unwrap();
    let other = format!("{settings}[network]\nname = \"deeplabv3plus-slim\"\n");
    let task = open(TaskName::Digits, &other);
    let refused = retrain(&*task, dir.path(), 2, None);
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("another network"), "{said}");
}

/// The embedded tasks on data that refuse the examples of a split.
fn refusing(split: Split) -> Vec<Box<dyn VisionTask>> {
    let device = Device::flex();
    let open = |name: TaskName| -> Box<dyn VisionTask> {
        let text = format!("name = \"{name}\"\n{TINY}");
        let settings = TaskSettings::from_table(&toml::from_str(&text).unwrap()).unwrap();
        match settings.of(Schedule::Proxy).clone() {
            FamilySettings::Segmentation(settings) => {
                let task = Schedules::open((*settings).clone(), *settings, &device).unwrap();
                Box::new(task.map(|task: Segmentation| task.refusing(split)))
            }
            FamilySettings::Detection(settings) => {
                let task = Schedules::open((*settings).clone(), *settings, &device).unwrap();
                Box::new(task.map(|task: Detection| task.refusing(split)))
            }
            FamilySettings::Pose(settings) => {
                let task = Schedules::open((*settings).clone(), *settings, &device).unwrap();
                Box::new(task.map(|task: Pose| task.refusing(split)))
            }
        }
    };
    let names = [TaskName::Digits].into_iter().chain(OBJECTS);
    names.map(open).collect()
}

#[test]
fn nothing_is_trained_on_or_chosen_by_the_validation_set() {
    for task in refusing(Split::Val) {
        let name = task.name();
        let on = |set| {
            let job = Job {
                set,
                ..Job::default()
            };
            task.evaluate(&usual(&*task), &job, &Interrupt::default())
        };
        assert!(!task.samples(2, 0).unwrap().is_empty(), "{name}");
        let searched = on(EvaluationSet::Search).unwrap();
        assert_eq!(searched.outcome, Outcome::Finished, "{name}");
        let said = on(EvaluationSet::Validation).unwrap_err().to_string();
        assert!(said.contains("the val split is refused"), "{name}: {said}");
        // Every checkpoint is scored and the best of them found; what is told at the end is refused.
        let dir = tempfile::tempdir().unwrap();
        let job = Job {
            set: EvaluationSet::Validation,
            keeping: Some(Keeping {
                dir: dir.path().to_owned(),
                every: 2,
                best: true,
            }),
            ..Job::default()
        };
        let said = task
            .evaluate(&usual(&*task), &job, &Interrupt::default())
            .unwrap_err();
        assert!(said.to_string().contains("the val split is refused"));
        assert!(dir.path().join("best.safetensors").exists(), "{name}");
    }
}

#[test]
fn nothing_is_trained_on_the_search_set() {
    for task in refusing(Split::Search) {
        let name = task.name();
        assert!(!task.samples(2, 0).unwrap().is_empty(), "{name}");
        // All updates are made, then the search set is asked for.
        let dir = tempfile::tempdir().unwrap();
        let said = retrain(&*task, dir.path(), 3, None).unwrap_err();
        assert!(said.to_string().contains("the search split is refused"));
        assert!(dir.path().join("checkpoint-3.network").exists(), "{name}");
    }
}

#[test]
fn a_score_on_the_validation_set_comes_with_that_on_the_search_set() {
    let settings = "search_images = 4\nval_images = 9\n[training]\nsteps = 3\nbatch = 2\n";
    let task = open(TaskName::Digits, settings);
    let [searched, validated] = EvaluationSet::ALL.map(|set| {
        let job = Job {
            set,
            ..Job::default()
        };
        let evaluation = task.evaluate(&usual(&*task), &job, &Interrupt::default());
        evaluation.unwrap()
    });
    assert_eq!(searched.curve, validated.curve);
    assert_ne!(searched.score, validated.score);
    let beside = validated
        .metrics
        .iter()
        .find(|(name, _)| name == SEARCH_SCORE);
    assert_eq!(beside.unwrap().1, searched.score);
}
