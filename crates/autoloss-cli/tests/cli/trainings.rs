//! Seeds and kept trainings.

use std::collections::BTreeSet;
use std::fs;

use autoloss_search::Store;
use serde_json::Value;

use super::{Dir, borrowed, stderr, tiny};

/// The seeds of all trainings of the comparisons in an answer.
fn seeds(answer: &Value) -> BTreeSet<u64> {
    let comparisons = answer["comparisons"].as_array().unwrap();
    let trainings = comparisons
        .iter()
        .flat_map(|c| c["trainings"].as_array().unwrap());
    trainings.map(|t| t["seed"].as_u64().unwrap()).collect()
}

#[test]
fn compare_repeats_no_seed_that_its_loss_was_chosen_by() {
    let dir = Dir::new();
    let head = [
        "search",
        "--run",
        "run",
        "--seed",
        "5",
        "--evaluations",
        "2",
        "--json",
    ];
    let found = dir.json(&borrowed(&tiny(&head)));
    let store = Store::open(&dir.path("run")).unwrap();
    let mut chosen_by = seeds(&found);
    chosen_by.insert(store.reference().unwrap().unwrap().seed);
    assert!(chosen_by.len() > 1);
    let compare = [
        "compare", "--loss", "@run", "--seed", "5", "--seeds", "3", "--json",
    ];
    let compared = seeds(&dir.json(&borrowed(&tiny(&compare))));
    assert_eq!(compared.len(), 3);
    assert!(
        compared.is_disjoint(&chosen_by),
        "{compared:?} {chosen_by:?}"
    );
}

#[test]
fn a_search_without_a_final_comparison_prints_what_it_found() {
    let dir = Dir::new();
    let run = |name: &str, more: &[&str]| {
        let head = ["search", "--run", name, "--evaluations", "3", "--seed", "5"];
        let mut arguments = tiny(&[&head, more].concat());
        arguments.extend(["--set", "search.final_losses=0"].map(str::to_owned));
        dir.ok(&borrowed(&arguments))
    };
    let json: Value = serde_json::from_str(&run("a", &["--json"])).unwrap();
    let best = json["best"].as_array().unwrap();
    assert!(!best.is_empty() && json["comparisons"].as_array().unwrap().is_empty());
    let text = run("b", &[]);
    assert!(text.contains(best[0]["loss"].as_str().unwrap()), "{text}");
}

#[test]
fn trainings_with_other_settings_are_kept_beside_each_other() {
    let dir = Dir::new();
    let head = [
        "compare", "--loss", "zoo:dice", "--seeds", "1", "--out", "kept", "--json",
    ];
    let count = || fs::read_dir(dir.path("kept")).unwrap().count();
    for (number, setting) in [
        "task.full.training.steps=4",
        "task.full.training.steps=5",
        "search.stop_on_invalid=false",
        "task.training.learning_rate=0.5",
    ]
    .iter()
    .enumerate()
    {
        let mut arguments = tiny(&head);
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        let first = dir.json(&borrowed(&arguments));
        assert_eq!(count(), number + 1, "{setting}");
        // The same again is read, seconds and all.
        assert_eq!(dir.json(&borrowed(&arguments)), first);
        assert_eq!(count(), number + 1);
    }
}

#[test]
fn the_seed_of_a_screening_is_that_of_its_stored_predictions() {
    let dir = Dir::new();
    // All candidates are products, so that one is among them whatever the seed is.
    let fixed = [
        "screen",
        "--made-up",
        "3x8x8",
        "--count",
        "60",
        "--json",
        "--set",
        "search.depth=1",
        "--set",
        "search.operators=[\"mul\"]",
        "--set",
        "screening.threshold=-9",
        "--set",
        "screening.steps=20",
        "--set",
        "screening.early_share=0",
    ];
    let g = |seed: &[&str]| {
        let report = dir.json(&[&fixed, seed].concat());
        let best = report["best"].as_array().unwrap();
        let product = |one: &&Value| one["loss"] == "yhat * y" || one["loss"] == "y * yhat";
        best.iter().find(product).unwrap()["g"].as_f64().unwrap()
    };
    let one = g(&["--seed", "1"]);
    assert_eq!(one, g(&["--set", "search.seed=1"]));
    assert_ne!(one, g(&["--seed", "2"]));
    let said = dir.fails(
        2,
        &["screen", "--count", "1", "--seed", "9223372036854775808"],
    );
    assert!(said.contains("--seed: too large"), "{said}");
}

#[test]
fn a_population_begins_with_given_losses() {
    let dir = Dir::new();
    let search = |run: &str, more: &[&str]| {
        let head = [
            "search",
            "--run",
            run,
            "--evaluations",
            "3",
            "--workers",
            "1",
        ];
        let mut all = tiny(&[&head[..], more].concat());
        all.extend(["--set", "search.final_losses=0"].map(str::to_owned));
        all
    };
    let given = ["--start", "zoo:dice", "--start", "-(y * log(yhat))"];
    dir.ok(&borrowed(&search("given", &given)));
    let rows = Store::open(&dir.path("given"))
        .unwrap()
        .candidates()
        .unwrap();
    let mut members: Vec<_> = rows.iter().filter(|row| row.joined.is_some()).collect();
    members.sort_by_key(|row| row.joined);
    let origins: Vec<&str> = members.iter().map(|r| r.candidate.origin.name()).collect();
    assert_eq!(origins[..3], ["given", "given", "random"]);
    assert!(members[0].candidate.formula.contains("mean_nhw(y * yhat)"));

    let wrong = ["--start", "yhat", "--set", "search.start_screened=true"];
    let output = dir.run(&borrowed(&search("rejected", &wrong)));
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(
        said.contains("`yhat` does not begin the population"),
        "{said}"
    );
    let kept = ["--start", "yhat", "--set", "search.start_screened=false"];
    dir.ok(&borrowed(&search("kept", &kept)));
    let rows = Store::open(&dir.path("kept"))
        .unwrap()
        .candidates()
        .unwrap();
    assert!(
        rows.iter()
            .any(|r| r.candidate.formula == "yhat" && r.score.is_some())
    );

    for (start, reason) in [
        ("yhat +", "search.start"),
        ("zoo:lovasz_softmax", "is no tree of operators"),
        ("zoo:dise", "did you mean `zoo:dice`?"),
    ] {
        let said = dir.fails(2, &borrowed(&search("none", &["--start", start])));
        assert!(said.contains(reason), "{said}");
        assert!(!dir.path("none").exists());
    }
}

#[test]
fn a_search_learns_from_an_earlier_one_and_leaders_are_trained_again() {
    let dir = Dir::new();
    let search = |run: &str, more: &[&str]| {
        let head = ["search", "--run", run, "--workers", "1"];
        let mut all = tiny(&[&head[..], more].concat());
        let last = ["search.final_losses=0", "search.leader_trainings=2"];
        all.extend(
            last.iter()
                .flat_map(|s| ["--set".to_owned(), (*s).to_owned()]),
        );
        all
    };
    dir.ok(&borrowed(&search("first", &["--evaluations", "20"])));
    let shown = dir.ok(&["show", "first", "--prediction"]);
    assert!(shown.contains("leaders trained again"), "{shown}");
    assert!(shown.contains("prediction of scores: "), "{shown}");
    let json = dir.json(&["show", "first", "--prediction", "--json"]);
    assert!(json["prediction"].is_object() || json["prediction"].is_null());
    let again = Store::open(&dir.path("first")).unwrap().repeats().unwrap();
    assert!(!again.is_empty());

    let from = ["--learn-from", "first", "--evaluations", "3"];
    let output = dir.run(&borrowed(&search("second", &from)));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("predictions begin with"));
    let learned = Store::open(&dir.path("second")).unwrap().learned().unwrap();
    assert!(learned.len() >= 5);
    let told = dir.json(&["show", "second", "--prediction-of", "first", "--json"]);
    assert_eq!(told["prediction_of"]["losses"], learned.len());
    assert!(told["prediction"].is_null());
    let told = dir.ok(&["show", "second", "--prediction-of", "first"]);
    assert!(
        told.contains("prediction of the scores of first: Spearman's correlation"),
        "{told}"
    );

    // An earlier run that says nothing of this task, and none at all.
    let other = [
        "search",
        "--task",
        "digits-detection",
        "--run",
        "third",
        "--learn-from",
        "first",
    ];
    let said = dir.fails(2, &other);
    assert!(
        said.contains("nothing to learn from for the task `digits-detection`"),
        "{said}"
    );
    let said = dir.fails(1, &["search", "--run", "third", "--learn-from", "nowhere"]);
    assert!(said.contains("nowhere"), "{said}");
    assert!(!dir.path("third").exists());
}

#[test]
fn losses_are_compared_and_trained_in_full() {
    let dir = Dir::new();
    let head = [
        "compare",
        "--loss",
        "zoo:cross_entropy",
        "--loss",
        "exp(1 - y * yhat)",
        "--seeds",
        "2",
        "--json",
    ];
    let said = dir.json(&borrowed(&tiny(&head)));
    let compared = said["comparisons"].as_array().unwrap();
    assert_eq!(compared.len(), 2);
    assert_eq!(compared[0]["trainings"].as_array().unwrap().len(), 2);

    assert_eq!(compared[0]["against_first"], Value::Null);
    assert!(compared[1]["against_first"]["difference"].is_f64());

    // Kept in a folder, nothing is trained twice.
    let head = [
        "compare",
        "--loss",
        "zoo:dice",
        "--loss",
        "zoo:lovasz_softmax",
        "--seeds",
        "2",
        "--out",
        "kept",
    ];
    let first = dir.run(&borrowed(&tiny(&head)));
    assert!(
        first.status.success() && stderr(&first).contains("4 of 4"),
        "{}",
        stderr(&first)
    );
    let again = dir.run(&borrowed(&tiny(&head)));
    assert!(!stderr(&again).contains("1 of "), "{}", stderr(&again));
    assert_eq!(first.stdout, again.stdout);

    let head = [
        "retrain",
        "--loss",
        "zoo:dice",
        "--out",
        "out",
        "--checkpoint-every",
        "2",
    ];
    let said = dir.ok(&borrowed(&tiny(&head)));
    assert!(said.contains("bf1"), "{said}");
    for file in ["checkpoint.json", "network.safetensors", "result.json"] {
        assert!(dir.path("out").join(file).exists(), "{file}");
    }
    let said = dir.fails(2, &borrowed(&tiny(&head)));
    assert!(said.contains("exists already"), "{said}");
    // A finished one is only read; another loss does not go on with it.
    let resumed = [&head[..], &["--resume"]].concat();
    assert!(dir.ok(&borrowed(&tiny(&resumed))).contains("bf1"));
    let other = resumed
        .iter()
        .map(|a| if *a == "zoo:dice" { "zoo:focal" } else { a });
    let other: Vec<&str> = other.collect();
    let said = dir.fails(2, &borrowed(&tiny(&other)));
    assert!(said.contains("begun with another loss"), "{said}");
    let several = [
        "retrain", "--loss", "zoo:dice", "--out", "several", "--seeds", "2", "--keep", "best",
    ];
    let said = dir.ok(&borrowed(&tiny(&several)));
    assert!(said.contains(" ± "), "{said}");
    assert!(dir.path("several/seed-1/network.safetensors").exists());
    let head = [
        "retrain",
        "--loss",
        "exp(inv(y - y)) * yhat",
        "--out",
        "bad",
    ];
    let said = dir.fails(1, &borrowed(&tiny(&head)));
    assert!(
        said.contains("the training was stopped: ") && said.contains("at update 1"),
        "{said}"
    );
    assert!(!dir.path("bad/network.safetensors").exists());
}
