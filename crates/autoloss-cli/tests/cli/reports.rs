//! `report` and `reproduce`, on tasks of a fraction of a second.

use super::{Dir, borrowed, tiny};

/// A table of tiny searches and trainings in the folder `out`, as JSON.
fn reproduce(sheet: &str, evaluations: u32) -> Vec<String> {
    let evaluations = format!("search.evaluations={evaluations}");
    let head = ["reproduce", sheet, "--json", "--out", "out"];
    let mut arguments = tiny(&head);
    arguments.extend(["--set".to_owned(), evaluations]);
    arguments
}

#[test]
fn a_report_shows_the_run_and_fetches_nothing() {
    let dir = Dir::new();
    let search = tiny(&[
        "search",
        "--task",
        "digits",
        "--evaluations",
        "3",
        "--workers",
        "1",
        "--run",
        "run",
    ]);
    dir.ok(&borrowed(&search));
    assert_eq!(dir.ok(&["report", "run"]), "run/report.html\n");
    let html = std::fs::read_to_string(dir.path("run/report.html")).unwrap();
    for part in [
        "Is it better?",
        "Best losses",
        "<math",
        "class=\"tree\"",
        "The search",
        "against minutes",
        "What became of the candidates",
        "The population",
        "Operators",
        "Trainings",
        "data:image/png;base64,",
        "all settings",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("src=\"http") && !html.contains(">NaN") && !html.contains("\"NaN"));
    // Another place, and what cannot be.
    dir.ok(&["report", "run", "--out", "page.html"]);
    assert_eq!(
        std::fs::read_to_string(dir.path("page.html")).unwrap(),
        html
    );
    assert!(
        dir.fails(1, &["report", "nothing"])
            .contains("holds no run")
    );
}

#[test]
fn a_report_of_an_interrupted_run_says_that_nothing_was_compared() {
    let dir = Dir::new();
    let search = tiny(&[
        "search",
        "--task",
        "digits",
        "--evaluations",
        "2",
        "--run",
        "run",
    ]);
    dir.ok(&borrowed(&search));
    let file = rusqlite::Connection::open(dir.path("run/run.sqlite")).unwrap();
    file.execute_batch("DELETE FROM training WHERE purpose = 'final'")
        .unwrap();
    drop(file);
    dir.ok(&["report", "run"]);
    let html = std::fs::read_to_string(dir.path("run/report.html")).unwrap();
    assert!(html.contains("no final comparison"));
}

#[test]
fn a_table_is_made_and_made_again_from_what_is_there() {
    let dir = Dir::new();
    let mut table = reproduce("table3", 2);
    let first = dir.json(&borrowed(&table));
    assert_eq!(first["rows"].as_array().unwrap().len(), 5);
    assert_eq!(first["columns"].as_array().unwrap().len(), 4);
    let notes = first["notes"].to_string();
    assert!(notes.contains("every hand-written loss in bf1"), "{notes}");
    let written = std::fs::read_to_string(dir.path("out/table3.md")).unwrap();
    assert!(written.contains("| cross entropy |"), "{written}");
    assert!(dir.path("out/table3.csv").exists());

    // Nothing is made twice: with one training gone, one is made.
    let trainings = dir.path("out/trainings/digits-deeplab");
    let one = std::fs::read_dir(&trainings)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::remove_file(&one).unwrap();
    let output = dir.run(&borrowed(&table));
    let said = super::stderr(&output);
    assert!(said.contains("1 of 1") && !said.contains("2 of"), "{said}");
    assert!(one.exists());
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["rows"], first["rows"]);

    // Other settings do not mix with what is there.
    table.extend(["--set", "screening.steps=61"].map(str::to_owned));
    let said = dir.fails(1, &borrowed(&table));
    assert!(said.contains("made with other settings"), "{said}");
}

#[test]
fn the_ablation_compares_the_variants() {
    let dir = Dir::new();
    let figure = reproduce("figure4", 3);
    let made = dir.json(&borrowed(&figure));
    assert_eq!(made["rows"].as_array().unwrap().len(), 6);
    assert!(made["notes"].to_string().contains("nothing to compare"));
    let svg = std::fs::read_to_string(dir.path("out/figure4.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns") && svg.contains("random search"));
    // Table 8 takes the same searches, and makes a longer one.
    let made = dir.json(&borrowed(&reproduce("table8", 3)));
    assert_eq!(made["rows"].as_array().unwrap().len(), 7);
}

#[test]
fn what_a_table_needs_is_asked_for() {
    let dir = Dir::new();
    let said = dir.fails(2, &["reproduce", "table2", "--scale", "small"]);
    assert!(said.contains("--data DIR"), "{said}");
    let said = dir.fails(2, &["reproduce", "table9"]);
    assert!(
        said.contains("table8") && said.contains("figure4"),
        "{said}"
    );
}

#[test]
fn other_strategies_search_and_go_on() {
    let dir = Dir::new();
    let search = |run: &str, strategy: &str, evaluations: &str| {
        let strategy = format!("search.strategy={strategy}");
        let head = [
            "search",
            "--task",
            "digits",
            "--workers",
            "1",
            "--json",
            "--run",
            run,
        ];
        let more = [
            "--evaluations",
            evaluations,
            "--set",
            &strategy,
            "--set",
            "search.policy_samples=2",
        ];
        dir.json(&borrowed(&tiny(&[&head[..], &more[..]].concat())))
    };
    let whole = search("whole", "asl", "6");
    let best = whole["best"][0]["loss"].as_str().unwrap();
    assert!(best.starts_with("asl_miou("), "{best}");
    search("cut", "asl", "3");
    let on = dir.json(&["resume", "cut", "--evaluations", "6", "--json"]);
    assert_eq!(on["best"], whole["best"]);
    // Its losses can be trained, and the page shows them.
    dir.ok(&["report", "whole"]);
    let compare = tiny(&[
        "compare",
        "--loss",
        "@whole",
        "--loss",
        "zoo:asl_bf1",
        "--seeds",
        "1",
    ]);
    assert!(dir.ok(&borrowed(&compare)).contains("@whole"));
    let cse = search("cse", "cse", "2");
    assert_eq!(cse["candidates"]["evaluations"], 2);
    let head = [
        "search",
        "--task",
        "figures-pose",
        "--set",
        "search.strategy=asl",
    ];
    let said = dir.fails(1, &head);
    assert!(
        said.contains("the strategy `asl` is for segmentation"),
        "{said}"
    );
}
