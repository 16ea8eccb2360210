//! The real program, end to end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ndarray::{Array, Array4, ArrayD, Ix4};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;

#[path = "cli/data.rs"]
mod data;
#[cfg(unix)]
#[path = "cli/evaluator.rs"]
mod evaluator;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/fidelity.rs"]
mod fidelity;
#[path = "cli/folders.rs"]
mod folders;
#[path = "cli/objects.rs"]
mod objects;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/processes.rs"]
mod processes;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/score_coco.rs"]
mod score_coco;
#[path = "cli/score_segmentation.rs"]
mod score_segmentation;
#[path = "cli/trainings.rs"]
mod trainings;

/// A folder of its own for a test, in which the program runs.
struct Dir(tempfile::TempDir);

/// A task that trains in a fraction of a second, and a threshold that its losses reach.
const TINY: &[&str] = &[
    "digits.size=32",
    "digits.train=32",
    "digits.val=8",
    "search_images=4",
    "val_images=4",
    "training.crop=32",
    "training.steps=3",
    "full.training.steps=4",
    "training.batch=2",
];

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autoloss"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a call that works.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// What a call that fails with the given exit code says.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `head` followed by the settings of the tiny task.
fn tiny(head: &[&str]) -> Vec<String> {
    let set = TINY
        .iter()
        .flat_map(|s| ["--set".to_owned(), format!("task.{s}")]);
    let search = [
        "screening.steps=60",
        "screening.step_size=0.05",
        "screening.threshold=0.3",
        "screening.samples=2",
        "search.final_losses=1",
        "search.final_seeds=1",
        "search.initial=4",
    ];
    let search = search
        .iter()
        .flat_map(|s| ["--set".to_owned(), (*s).to_owned()]);
    head.iter()
        .map(|s| (*s).to_owned())
        .chain(set)
        .chain(search)
        .collect()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn array(f: impl Fn(usize) -> f32) -> Array4<f32> {
    Array::from_shape_vec((1, 2, 2, 2), (0..8).map(f).collect()).unwrap()
}

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
fn the_zoo_lists_losses_that_other_commands_take() {
    let dir = Dir::new();
    insta::assert_snapshot!("zoo", dir.ok(&["zoo", "list"]));
    let listed = dir.json(&["zoo", "list", "--json"]);
    let losses = listed["losses"].as_array().unwrap();
    assert!(losses.len() >= 13);
    write_npy(dir.path("yhat.npy"), &array(|_| 0.5)).unwrap();
    write_npy(dir.path("y.npy"), &array(|i| (i % 2) as f32)).unwrap();
    for loss in losses {
        let name = format!("zoo:{}", loss["name"].as_str().unwrap());
        let mut inputs = Vec::new();
        let mut command = vec![
            "eval", "--loss", &name, "--yhat", "yhat.npy", "--y", "y.npy",
        ];
        for name in ["i", "u", "e", "d", "v", "w"] {
            let input = format!("{name}=yhat.npy");
            inputs.push(input);
        }
        for input in &inputs {
            command.extend(["--input", input]);
        }
        dir.ok(&command);
    }
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
fn eval_computes_value_and_gradient() {
    let dir = Dir::new();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let yhat = array(|i| (i as f32 + 1.0) / 10.0);
    let y = array(|i| f32::from(u8::from(i < 4)));
    write_npy(dir.path("yhat.npy"), &yhat).unwrap();
    write_npy(dir.path("y.npy"), &y.mapv(f64::from)).unwrap();
    let files = ["--yhat", "yhat.npy", "--y", "y.npy"];
    let eval = |more: &[&str]| dir.json(&[&["eval", "--json"][..], &files, more].concat());

    let said = eval(&["--loss", "-(y*log(yhat))", "--grad", "g.npy"]);
    assert_eq!(said["loss"], "-(y * log(yhat))");
    let want = -(0.1_f64.ln() + 0.2_f64.ln() + 0.3_f64.ln() + 0.4_f64.ln()) / 4.0;
    assert!((said["loss_value"].as_f64().unwrap() - want).abs() < 1e-6);
    let gradient: ArrayD<f32> = read_npy(dir.path("g.npy")).unwrap();
    let gradient = gradient.into_dimensionality::<Ix4>().unwrap();
    let want = -&y / &yhat / 4.0;
    assert!(
        gradient
            .iter()
            .zip(&want)
            .all(|(g, w)| (g - w).abs() < 1e-5),
        "{gradient}"
    );

    write_npy(dir.path("w.npy"), &array(|_| 2.0)).unwrap();
    let said = eval(&["--loss", "w * yhat", "--input", "w=w.npy"]);
    assert!((said["loss_value"].as_f64().unwrap() - 2.0 * 3.6 / 4.0).abs() < 1e-6);
    assert_eq!(eval(&["--loss", "zoo:l1"])["loss"], "abs(yhat - y)");
    assert_eq!(
        eval(&["--loss", "exp(exp(exp(yhat/inv(9*9))))"])["loss_value"],
        "inf"
    );
}

#[test]
fn eval_refuses_what_it_cannot_compute() {
    let dir = Dir::new();
    write_npy(dir.path("yhat.npy"), &array(|_| 0.5)).unwrap();
    write_npy(dir.path("y.npy"), &array(|_| 1.0)).unwrap();
    let mut complex = fs::read(dir.path("y.npy")).unwrap();
    let at = complex.windows(3).position(|w| w == b"<f4").unwrap();
    complex[at..at + 3].copy_from_slice(b"<c8");
    fs::write(dir.path("complex.npy"), complex).unwrap();
    write_npy(dir.path("flat.npy"), &Array::<f32, _>::zeros(8)).unwrap();
    write_npy(dir.path("wide.npy"), &Array4::<f32>::zeros((1, 2, 2, 3))).unwrap();
    fs::write(dir.path("text.npy"), "no array").unwrap();
    let mut half = fs::read(dir.path("y.npy")).unwrap();
    half.truncate(half.len() - 5);
    fs::write(dir.path("half.npy"), half).unwrap();
    // A header that claims far more than there is.
    let mut liar = fs::read(dir.path("y.npy")).unwrap();
    let claim = b"(90000, 90000, 90, 90), ";
    let at = liar.windows(12).position(|w| w == b"(1, 2, 2, 2)").unwrap();
    liar[at..at + claim.len()].copy_from_slice(claim);
    fs::write(dir.path("liar.npy"), liar).unwrap();
    let eval = |code, loss: &str, y: &str| {
        dir.fails(
            code,
            &[
                "eval", "--loss", loss, "--yhat", "yhat.npy", "--y", y, "--grad", "g.npy",
            ],
        )
    };
    let cases = [
        (
            2,
            "y * lgo(yhat)",
            "y.npy",
            "column 5: unknown operator `lgo`; did you mean `log`?\ny * lgo(yhat)\n    ^",
        ),
        (
            2,
            "(y",
            "y.npy",
            "column 3: expected an operator or `)`, found the end",
        ),
        (2, "y * w", "y.npy", "unknown input `w`"),
        (
            2,
            "y",
            "complex.npy",
            "complex.npy: elements of type '<c8', expected real numbers such as 32- or 64-bit floats",
        ),
        (2, "y", "flat.npy", "expected four extents (N, C, H, W)"),
        (
            2,
            "y",
            "wide.npy",
            "`y` has the shape (1, 2, 2, 3), expected that of `yhat`, (1, 2, 2, 2)",
        ),
        (
            2,
            "y",
            "text.npy",
            "text.npy: not an array in NumPy's format",
        ),
        (
            2,
            "y",
            "half.npy",
            "half.npy: 27 bytes of elements, expected 4 for each of shape [1, 2, 2, 2]; the file is cut off",
        ),
        (
            2,
            "y",
            "liar.npy",
            "liar.npy: 32 bytes of elements, expected 4 for each of shape [90000, 90000, 90, 90]",
        ),
        (1, "y", "absent.npy", "absent.npy: cannot be read"),
    ];
    for (code, loss, y, expected) in cases {
        let said = eval(code, loss, y);
        assert!(said.contains(expected), "{loss} with {y} says\n{said}");
    }
    assert!(!dir.path("g.npy").exists());
}

fn write_labels(path: &Path, width: usize, labels: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let map = autoloss_data::LabelMap {
        labels: labels.to_vec(),
        width,
        height: labels.len() / width,
    };
    autoloss_data::write_label_map(path, &map).unwrap();
}

#[test]
fn score_segmentation_scores_folders() {
    let dir = Dir::new();
    write_labels(&dir.path("target/a.png"), 4, &[0, 0, 1, 1, 0, 0, 1, 255]);
    write_labels(&dir.path("pred/a.png"), 4, &[0, 1, 1, 1, 0, 0, 1, 0]);
    let arguments = [
        "score",
        "segmentation",
        "--pred",
        "pred",
        "--target",
        "target",
    ];
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    let said = dir.json(&with(&["--classes", "2", "--json"]));
    // Class 0: 3 of 4; class 1: 3 of 4.
    assert_eq!(said["metrics"]["miou"], 0.75);
    assert_eq!(said["metrics"]["gacc"], 6.0 / 7.0);
    let text = dir.ok(&with(&["--classes", "2", "--background", "0"]));
    assert!(text.contains("miou    0.750000"), "{text}");

    let said = dir.fails(1, &with(&["--classes", "1"]));
    assert!(
        said.contains("a.png has label 1 at column 2, row 0: expected 0 to 0"),
        "{said}"
    );
    dir.fails(2, &with(&["--classes", "0"]));
    write_labels(&dir.path("pred/a.png"), 2, &[0; 8]);
    let said = dir.fails(1, &with(&["--classes", "2"]));
    assert!(said.contains("2 × 4 pixels, but the target"), "{said}");
    fs::write(dir.path("pred/a.png"), "no picture").unwrap();
    assert!(dir.fails(1, &with(&["--classes", "2"])).contains("a.png"));
    fs::remove_file(dir.path("pred/a.png")).unwrap();
    dir.fails(1, &with(&["--classes", "2"]));
}

/// The rows of a run that must not depend on how often it was interrupted.
fn rows(run: &Path) -> Vec<String> {
    let db = rusqlite::Connection::open(run.join("run.sqlite")).unwrap();
    let sql = "SELECT proposal, draw, formula, fate, g, score, joined FROM candidate ORDER BY proposal, draw";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let cells: Vec<rusqlite::types::Value> =
            (0..7).map(|i| row.get(i)).collect::<Result<_, _>>()?;
        Ok(format!("{cells:?}"))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn evaluations(run: &Path) -> i64 {
    // Not made where it is not there yet: the search would find a run in its folder.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(db) = rusqlite::Connection::open_with_flags(run.join("run.sqlite"), flags) else {
        return 0;
    };
    let sql = "SELECT count(*) FROM candidate WHERE fate IN ('scored', 'stopped', 'failed')";
    db.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
}

/// Starts a search and waits until it has made some evaluations.
fn started(dir: &Dir, arguments: &[&str], run: &str, enough: i64) -> Child {
    started_with(dir, arguments, run, enough, Stdio::null())
}

/// The same with another standard error.
fn started_with(
    dir: &Dir,
    arguments: &[&str],
    run: &str,
    enough: i64,
    stderr: impl Into<Stdio>,
) -> Child {
    let mut child = dir
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let start = Instant::now();
    while evaluations(&dir.path(run)) < enough {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the search ended early"
        );
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "no evaluation within five minutes"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

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

/// Two training and two validation images in PASCAL VOC's layout.
fn write_voc(dir: &Dir) {
    for name in ["a", "b", "c", "d"] {
        write_labels(
            &dir.path(&format!("voc/SegmentationClass/{name}.png")),
            40,
            &[1; 40 * 32],
        );
        write_labels(
            &dir.path(&format!("voc/JPEGImages/{name}.png")),
            40,
            &[90; 40 * 32],
        );
    }
    fs::create_dir_all(dir.path("voc/ImageSets/Segmentation")).unwrap();
    fs::write(dir.path("voc/ImageSets/Segmentation/train.txt"), "a\nb\n").unwrap();
    fs::write(dir.path("voc/ImageSets/Segmentation/val.txt"), "c\nd\n").unwrap();
}

#[test]
fn a_data_set_in_vocs_layout_is_used_or_refused_by_name() {
    let dir = Dir::new();
    write_voc(&dir);
    let arguments = [
        "compare",
        "--task",
        "voc",
        "--data",
        "voc",
        "--classes",
        "one,two",
        "--loss",
        "zoo:mse",
        "--seeds",
        "1",
        "--json",
        "--set",
        "task.full.training.steps=2",
        "--proxy",
        "--set",
        "task.training.steps=1",
        "--set",
        "task.training.crop=24",
        "--set",
        "task.training.batch=2",
    ];
    let said = dir.json(&arguments);
    assert_eq!(said["comparisons"][0]["name"], "mse");

    write_labels(&dir.path("voc/SegmentationClass/c.png"), 20, &[1; 40 * 32]);
    let said = dir.fails(1, &arguments);
    assert!(said.contains("c.png"), "{said}");
    write_labels(&dir.path("voc/SegmentationClass/c.png"), 40, &[7; 40 * 32]);
    let said = dir.fails(1, &arguments);
    assert!(said.contains("c.png") && said.contains('7'), "{said}");
    fs::remove_file(dir.path("voc/JPEGImages/a.png")).unwrap();
    let said = dir.fails(1, &arguments);
    assert!(said.contains("JPEGImages"), "{said}");
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
        said.contains("set task.full.training.steps to at least 5000"),
        "{said}"
    );
}

#[test]
fn the_printed_settings_are_read_back() {
    let dir = Dir::new();
    let text = dir.ok(&["search", "--print-config"]);
    fs::write(
        dir.path("settings.toml"),
        text.replace("steps = 240", "steps = many"),
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
