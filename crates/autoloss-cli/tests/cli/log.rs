//! Messages and events as JSON objects on standard error.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

use super::{Dir, borrowed, tiny};

/// The lines of standard error, each of which must be an object with time, level, kind and fields.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let line = |line: &str| -> Value {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        let time = read["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        let level = read["level"].as_str().unwrap();
        assert!(["info", "warning", "error"].contains(&level), "{line}");
        assert!(
            read["kind"].is_string() && read["fields"].is_object(),
            "{line}"
        );
        read
    };
    text.lines().map(line).collect()
}

fn kinds(lines: &[Value]) -> BTreeSet<&str> {
    lines
        .iter()
        .filter_map(|line| line["kind"].as_str())
        .collect()
}

#[test]
fn a_search_tells_every_event_as_an_object() {
    let dir = Dir::new();
    let json = ["--log-format", "json"];
    let search = [
        "search",
        "--evaluations",
        "4",
        "--workers",
        "2",
        "--run",
        "run",
    ];
    let output = dir.run(&borrowed(&tiny(&[&search[..], &json].concat())));
    assert_eq!(output.status.code(), Some(0));
    let told = lines(&output);
    let found = kinds(&told);
    for kind in [
        "message",
        "started",
        "reference",
        "drawn",
        "evaluation_started",
        "evaluated",
        "search_ended",
        "stage_started",
        "trained",
    ] {
        assert!(found.contains(kind), "{kind} in {found:?}");
    }
    let evaluated: Vec<&Value> = told
        .iter()
        .filter(|line| line["kind"] == "evaluated")
        .collect();
    assert_eq!(evaluated.len(), 4);
    for line in evaluated {
        assert!(line["elapsed"].is_f64(), "{line}");
        let fields = &line["fields"];
        assert!(fields["candidate"]["formula"].is_string(), "{line}");
        assert!(
            fields["score"].is_f64() && fields["worker"].is_u64(),
            "{line}"
        );
    }
    // The result on standard output is as without.
    let result = String::from_utf8(output.stdout).unwrap();
    assert!(result.contains("best losses on the proxy"), "{result}");

    let shown = dir.json(&["show", "run", "--json"]);
    let workers = shown["workers"].as_array().unwrap();
    let trials: u64 = workers.iter().map(|w| w["trials"].as_u64().unwrap()).sum();
    // The reference is one, too.
    assert_eq!(trials, 5);
    for worker in workers {
        let busy = worker["busy"].as_f64().unwrap();
        assert!(
            busy > 0.0 && busy <= 1.01 && worker["lost"] == 0,
            "{worker}"
        );
    }
    let text = dir.ok(&["show", "run"]);
    assert_eq!(text.contains("worker  trials"), workers.len() > 1, "{text}");
}

#[test]
fn a_timeline_has_each_training_from_its_begin_to_its_end() {
    let dir = Dir::new();
    let search = ["search", "--evaluations", "3", "--run", "run"];
    dir.ok(&borrowed(&tiny(
        &[&search[..], &["--trace", "t.json"]].concat(),
    )));
    let text = std::fs::read_to_string(dir.path("t.json")).unwrap();
    let read: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |phase: &str, name: &str| -> Vec<&Value> {
        let is = |event: &&Value| event["ph"] == phase && event["name"] == name;
        read.iter().filter(is).collect()
    };
    for name in ["training", "finding", "commit"] {
        assert_eq!(of("b", name).len(), of("e", name).len(), "{name}");
    }
    let proxies = of("b", "training").into_iter().map(|event| &event["args"]);
    let proxies: Vec<&Value> = proxies.filter(|args| args["schedule"] == "proxy").collect();
    // The usual loss is trained, too.
    assert_eq!(proxies.len(), 4);
    assert_eq!(proxies[0]["loss"], "-(y * log(yhat))");
    let output = dir.run(&["show", "run", "--trace", "absent/t.json"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("absent/t.json: not written"), "{message}");
}

#[test]
fn errors_are_objects_and_exit_codes_stay() {
    let dir = Dir::new();
    for (arguments, code, expected) in [
        (
            &["show", "absent", "--log-format", "json"][..],
            1,
            "absent holds no run",
        ),
        (
            &["--log-format", "json", "compare", "--loss", "y +"],
            2,
            "expected",
        ),
    ] {
        let output = dir.run(arguments);
        assert_eq!(output.status.code(), Some(code));
        let told = lines(&output);
        let last = told.last().unwrap();
        assert_eq!(
            (&last["level"], &last["kind"]),
            (&"error".into(), &"message".into())
        );
        let text = last["fields"]["text"].as_str().unwrap();
        assert!(
            text.contains(expected) && !text.starts_with("error"),
            "{text}"
        );
    }
    // Text is the default.
    let said = dir.fails(1, &["show", "absent"]);
    assert!(said.starts_with("error: "), "{said}");
}
