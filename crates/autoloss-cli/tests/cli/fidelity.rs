//! The measure of a proxy.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Dir, borrowed, stderr, tiny};

/// The measure on the tiny task: few updates, few losses.
fn arguments(more: &[&str]) -> Vec<String> {
    let mut arguments = tiny(&["fidelity"]);
    arguments.extend(more.iter().map(|s| (*s).to_owned()));
    arguments
}

#[test]
fn the_measure_of_a_proxy_is_printed_kept_and_drawn() {
    let dir = Dir::new();
    let losses = [
        "--losses",
        "12",
        "--loss",
        "exp(1 - y * yhat)",
        "--seeds",
        "1",
    ];
    let measure = |more: &[&str]| arguments(&[&losses, more].concat());
    let kept = measure(&["--out", "kept", "--json"]);
    let output = dir.run(&borrowed(&kept));
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("panel of 13 losses: 1 given, 8 hand-written, 4 random"),
        "{said}"
    );
    assert!(said.contains("13 proxy trainings of about"), "{said}");
    assert!(said.contains("full training 13 of 13: "), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["spearman", "kendall", "regret", "cost_ratio"] {
        assert!(json[key].is_number(), "{key}: {json:#}");
    }
    let panel = json["losses"].as_array().unwrap();
    assert_eq!(panel.len(), 13);
    for loss in panel {
        assert!(loss["loss"].is_string() && loss["proxy"].is_number() && loss["full"].is_number());
        let seed = |key: &str| loss[key][0]["seed"].as_u64().unwrap();
        assert_ne!(seed("proxy_trainings"), seed("full_trainings"));
    }
    assert!(json["metrics"]["bf1"]["regret"].is_number(), "{json:#}");
    for name in ["fidelity.html", "fidelity.svg"] {
        let drawn = fs::read_to_string(dir.path("kept").join(name)).unwrap();
        assert_eq!(drawn.matches("<circle").count(), 13, "{name}");
    }
    // The same again draws no panel and makes no training.
    let panel = dir.path("kept").join("panel.json");
    let written = |path| fs::metadata(path).unwrap().modified().unwrap();
    let before = written(&panel);
    let again = dir.run(&borrowed(&kept));
    assert_eq!(again.stdout, output.stdout);
    let said = stderr(&again);
    assert!(
        said.contains("26 of 26 trainings were made before") && !said.contains("13 of 13"),
        "{said}"
    );
    assert_eq!(written(&panel), before);
    // The lost training alone is made again.
    let trainings = fs::read_dir(dir.path("kept")).unwrap();
    let mut files = trainings.map(|file| file.unwrap().path());
    let lost = files
        .find(|path| path.extension().is_some_and(|e| e == "json") && *path != panel)
        .unwrap();
    fs::remove_file(lost).unwrap();
    let text = dir.run(&borrowed(&measure(&["--out", "kept"])));
    let said = stderr(&text);
    assert!(
        said.contains("25 of 26 trainings were made before"),
        "{said}"
    );
    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "Spearman's correlation",
        "regret",
        "exp(1 - y * yhat)",
        "evaluations a minute of one core",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_measure_that_cannot_be_made_says_why() {
    let dir = Dir::new();
    let fails = |code, more: &[&str]| dir.fails(code, &borrowed(&arguments(more)));
    let said = fails(2, &["--losses", "7"]);
    assert!(said.contains("--losses 7: expected at least 8"), "{said}");
    let said = fails(2, &["--seeds", "0"]);
    assert!(said.contains("--seeds 0: expected at least 1"), "{said}");
    let said = fails(2, &["--proxy-seeds", "0"]);
    assert!(
        said.contains("--proxy-seeds 0: expected at least 1"),
        "{said}"
    );
    let said = fails(2, &["--loss", "yhat - z"]);
    assert!(said.contains("--loss"), "{said}");
    let said = fails(2, &["--loss", "zoo:dice", "--loss", "zoo:dice"]);
    assert!(said.contains("--loss dice: given twice"), "{said}");
    // Updates that change nothing: all networks predict the same.
    let still = [
        "--losses",
        "8",
        "--seeds",
        "1",
        "--set",
        "task.training.learning_rate=1e-30",
    ];
    let said = fails(1, &still);
    assert!(
        said.contains("of the 8 losses of the panel train at all, expected at least 8"),
        "{said}"
    );
    assert!(said.contains("task.full.training.steps"), "{said}");
}

#[test]
#[cfg(unix)]
fn an_interrupted_measure_says_what_is_missing() {
    let dir = Dir::new();
    let losses = [
        "--losses",
        "8",
        "--seeds",
        "60",
        "--workers",
        "1",
        "--out",
        "kept",
    ];
    let child = dir
        .command(&borrowed(&arguments(&losses)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while fs::read_dir(dir.path("kept")).map_or(0, Iterator::count) < 12 {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "no training within five minutes"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("of 488 trainings were made") && said.contains("the same command goes on"),
        "{said}"
    );
}
