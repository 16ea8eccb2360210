//! Folders that commands write: made whole, by one process at a time, and nothing of others' touched.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Dir, borrowed, evaluations, started_with, stderr, tiny};

/// A short search into `run`.
fn search(run: &str, evaluations: &str) -> Vec<String> {
    let head = ["search", "--evaluations", evaluations, "--run", run];
    let mut arguments = tiny(&[&head[..], &["--workers", "1"]].concat());
    arguments.extend(["--set", "search.final_losses=0"].map(str::to_owned));
    arguments
}

/// A training of so many updates with a checkpoint after each.
fn retrain(steps: usize, more: &[&str]) -> Vec<String> {
    let head = ["retrain", "--loss", "zoo:dice", "--out", "out"];
    let mut arguments = tiny(&[&head[..], &["--checkpoint-every", "1"], more].concat());
    arguments.extend([
        "--set".to_owned(),
        format!("task.full.training.steps={steps}"),
    ]);
    arguments
}

/// Starts a command and waits until a file is there.
fn started_until(dir: &Dir, arguments: &[String], file: &str) -> Child {
    let mut command = dir.command(&borrowed(arguments));
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let start = Instant::now();
    while !dir.path(file).exists() {
        assert!(start.elapsed() < Duration::from_secs(240), "no {file}");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn a_search_killed_at_its_beginning_begins_anew() {
    let dir = Dir::new();
    // The state before the run appears.
    fs::create_dir(dir.path("early")).unwrap();
    fs::write(dir.path("early/lock"), "").unwrap();
    fs::write(dir.path("early/run.sqlite.new"), "half a data base").unwrap();
    let said = dir.fails(1, &["resume", "early"]);
    assert!(said.contains("stopped before anything was begun"), "{said}");
    dir.ok(&borrowed(&search("early", "1")));
    assert_eq!(evaluations(&dir.path("early")), 1);
    assert!(!dir.path("early/run.sqlite.new").exists());
    assert!(!dir.path("early/lock").exists());

    for milliseconds in [0, 1, 2, 4, 8] {
        let run = format!("killed-{milliseconds}");
        let mut child = started_until(&dir, &search(&run, "1"), &format!("{run}/lock"));
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        if !dir.run(&["resume", &run]).status.success() {
            dir.ok(&borrowed(&search(&run, "1")));
        }
        assert_eq!(evaluations(&dir.path(&run)), 1, "{milliseconds} ms");
    }
}

#[test]
fn searches_started_at_once_get_folders_of_their_own() {
    let dir = Dir::new();
    let head = ["search", "--evaluations", "1", "--workers", "1"];
    let arguments = tiny(&[&head[..], &["--set", "search.final_losses=0"]].concat());
    // `tiny` asks for a final comparison: the last setting counts.
    let arguments = [
        arguments,
        vec!["--set".into(), "search.final_losses=0".into()],
    ]
    .concat();
    let children: Vec<Child> = (0..5)
        .map(|_| {
            let mut command = dir.command(&borrowed(&arguments));
            let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for number in 1..=5 {
        assert_eq!(
            evaluations(&dir.path(&format!("runs/digits-miou-{number}"))),
            1
        );
    }
}

#[test]
fn a_folder_in_use_is_refused_by_every_command() {
    let dir = Dir::new();
    dir.ok(&borrowed(&search("out", "1")));
    let lock = File::create(dir.path("out/lock")).unwrap();
    lock.lock().unwrap();
    let losses = ["--loss", "zoo:mse"];
    let reproduce = ["reproduce", "table3", "--out", "out"];
    for arguments in [
        search("out", "1"),
        ["resume", "out"].map(str::to_owned).to_vec(),
        retrain(3, &[]),
        retrain(3, &["--resume"]),
        tiny(&[&["compare", "--out", "out"], &losses[..]].concat()),
        tiny(&reproduce),
    ] {
        let said = dir.fails(1, &borrowed(&arguments));
        assert!(said.contains("in use by another process"), "{said}");
    }
    drop(lock);
    dir.ok(&["resume", "out"]);
}

#[test]
#[cfg(unix)]
fn a_run_whose_folder_is_deleted_says_so() {
    let dir = Dir::new();
    let arguments = search("run", "12");
    let child = started_with(&dir, &borrowed(&arguments), "run", 1, Stdio::piped());
    fs::remove_dir_all(dir.path("run")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("deleted or replaced"), "{said}");
    assert!(!dir.path("run").exists());
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_to_is_said_in_words() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    dir.ok(&borrowed(&search("run", "1")));
    let mode = |mode| fs::set_permissions(dir.path("run"), fs::Permissions::from_mode(mode));
    mode(0o555).unwrap();
    // Permissions do not bind the superuser.
    if File::create(dir.path("run/probe")).is_err() {
        let said = dir.fails(1, &["resume", "run"]);
        assert!(
            said.contains("run: the folder cannot be written to"),
            "{said}"
        );
    }
    mode(0o755).unwrap();
}

#[test]
fn two_trainings_do_not_meet_and_files_of_others_stay() {
    let dir = Dir::new();
    let mut child = started_until(&dir, &retrain(400, &[]), "out/checkpoint.json");
    let said = dir.fails(1, &borrowed(&retrain(400, &["--resume"])));
    assert!(said.contains("in use by another process"), "{said}");
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));

    // Seconds of both parts count, and only files of the program go.
    let state = dir.path("out/checkpoint.json");
    let text = fs::read(&state).unwrap();
    let mut progressed: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert!(progressed["seconds"].as_f64().unwrap() > 0.0);
    progressed["seconds"] = 1000.0.into();
    let update = progressed["update"].as_u64().unwrap();
    fs::write(&state, progressed.to_string()).unwrap();
    let mine = [
        "checkpoint-notes.txt",
        "checkpoint-1.network.backup",
        "checkpoint-.network",
    ];
    for name in mine {
        fs::write(dir.path("out").join(name), "mine").unwrap();
    }
    let mut child = started_until(
        &dir,
        &retrain(400, &["--resume"]),
        &format!("out/checkpoint-{}.network", update + 3),
    );
    child.kill().unwrap();
    child.wait().unwrap();
    for name in mine {
        assert!(dir.path("out").join(name).exists(), "{name}");
    }
    assert!(
        !dir.path(&format!("out/checkpoint-{update}.network"))
            .exists()
    );
    let text = fs::read(&state).unwrap();
    let progressed: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert!(progressed["seconds"].as_f64().unwrap() > 1000.0);
}

#[test]
fn only_a_training_is_resumed() {
    let dir = Dir::new();
    let said = dir.fails(2, &borrowed(&retrain(3, &["--resume"])));
    assert!(said.contains("nothing to resume"), "{said}");
    fs::create_dir(dir.path("out")).unwrap();
    fs::write(dir.path("out/thesis.txt"), "mine").unwrap();
    let said = dir.fails(2, &borrowed(&retrain(3, &[])));
    assert!(said.contains("exists already"), "{said}");
    let said = dir.fails(2, &borrowed(&retrain(3, &["--resume"])));
    assert!(said.contains("holds no training"), "{said}");
    fs::remove_file(dir.path("out/thesis.txt")).unwrap();
    dir.ok(&borrowed(&retrain(3, &[])));
    let said = dir.fails(2, &borrowed(&retrain(3, &["--resume", "--seeds", "2"])));
    assert!(said.contains("holds a training with one seed"), "{said}");
    assert_eq!(
        fs::read_dir(dir.path("out"))
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name() == "seed-0" })
            .count(),
        0
    );
}
