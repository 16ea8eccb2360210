//! Tasks that are programs.

use std::fs;

use ndarray::Array;
use ndarray_npy::write_npy;
use serde_json::Value;

use super::{Dir, stderr};

/// Writes a program of the shell that trains everything to a score of 0.5, and gives the command that runs it.
fn program(dir: &Dir) -> String {
    let prediction =
        Array::from_shape_fn((4, 2), |(n, c)| (0.2 + 0.15 * n as f32) * c as f32 + 0.1);
    let prediction = &prediction
        / &prediction
            .sum_axis(ndarray::Axis(1))
            .insert_axis(ndarray::Axis(1));
    write_npy(dir.path("p.npy"), &prediction).unwrap();
    write_npy(dir.path("t.npy"), &Array::from_vec(vec![0_u8, 1, 1, 0])).unwrap();
    let script = r#"
files='{"branches":[{"prediction":"'$PWD'/p.npy","target":"'$PWD'/t.npy"}]}'
while read -r line; do case $line in
*'"hello"'*) echo '{"ready":{"version":3,"task":{"name":"a task","metric":"b","branches":[{"name":"out","channels":2}],"baselines":["zoo:cross_entropy"]}}}';;
*'"samples"'*) echo '{"samples":['$files,$files,$files,$files,$files']}';;
*'"score"'*) id=${line#*'"id":'}; rest=$line; scores=
    while case $rest in *'"sample"'*) ;; *) false;; esac; do rest=${rest#*'"sample"'}; scores=$scores,0.5; done
    echo '{"scores":{"id":'${id%%,*}',"scores":['${scores#,}']}}';;
*'"train"'*) id=${line#*'"id":'}; echo '{"done":{"id":'${id%%,*}',"outcome":{"trained":{"score":0.5}}}}';;
esac; done
"#;
    fs::write(dir.path("program.sh"), script).unwrap();
    "sh program.sh".to_owned()
}

#[test]
fn a_program_is_searched_for_compared_and_gone_on_with() {
    let dir = Dir::new();
    let command = program(&dir);
    let unscreened = [
        "--set",
        "screening.rejection=false",
        "--set",
        "search.final_losses=1",
    ];
    let search = [
        "search",
        "--evaluator",
        &command,
        "--evaluations",
        "4",
        "--run",
        "run",
        "--json",
    ];
    let shown: Value = serde_json::from_str(&dir.ok(&[&search[..], &unscreened].concat())).unwrap();
    assert_eq!(shown["candidates"]["evaluations"], 4, "{shown}");
    assert_eq!(shown["best"][0]["score"], 0.5);
    assert_eq!(
        (&shown["task"], &shown["metric"]),
        (&"a task".into(), &"b".into())
    );
    let compare = [
        "compare",
        "--evaluator",
        &command,
        "--loss",
        "@run",
        "--loss",
        "zoo:dice",
        "--seeds",
        "1",
    ];
    let text = dir.ok(&compare);
    assert!(
        text.contains("task a task, full training, b on the validation set\n"),
        "{text}"
    );

    // From another folder: the program's is that of the search.
    fs::create_dir(dir.path("elsewhere")).unwrap();
    let mut resume = dir.command(&["resume", "../run", "--evaluations", "6", "--json"]);
    let output = resume.current_dir(dir.path("elsewhere")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["candidates"]["evaluations"], 6, "{shown}");
    dir.ok(&["report", "run"]);
}

#[test]
fn a_command_that_is_no_task_is_named() {
    let dir = Dir::new();
    let command = program(&dir);
    for (arguments, code, said) in [
        (
            vec!["search", "--evaluator", "no-such-program"],
            1,
            "no-such-program cannot be started",
        ),
        (
            vec!["search", "--evaluator", "a 'b"],
            2,
            "task.command: `a 'b`",
        ),
        (
            vec!["search", "--evaluator", "sh -c 'echo broken >&2'"],
            1,
            "broken",
        ),
        (
            vec!["search", "--evaluator", &command, "--task", "voc"],
            2,
            "cannot be used with",
        ),
        (
            vec!["search", "--evaluator", &command, "--set", "task.steps=3"],
            2,
            "steps",
        ),
        (
            vec![
                "retrain",
                "--evaluator",
                &command,
                "--loss",
                "y",
                "--out",
                "o",
            ],
            2,
            "unexpected argument '--evaluator'",
        ),
        (
            vec!["data", "--evaluator", &command],
            2,
            "unexpected argument '--evaluator'",
        ),
    ] {
        let output = dir.run(&arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}
