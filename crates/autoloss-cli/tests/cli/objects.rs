//! Detection, instances and pose, from the command line.

use serde_json::Value;

use super::processes::members;
use super::{Dir, borrowed, rows};

/// Trainings and screenings of a fraction of a second.
const TINY: &[&str] = &[
    "task.search_images=2",
    "task.val_images=2",
    "task.training.steps=2",
    "task.full.training.steps=3",
    "task.training.batch=2",
    "screening.samples=2",
    "search.final_losses=1",
    "search.final_seeds=1",
    "search.initial=2",
];

fn tiny(head: &[&str]) -> Vec<String> {
    let set = TINY
        .iter()
        .flat_map(|s| ["--set".to_owned(), (*s).to_owned()]);
    head.iter().map(|s| (*s).to_owned()).chain(set).collect()
}

#[test]
fn a_search_by_messages_finds_what_the_program_finds_itself() {
    let dir = Dir::new();
    let head = ["search", "--evaluations", "2", "--workers", "1", "--run"];
    let fixed = [
        "--fix",
        "rpn_class=zoo:cross_entropy",
        "--fix",
        "rcnn_box=zoo:giou",
    ];
    let task = ["--task", "digits-detection"];
    let itself = [&head[..], &["itself"], &fixed, &task].concat();
    dir.ok(&borrowed(&tiny(&itself)));
    let worker = [env!("CARGO_BIN_EXE_autoloss"), "worker"];
    let evaluator = tiny(&[&worker[..], &task].concat()).join(" ");
    dir.ok(&[&head[..], &["messages", "--evaluator", &evaluator], &fixed].concat());
    let found = members(&dir, "messages");
    assert!(found.len() >= 2);
    assert_eq!(found, members(&dir, "itself"));
}

#[test]
fn all_branches_are_searched_and_some_can_be_held_fixed() {
    let dir = Dir::new();
    let search = |run: &str, more: &[&str]| {
        let mut head = vec!["search", "--task", "digits-detection", "--run", run];
        head.extend(["--evaluations", "2", "--workers", "1", "--json"]);
        head.extend(more);
        dir.json(&borrowed(&tiny(&head)))
    };
    let all = search("all", &[]);
    let best = all["best"][0]["loss"].as_str().unwrap();
    for branch in ["rpn_class", "rpn_box", "rcnn_class", "rcnn_box"] {
        assert!(best.contains(&format!("{branch} = ")), "{best}");
    }
    let fixed = ["--fix", "rpn_box=zoo:giou", "--fix", "rcnn_box=1 - i / u"];
    let some = search("some", &fixed);
    let best = some["best"][0]["loss"].as_str().unwrap().to_owned();
    assert!(best.ends_with("rcnn_box = 1 - i * inv(u)") || best.ends_with("rcnn_box = 1 - i / u"));
    // A run's branch can be taken over.
    search(
        "more",
        &[
            "--fix",
            "rcnn_box=@some",
            "--fix",
            "rpn_class=zoo:cross_entropy",
        ],
    );
    // The same seed is the same run, resumed or not.
    let mut half = vec!["search", "--task", "digits-detection", "--run", "half"];
    half.extend(["--evaluations", "1", "--workers", "1"]);
    dir.ok(&borrowed(&tiny(&half)));
    dir.ok(&["resume", "half", "--evaluations", "2"]);
    assert_eq!(rows(&dir.path("all")), rows(&dir.path("half")));
}

#[test]
fn losses_of_several_branches_are_named_in_parts() {
    let dir = Dir::new();
    let mut head = vec!["compare", "--task", "figures-pose", "--seeds", "1"];
    head.extend(["--loss", "zoo:mse", "--loss", "heatmap = zoo:l1", "--json"]);
    let compared = dir.json(&borrowed(&tiny(&head)));
    assert_eq!(compared["comparisons"].as_array().unwrap().len(), 2);
    let parts = "rpn_class = zoo:cross_entropy; rpn_box = zoo:smooth_l1; rcnn_class = \
                 zoo:cse_a_class; rcnn_box = zoo:cse_a_box; mask = zoo:cross_entropy";
    let mut head = vec!["retrain", "--task", "digits-instances", "--out", "trained"];
    head.extend(["--loss", parts, "--json"]);
    let trained = dir.json(&borrowed(&tiny(&head)));
    assert!(trained["metrics"]["ap50"].is_number(), "{trained}");
    assert!(dir.path("trained/network.safetensors").is_file());
}

#[test]
fn branches_are_screened_both_ways() {
    let dir = Dir::new();
    let mut head = vec!["screen", "--task", "digits-detection", "--count", "6"];
    head.extend(["--compare-branches", "--json"]);
    let mut arguments = tiny(&head);
    arguments.extend(["--set", "screening.steps=200"].map(str::to_owned));
    let both = dir.json(&borrowed(&arguments));
    let candidates = both["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 6);
    let apart = |candidate: &Value| -> Vec<bool> {
        let branches = candidate["apart"].as_array().unwrap().iter();
        branches.map(|passes| passes.as_bool().unwrap()).collect()
    };
    assert!(
        candidates
            .iter()
            .all(|candidate| apart(candidate).len() == 4)
    );
    // About half are put together from trees that pass apart, so that both kinds are judged.
    let kinds = [
        ("both_pass", true, true),
        ("only_apart", true, false),
        ("only_together", false, true),
        ("neither", false, false),
    ];
    let mut passing_apart = 0;
    for (kind, passes_apart, passes_together) in kinds {
        let is_of_kind = |candidate: &&Value| {
            apart(candidate).iter().all(|passes| *passes) == passes_apart
                && (candidate["together"] == "passed") == passes_together
        };
        let counted = candidates.iter().filter(is_of_kind).count() as u64;
        assert_eq!(both[kind].as_u64(), Some(counted), "{kind}: {both:#}");
        passing_apart += if passes_apart { counted } else { 0 };
    }
    assert!((1..6).contains(&passing_apart), "{both:#}");
    // A verdict over all branches has a g or a reason.
    for candidate in candidates {
        let is_judged = match candidate["together"].as_str() {
            Some("passed") => candidate["g"].as_f64().is_some_and(|g| g >= 0.3),
            _ => candidate["reason"].is_string(),
        };
        assert!(is_judged, "{candidate:#}");
    }
}

#[test]
fn wrong_use_of_tasks_with_objects_is_named() {
    let dir = Dir::new();
    let cases: &[(&[&str], &str)] = &[
        (&["search", "--task", "coco-pose"], "--data DIR"),
        (
            &["search", "--task", "digits-detection", "--metric", "ap5"],
            "did you mean `ap",
        ),
        (
            &["search", "--task", "digits-detection", "--fix", "rpn_box"],
            "BRANCH=LOSS",
        ),
        (
            &[
                "search",
                "--task",
                "digits-detection",
                "--fix",
                "box=yhat - y",
            ],
            "no such branch",
        ),
        (
            &[
                "search",
                "--task",
                "digits-detection",
                "--net",
                "maskrcnn-slim",
            ],
            "use fasterrcnn",
        ),
        (
            &[
                "search",
                "--task",
                "digits-detection",
                "--net",
                "fasterrcnn-slm",
            ],
            "did you mean",
        ),
        (
            &[
                "compare",
                "--task",
                "digits-detection",
                "--loss",
                "yhat - y",
            ],
            "rpn_class",
        ),
    ];
    for (arguments, said) in cases {
        let message = dir.fails(2, arguments);
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
}
