//! Searches that are killed, interrupted, resumed and refused; screening without a search.

use std::fs;
use std::process::Command;

use ndarray_npy::write_npy;
use serde_json::Value;

use super::{Dir, array, borrowed, evaluations, rows, started, tiny};

#[test]
fn a_search_killed_and_resumed_equals_one_that_ran_through() {
    let dir = Dir::new();
    let search = |run: &'static str| {
        tiny(&[
            "search",
            "--evaluations",
            "12",
            "--workers",
            "1",
            "--seed",
            "5",
            "--run",
            run,
        ])
    };
    let said = dir.ok(&borrowed(&search("whole")));
    assert!(
        said.contains("best losses") && said.contains("fresh seeds"),
        "{said}"
    );
    assert_eq!(evaluations(&dir.path("whole")), 12);

    let mut child = started(&dir, &borrowed(&search("killed")), "killed", 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = evaluations(&dir.path("killed"));
    assert!(
        before < 12,
        "the search was too quick to be killed in its middle"
    );
    dir.ok(&["resume", "killed"]);
    assert_eq!(rows(&dir.path("killed")), rows(&dir.path("whole")));

    let shown = dir.json(&["show", "killed", "--json"]);
    assert_eq!(shown["candidates"]["evaluations"], 12);
    assert_eq!(shown["comparisons"].as_array().unwrap().len(), 3);
    // A run's losses can be used by name.
    write_npy(dir.path("a.npy"), &array(|_| 0.5)).unwrap();
    let loss = |place: &str| {
        let said = dir.json(&[
            "eval", "--loss", place, "--yhat", "a.npy", "--y", "a.npy", "--json",
        ]);
        said["loss"].clone()
    };
    let best = &shown["best"][0];
    assert_eq!(loss(&format!("@killed#{}", best["id"])), best["loss"]);
    let simplified = |loss: &Value| {
        let loss = loss.as_str().unwrap();
        dir.json(&["simplify", "--loss", loss, "--json"])["simplified"].clone()
    };
    for best in shown["best"].as_array().unwrap() {
        let shorter = &best["simplified"];
        assert!(
            shorter.is_null() || *shorter == simplified(&best["loss"]),
            "{best}"
        );
    }
    let code = dir.ok(&["export", "--loss", "@killed", "--to", "jax"]);
    assert!(
        code.contains(shown["recommended"]["loss"].as_str().unwrap()),
        "{code}"
    );
    // One seed shows no difference: a baseline is recommended, and the run says so in words.
    assert_eq!(loss("@killed"), shown["recommended"]["loss"]);
    assert_eq!(
        shown["recommended"]["name"],
        shown["conclusion"]["against"]["baseline"]
    );
    assert_eq!(shown["conclusion"]["against"]["standing"], "as-good");
    let text = dir.ok(&["show", "killed"]);
    assert!(
        text.contains("is as good as") && text.contains("Recommended (`--loss @DIR`)"),
        "{text}"
    );
    // A larger budget goes on from there.
    dir.ok(&["resume", "killed", "--evaluations", "14"]);
    assert_eq!(evaluations(&dir.path("killed")), 14);
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_orderly_and_a_run_in_use_is_refused() {
    let dir = Dir::new();
    let arguments = tiny(&["search", "--evaluations", "100000", "--run", "run"]);
    let mut child = started(&dir, &borrowed(&arguments), "run", 1);
    let said = dir.fails(1, &["resume", "run"]);
    assert!(said.contains("run is in use by another process"), "{said}");
    let said = dir.fails(1, &borrowed(&arguments));
    assert!(said.contains("run is in use by another process"), "{said}");
    dir.ok(&["show", "run"]);
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let made = evaluations(&dir.path("run"));
    dir.ok(&["resume", "run", "--evaluations", &(made + 2).to_string()]);
    assert_eq!(evaluations(&dir.path("run")), made + 2);
}

#[test]
fn a_threshold_that_nothing_passes_is_reported() {
    let dir = Dir::new();
    let mut arguments = tiny(&["search", "--evaluations", "3", "--run", "run"]);
    for set in ["screening.threshold=1.0", "search.max_draws=300"] {
        arguments.extend(["--set".to_owned(), set.to_owned()]);
    }
    let said = dir.fails(1, &borrowed(&arguments));
    assert!(said.contains("300") && said.contains("threshold"), "{said}");
}

#[test]
fn runs_that_cannot_be_opened_are_refused() {
    let dir = Dir::new();
    assert!(dir.fails(1, &["show", "absent"]).contains("absent"));
    assert!(dir.fails(1, &["resume", "absent"]).contains("absent"));
    fs::create_dir(dir.path("other")).unwrap();
    fs::write(
        dir.path("other/run.sqlite"),
        "no data base, but long enough to look at ".repeat(40),
    )
    .unwrap();
    assert!(dir.fails(1, &["show", "other"]).contains("run.sqlite"));
    assert!(dir.fails(1, &["resume", "other"]).contains("run.sqlite"));
}

#[test]
fn screen_counts_fates() {
    let dir = Dir::new();
    let count = |workers: &str| {
        let head = ["screen", "--count", "400", "--json", "--workers", workers];
        let said = dir.json(&borrowed(&tiny(&head)));
        assert_eq!(said["candidates"], 400);
        said["fates"].clone()
    };
    let fates = count("1");
    assert_eq!(fates, count("2"));
    let total: u64 = fates
        .as_object()
        .unwrap()
        .values()
        .map(|v| v.as_u64().unwrap())
        .sum();
    assert_eq!(total, 400);
    // 92 % of random trees of depth 3 hold no prediction or no target.
    assert!(
        (330..400).contains(&fates["structural"].as_u64().unwrap()),
        "{fates}"
    );
}
