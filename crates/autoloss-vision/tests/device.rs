//! Trainings on a device against those on the processor: `AUTOLOSS_DEVICE` names the device.
//!
//! ```sh
//! AUTOLOSS_DEVICE=wgpu cargo test --release -p autoloss-vision --features wgpu --test device -- --ignored
//! ```

use autoloss_search::{Evaluation, EvaluationSet, Interrupt, Job, Outcome, parse_loss};
use autoloss_vision::device;
use autoloss_vision::tasks::{TaskSettings, VisionTask};

/// Largest relative differences of the loss values at the first and the last update: slim networks.
const SLIM: [f64; 2] = [1e-6, 1e-5];

/// The same of networks of 50 layers, whose numbers of 32 bits are summed in another order.
const FULL: [f64; 2] = [1e-4, 0.02];

/// The same of detectors of 50 layers: the proposals of an untrained network are all alike, so that small differences
/// choose other ones, and after two updates the losses are those of other regions.
const DETECTOR: [f64; 2] = [1e-2, 0.25];

/// The optimiser of full networks: Adam's first steps have the size of the learning rate whatever the gradient's, so that gradients
/// near 0 move parameters either way.
const PLAIN: &str = "optimiser = \"sgd\"\nlearning_rate = 0.001\n";

const UPDATES: usize = 3;

/// The tasks with their own networks, and each full network on small pictures.
const TRAININGS: [(&str, &str); 9] = [
    ("digits", "[digits]\nsize = 32\n"),
    ("digits-detection", ""),
    ("digits-instances", ""),
    ("figures-pose", ""),
    (
        "digits",
        "[digits]\nsize = 64\n[network]\nname = \"deeplabv3plus-resnet50\"\n",
    ),
    (
        "digits",
        "[digits]\nsize = 64\n[network]\nname = \"pspnet-resnet50\"\n",
    ),
    (
        "digits-detection",
        "[detector]\nproposals = 1\nproposals_per_level = 1\n[network]\nname = \"fasterrcnn-resnet50\"\n",
    ),
    (
        "digits-instances",
        "[detector]\nproposals = 1\nproposals_per_level = 1\n[network]\nname = \"maskrcnn-resnet50\"\n",
    ),
    (
        "figures-pose",
        "[network]\nname = \"simplebaseline-resnet50\"\n",
    ),
];

fn is_full(settings: &str) -> bool {
    settings.contains("resnet50")
}

fn open(device: &str, name: &str, settings: &str) -> Box<dyn VisionTask> {
    let optimiser = if is_full(settings) { PLAIN } else { "" };
    let text = format!(
        "name = \"{name}\"\nsearch_images = 2\nval_images = 2\n{settings}\n\
         [training]\nsteps = {UPDATES}\nbatch = 2\nloader_threads = 1\n{optimiser}"
    );
    let settings = TaskSettings::from_table(&toml::from_str(&text).unwrap()).unwrap();
    settings.open(&device::named(device).unwrap()).unwrap()
}

fn train(task: &dyn VisionTask, formula: Option<&str>) -> Evaluation {
    let loss = match formula {
        Some(formula) => parse_loss(task, formula).unwrap(),
        None => task.baselines().swap_remove(0).1,
    };
    let job = Job {
        set: EvaluationSet::Search,
        stop_on_invalid: true,
        ..Job::default()
    };
    task.evaluate(&loss, &job, &Interrupt::default()).unwrap()
}

fn device() -> String {
    std::env::var("AUTOLOSS_DEVICE").expect("AUTOLOSS_DEVICE names the device")
}

#[test]
#[ignore = "needs a device: see the head of this file"]
fn every_network_trains_as_on_the_processor() {
    let device = device();
    for (name, settings) in TRAININGS {
        let [here, there] = ["flex", &device].map(|device| {
            let evaluation = train(&*open(device, name, settings), None);
            assert_eq!(evaluation.outcome, Outcome::Finished, "{name} {settings}");
            assert!(evaluation.score.is_finite());
            evaluation.curve
        });
        let most = match (is_full(settings), settings.contains("rcnn")) {
            (false, _) => SLIM,
            (true, false) => FULL,
            (true, true) => DETECTOR,
        };
        for (update, most) in [1, UPDATES].into_iter().zip(most) {
            let at = |curve: &[(usize, f64)]| curve.iter().find(|(u, _)| *u == update).unwrap().1;
            let (here, there) = (at(&here), at(&there));
            println!(
                "{name} {settings:?}, update {update}: {here} on the processor, {there} on {device}"
            );
            assert!(
                (here - there).abs() <= most * here.abs(),
                "{name} {settings}: update {update}: {here} on the processor, {there} on {device}"
            );
        }
    }
}

#[test]
#[ignore = "needs a device: see the head of this file"]
fn a_loss_that_is_not_finite_stops_its_training() {
    let task = open(&device(), "digits", "[digits]\nsize = 32\n");
    let stopped = train(&*task, Some("exp(inv(yhat - yhat))"));
    assert!(
        matches!(stopped.outcome, Outcome::Stopped { update: 1, .. }),
        "{:?}",
        stopped.outcome
    );
    assert_eq!(stopped.score, 0.0);
}
