//! Help, wrong use and printed settings.

use std::fs;

use super::{Dir, borrowed, tiny};

#[test]
fn every_command_explains_itself() {
    let dir = Dir::new();
    let commands: &[&[&str]] = &[
        &[],
        &["search"],
        &["resume"],
        &["show"],
        &["report"],
        &["reproduce"],
        &["retrain"],
        &["compare"],
        &["fidelity"],
        &["worker"],
        &["data"],
        &["eval"],
        &["export"],
        &["simplify"],
        &["screen"],
        &["score", "segmentation"],
        &["score", "detection"],
        &["score", "mask"],
        &["score", "keypoints"],
        &["zoo", "list"],
    ];
    let mut text = String::new();
    for command in commands {
        let help = dir.ok(&[command, &["--help"][..]].concat());
        assert!(
            command.is_empty() || help.contains("Example"),
            "{command:?}"
        );
        text.push_str(&format!(
            "$ autoloss {} --help\n{help}\n",
            command.join(" ")
        ));
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn wrong_use_ends_with_2_and_says_what_was_expected() {
    let dir = Dir::new();
    // Depths and lengths that no limit of a library stops.
    let deep = format!("{}b=1", "a.".repeat(20_000));
    let equals = "=".repeat(6000);
    let far = format!("{}$", " ".repeat(70_000));
    let cases: &[(&[&str], &str)] = &[
        (&["serach"], "search"),
        (&["search", "--evaluation", "3"], "--evaluations"),
        (&["search", "--time", "soon"], "expected a time such as 90s"),
        (&["search", "--task", "digit"], "did you mean `digits`?"),
        (&["search", "--metric", "miuo"], "miou"),
        (
            &["search", "--net", "deeplabv3plus-slimm"],
            "deeplabv3plus-slim",
        ),
        (&["search", "--device", "tpu"], "this build has: flex"),
        (&["search", "--task", "voc"], "--data DIR"),
        (&["search", "--data", "."], "--task voc"),
        (&["search", "--set", "search.time=1e30"], "search.time"),
        (
            &["screen", "--set", "task.training.threads=1000000"],
            "at most 256",
        ),
        (&["screen", "--workers", "5000"], "search.workers"),
        (
            &["screen", "--set", "task.digits.size=0"],
            "digits.size: 0 given",
        ),
        (
            &["compare", "--loss", "zoo:mse", "--loss", "zoo:mse"],
            "given twice",
        ),
        (&["search", "--set", "task.training.step=3"], "step"),
        (&["search", "--set", "search.tournamnt=3"], "tournamnt"),
        (&["search", "--set", "nonsense"], "expected KEY=VALUE"),
        (&["search", "--set", &deep], "a key of 20001 parts"),
        (&["compare", "--loss", &equals], "column 1: "),
        (&["compare", "--loss", &far], "column 70001: "),
        (&["search", "--set", "screening.threshold=1.5"], "threshold"),
        (&["search", "--set", "search.operators=[\"lgo\"]"], "log"),
        (&["search", "--config", "absent.toml"], "absent.toml"),
        (
            &["compare", "--loss", "y * yaht"],
            "column 5: unknown input `yaht`; did you mean `yhat`?",
        ),
        (
            &["compare", "--loss", "zoo:dcie"],
            "did you mean `zoo:dice`?",
        ),
        (
            &["compare", "--loss", "y", "--seeds", "0"],
            "expected at least 1",
        ),
        (
            &["compare", "--loss", "y", "--seeds", "10000000000"],
            "at most 1000",
        ),
        (
            &["retrain", "--loss", "y", "--out", "o", "--seeds", "1001"],
            "at most 1000",
        ),
        (
            &[
                "retrain",
                "--loss",
                "y",
                "--out",
                "o",
                "--seed",
                "18446744073709551614",
                "--seeds",
                "3",
            ],
            "expected seeds of at most 18446744073709551615",
        ),
        (
            &["search", "--set", "task.digits.train=1000000000000"],
            "digits.train: 1000000000000 given, expected 1 to 1000000",
        ),
        (
            &["search", "--set", "task.training.batch=1000000000"],
            "task.training.batch is 1000000000, expected at most 4096",
        ),
        (
            &["search", "--set", "task.training.crop=100000"],
            "task.training.crop is 100000, expected at most 8192",
        ),
        (
            &[
                "search",
                "--set",
                "task.training.crop=8192",
                "--set",
                "task.training.batch=4096",
            ],
            "needs at least 32768 GiB of memory",
        ),
        (
            &["search", "--set", "search.seed=-1"],
            "`search.seed` is -1",
        ),
        (
            &["search", "--set", "task.training.steps=many"],
            "`task.training.steps` is \"many\", expected a whole number of at least 0",
        ),
        (
            &[
                "search",
                "--task",
                "digits-detection",
                "--fix",
                "rpn_box=zoo:smooth_l1",
                "--fix",
                "rpn_box=zoo:l1",
            ],
            "--fix: rpn_box is given twice",
        ),
        (
            &["compare", "--loss", "segmentation==y"],
            "expected a number, an input, an operator or `(`, found `=`",
        ),
        (
            &["compare", "--task", "digits-detection", "--loss", "sqrt(y)"],
            "expected the loss of each branch, `rpn_class = …; rpn_box = …",
        ),
        (
            &["reproduce", "table2", "--data", "voc"],
            "--data is not for --scale tiny",
        ),
        (
            &[
                "reproduce",
                "table2",
                "--scale",
                "small",
                "--transfer-data",
                "x",
            ],
            "--transfer-data is for table3 and table5 alone",
        ),
    ];
    for (arguments, expected) in cases {
        let said = dir.fails(2, arguments);
        assert!(said.contains(expected), "{arguments:?} says\n{said}");
    }
    assert_eq!(
        fs::read_dir(dir.0.path()).unwrap().count(),
        0,
        "nothing may be left behind"
    );
}

#[test]
fn a_budget_that_holds_no_evaluation_is_refused_with_the_time_that_is_needed() {
    let dir = Dir::new();
    let said = dir.fails(2, &["search", "--time", "20s", "--run", "run"]);
    assert!(
        said.contains("21 full trainings at the end") && said.contains("--time "),
        "{said}"
    );
    assert!(!dir.path("run").exists(), "nothing was begun");
    let said = dir.fails(2, &["search", "--set", "task.training.steps=5000"]);
    assert!(
        said.contains("set task.full.training.steps to at least 2500"),
        "{said}"
    );
}

#[test]
fn the_printed_settings_are_read_back() {
    let dir = Dir::new();
    let text = dir.ok(&["search", "--print-config"]);
    fs::write(
        dir.path("settings.toml"),
        text.replace("warmup = 0", "warmup = none"),
    )
    .unwrap();
    let said = dir.fails(2, &["search", "--config", "settings.toml"]);
    assert!(said.contains("settings.toml"), "{said}");
    fs::write(dir.path("settings.toml"), text).unwrap();
    let head = [
        "screen",
        "--count",
        "5",
        "--json",
        "--config",
        "settings.toml",
    ];
    dir.json(&borrowed(&tiny(&head)));
}
