//! Folders, settings and files of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ndarray::{Array, Array4};
use serde_json::Value;

/// A folder of its own for a test, in which the program runs.
pub(crate) struct Dir(pub(crate) tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autoloss"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a call that works.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Standard error of a call that fails with the given exit code.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

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

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `head` followed by the settings of the tiny task.
pub(crate) fn tiny(head: &[&str]) -> Vec<String> {
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

pub(crate) fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

pub(crate) fn array(f: impl Fn(usize) -> f32) -> Array4<f32> {
    Array::from_shape_vec((1, 2, 2, 2), (0..8).map(f).collect()).unwrap()
}

pub(crate) fn write_labels(path: &Path, width: usize, labels: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let map = autoloss_data::LabelMap {
        labels: labels.to_vec(),
        width,
        height: labels.len() / width,
    };
    autoloss_data::write_label_map(path, &map).unwrap();
}

/// Two training and two validation images in PASCAL VOC's layout.
pub(crate) fn write_voc(dir: &Dir) {
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

pub(crate) fn evaluations(run: &Path) -> i64 {
    // Not made where it is not there yet: the search would find a run in its folder.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(db) = rusqlite::Connection::open_with_flags(run.join("run.sqlite"), flags) else {
        return 0;
    };
    let sql = "SELECT count(*) FROM candidate WHERE fate IN ('scored', 'stopped', 'failed')";
    db.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
}

/// Starts a search and waits until it has made some evaluations.
pub(crate) fn started(dir: &Dir, arguments: &[&str], run: &str, enough: i64) -> Child {
    started_with(dir, arguments, run, enough, Stdio::null())
}

/// Starts a search with another standard error, and waits until it has made some evaluations.
pub(crate) fn started_with(
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

/// The rows of a run that must not depend on how often it was interrupted.
pub(crate) fn rows(run: &Path) -> Vec<String> {
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
