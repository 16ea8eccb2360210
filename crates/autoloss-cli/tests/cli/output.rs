//! Standard error and standard output that cannot be written to.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Dir, borrowed, evaluations, started_with, tiny};

/// Ways in which a stream fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    /// The reader leaves after the first byte.
    Left,
    /// The disk is full.
    Full,
    /// The reader does not read, and the pipe is full.
    Stalled,
}

const ALL: [Broken; 3] = [Broken::Left, Broken::Full, Broken::Stalled];

impl Broken {
    /// Such a stream, and its end that must live as long as the process.
    fn stream(self) -> (Stdio, Option<std::io::PipeReader>) {
        if self == Self::Full {
            let full = File::options().write(true).open("/dev/full").unwrap();
            return (full.into(), None);
        }
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        if self == Self::Stalled {
            writer.write_all(&[b'\n'; 1 << 16]).unwrap();
            return (writer.into(), Some(reader));
        }
        std::thread::spawn(move || reader.read_exact(&mut [0]));
        (writer.into(), None)
    }
}

/// The end of a process that must not hang.
fn end(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > Duration::from_secs(240) {
            child.kill().unwrap();
            panic!("the process does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command whose standard error fails; it must end well all the same.
fn ends_well(dir: &Dir, arguments: &[&str], broken: Broken) {
    let (stream, reader) = broken.stream();
    let mut command = dir.command(arguments);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(stream)
        .spawn()
        .unwrap();
    // The command holds the other end of the pipe.
    drop(command);
    let status = end(&mut child);
    assert_eq!(status.code(), Some(0), "{broken:?}: {arguments:?}");
    drop(reader);
}

/// Names of the files in a folder that end as given.
fn files(dir: &Dir, folder: &str, ending: &str) -> usize {
    let entries = std::fs::read_dir(dir.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).count()
}

#[test]
fn no_command_depends_on_standard_error() {
    let dir = Dir::new();
    let losses = ["--loss", "zoo:dice", "--loss", "zoo:mse", "--seeds", "2"];
    for broken in ALL {
        let out = format!("{broken:?}");
        let search = tiny(&["search", "--evaluations", "3", "--run", &out]);
        ends_well(&dir, &borrowed(&search), broken);
        assert_eq!(evaluations(&dir.path(&out)), 3, "{broken:?}");

        let out = format!("compared-{broken:?}");
        let compare = tiny(&[&["compare", "--out", &out], &losses[..]].concat());
        ends_well(&dir, &borrowed(&compare), broken);
        assert_eq!(files(&dir, &out, ".json"), 4, "{broken:?}");

        let out = format!("trained-{broken:?}");
        let retrain = tiny(&["retrain", "--loss", "zoo:dice", "--out", &out]);
        ends_well(&dir, &borrowed(&retrain), broken);
        assert_eq!(files(&dir, &out, "result.json"), 1, "{broken:?}");
        assert_eq!(files(&dir, &out, "network.safetensors"), 1, "{broken:?}");

        let head = ["reproduce", "table3", "--set", "search.evaluations=2"];
        let out = ["--out", "reproduced"];
        ends_well(&dir, &borrowed(&tiny(&[&head[..], &out].concat())), broken);
        assert_eq!(files(&dir, "reproduced", "table3.md"), 1, "{broken:?}");
    }
}

#[test]
#[cfg(unix)]
fn signals_end_a_search_that_nobody_reads() {
    for (broken, signal) in ALL.into_iter().zip(["-INT", "-TERM", "-INT"]) {
        let dir = Dir::new();
        let search = tiny(&["search", "--evaluations", "100000", "--run", "run"]);
        let (stream, reader) = broken.stream();
        let mut child = started_with(&dir, &borrowed(&search), "run", 2, stream);
        let id = child.id().to_string();
        let kill = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(kill.unwrap().success());
        assert_eq!(end(&mut child).code(), Some(1), "{broken:?}");
        let made = evaluations(&dir.path("run"));
        dir.ok(&["resume", "run", "--evaluations", &(made + 1).to_string()]);
        drop(reader);
    }
}

#[test]
fn a_result_that_cannot_be_printed_is_on_disk() {
    let dir = Dir::new();
    // A reader that has left is no failure, a full disk is one.
    for (broken, code) in [(Broken::Left, 0), (Broken::Full, 1)] {
        let run = format!("{broken:?}");
        let search = tiny(&["search", "--evaluations", "2", "--run", &run]);
        let retrain = tiny(&["retrain", "--loss", "zoo:mse", "--out", &format!("{run}-r")]);
        for arguments in [search, retrain] {
            let (stream, _reader) = broken.stream();
            let mut command = dir.command(&borrowed(&arguments));
            let child = command.stdout(stream).stderr(Stdio::piped()).spawn();
            drop(command);
            let output = child.unwrap().wait_with_output().unwrap();
            let said = super::stderr(&output);
            assert_eq!(output.status.code(), Some(code), "{broken:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
            assert_eq!(said.contains("standard output: "), code == 1, "{said}");
        }
        assert_eq!(evaluations(&dir.path(&run)), 2);
        dir.ok(&["show", &run]);
        assert_eq!(files(&dir, &format!("{run}-r"), "result.json"), 1);
    }
}
