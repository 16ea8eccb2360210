//! Trainings in processes of the program.

use std::io::Write;
use std::process::Stdio;

use autoloss_search::{Store, WORKER_VERSION as VERSION};

use super::{Dir, borrowed, stderr, tiny};

/// Formulas and scores of a run's members in joining order.
pub(crate) fn members(dir: &Dir, run: &str) -> Vec<(String, f64)> {
    let mut rows = Store::open(&dir.path(run)).unwrap().candidates().unwrap();
    rows.retain(|row| row.joined.is_some());
    rows.sort_by_key(|row| row.joined);
    let member = |row: autoloss_search::CandidateRow| (row.candidate.formula, row.score.unwrap());
    rows.into_iter().map(member).collect()
}

#[test]
fn a_search_in_processes_finds_what_one_in_threads_finds() {
    let dir = Dir::new();
    let head = [
        "search",
        "--evaluations",
        "4",
        "--workers",
        "1",
        "--executor",
    ];
    for place in ["threads", "processes"] {
        let arguments = tiny(&[&head[..], &[place, "--run", place]].concat());
        dir.ok(&borrowed(&arguments));
    }
    let found = members(&dir, "processes");
    assert!(found.len() >= 4);
    assert_eq!(found, members(&dir, "threads"));
    // The run keeps the place of its trainings.
    let more = dir.ok(&["resume", "processes", "--evaluations", "5", "--json"]);
    let more: serde_json::Value = serde_json::from_str(&more).unwrap();
    assert_eq!(more["candidates"]["evaluations"], 5);
    let said = dir.fails(2, &["search", "--executor", "cloud"]);
    assert!(
        said.contains("threads") && said.contains("processes"),
        "{said}"
    );
}

#[test]
fn a_comparison_runs_in_processes() {
    let dir = Dir::new();
    let head = [
        "compare", "--loss", "zoo:dice", "--loss", "zoo:mse", "--seeds", "2", "--json",
    ];
    let scores = |place: &str| {
        let all = [&head[..], &["--executor", place]].concat();
        let mut made = dir.json(&borrowed(&tiny(&all)));
        for comparison in made["comparisons"].as_array_mut().unwrap() {
            for training in comparison["trainings"].as_array_mut().unwrap() {
                assert!(training["seconds"].take().as_f64().unwrap() > 0.0);
            }
        }
        made
    };
    assert_eq!(scores("processes"), scores("threads"));
}

#[test]
fn several_seeds_are_trained_in_processes() {
    let dir = Dir::new();
    for place in ["threads", "processes"] {
        let head = [
            "retrain", "--loss", "zoo:dice", "--seeds", "2", "--out", place,
        ];
        dir.ok(&borrowed(&tiny(
            &[&head[..], &["--executor", place]].concat(),
        )));
    }
    for seed in ["seed-0", "seed-1"] {
        let [threads, processes] = ["threads", "processes"].map(|place| {
            let folder = dir.path(place).join(seed);
            assert!(folder.join("network.safetensors").exists());
            let result = std::fs::read(folder.join("result.json")).unwrap();
            let mut result: serde_json::Value = serde_json::from_slice(&result).unwrap();
            assert!(result["seconds"].take().as_f64().unwrap() > 0.0);
            result
        });
        assert_eq!(threads, processes, "{seed}");
    }
}

#[test]
fn a_device_given_twice_has_two_processes() {
    let dir = Dir::new();
    let two = ["--device", "flex", "--device", "flex:0", "--run", "run"];
    let search = tiny(&[&["search", "--evaluations", "6"], &two[..]].concat());
    dir.ok(&borrowed(&search));
    let log = std::fs::read_to_string(dir.path("run").join("log.txt")).unwrap();
    assert!(log.contains("workers: 2"), "{log}");
    assert!(
        log.contains("on worker 0") && log.contains("on worker 1"),
        "{log}"
    );
    let said = dir.fails(
        2,
        &[&["search", "--executor", "threads"], &two[..]].concat(),
    );
    assert!(said.contains("several devices need"), "{said}");
    let said = dir.fails(2, &["search", "--device", "flex", "--device", "cuda:9"]);
    assert!(
        said.contains("unknown device `cuda:9`; this build has: flex"),
        "{said}"
    );
}

#[test]
fn a_search_by_messages_finds_what_the_program_finds_itself() {
    let dir = Dir::new();
    let head = ["search", "--evaluations", "4", "--workers", "1", "--run"];
    dir.ok(&borrowed(&tiny(&[&head[..], &["itself"]].concat())));
    // With all settings, those of the search, too, which the worker passes on.
    let worker = tiny(&[env!("CARGO_BIN_EXE_autoloss"), "worker", "--task", "digits"]);
    let evaluator = worker.join(" ");
    dir.ok(&[&head[..], &["messages", "--evaluator", &evaluator]].concat());
    let found = members(&dir, "messages");
    assert!(found.len() >= 4);
    assert_eq!(found, members(&dir, "itself"));
}

#[test]
fn a_worker_that_cannot_open_its_task_says_why() {
    let dir = Dir::new();
    for (words, code, said) in [
        (&["--task", "digit"][..], 1, "did you mean `digits`"),
        (&["--task", "voc", "--data", "missing"], 1, "missing"),
    ] {
        let worker = [&[env!("CARGO_BIN_EXE_autoloss"), "worker"], words].concat();
        let evaluator = worker.join(" ");
        let text = dir.fails(code, &["search", "--evaluator", &evaluator]);
        assert!(text.contains(said), "{text}");
    }
}

/// The reply of a worker to some lines.
fn reply(dir: &Dir, lines: &str) -> String {
    let mut child = dir
        .command(&["worker"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_worker_says_why_it_refuses() {
    let dir = Dir::new();
    let hello = |settings: &str, version: u32, fingerprint: &str| {
        let hello = serde_json::json!({ "hello": {
            "version": version, "settings": settings, "fingerprint": fingerprint,
        }});
        format!("{hello}\n")
    };
    for (lines, said) in [
        ("nonsense\n".to_owned(), "no message of a search"),
        (hello("", 99, ""), "version 99"),
        (hello("name = 1", VERSION, ""), "name"),
        (
            hello("name = \"voc\"\ndata = \"missing\"", VERSION, ""),
            "missing",
        ),
        (
            hello(
                "name = \"digits\"\n[digits]\ntrain = 32\nval = 8",
                VERSION,
                "other data",
            ),
            "other data",
        ),
    ] {
        let reply = reply(&dir, &lines);
        assert!(
            reply.starts_with("{\"refused\"") && reply.contains(said),
            "{reply}"
        );
    }
    assert_eq!(reply(&dir, ""), "");
}
