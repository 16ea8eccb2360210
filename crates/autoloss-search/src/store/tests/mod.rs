//! Runs that are written, and read again.

mod damage;
mod formats;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::event::{Candidate, End, Event, Fate, Origin};
use crate::tests::{create, settings};

fn rejected(id: u64) -> Event {
    Event::Screened {
        candidate: Candidate {
            id,
            proposal: 0,
            draw: id,
            parent: None,
            origin: Origin::Random,
            formula: "yhat".repeat(200),
            canonical: "yhat".to_owned(),
            g: Some(f64::NEG_INFINITY),
            // The last one is a number that careless readers of JSON change.
            norms: vec![1.5, f64::NAN, 1.5318592091401415],
            seconds: 0.0,
            worker: 0,
        },
        fate: Fate::Rejected,
        reason: "g is too low".to_owned(),
    }
}

fn message(result: Result<impl Sized, StoreError>) -> String {
    result.err().expect("an error").to_string()
}

fn finished_file(dir: &Path) -> PathBuf {
    let mut recorder = create(dir, &settings(1));
    for id in 1..200 {
        recorder.record(&rejected(id), 0.0).unwrap();
    }
    drop(recorder);
    dir.join(FILE)
}

#[test]
fn what_was_written_is_read() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(3));
    recorder.record(&rejected(1), 1.5).unwrap();
    recorder.commit().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let info = store.info().unwrap();
    assert_eq!(
        (info.settings, info.seed, info.elapsed),
        (settings(3), 7, 1.5)
    );
    assert_eq!(
        (info.task.as_str(), info.task_settings.as_str()),
        ("toy", "size = 6\n")
    );
    let row = store.candidate(1).unwrap().unwrap();
    assert_eq!(row.candidate.g, Some(f64::NEG_INFINITY));
    assert!(row.candidate.norms[1].is_nan());
    assert_eq!(row.candidate.norms[2], 1.5318592091401415);
    assert_eq!((row.fate, row.joined), (Fate::Rejected, None));
    assert!(store.candidate(2).unwrap().is_none());
}

#[test]
fn a_batch_waits_and_is_then_seen_by_readers() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(3));
    recorder.commit_after(3);
    let reader = Store::open(dir.path()).unwrap();
    recorder.record(&rejected(1), 0.0).unwrap();
    recorder.record(&rejected(2), 0.0).unwrap();
    assert!(reader.candidates().unwrap().is_empty());
    recorder.record(&rejected(3), 0.0).unwrap();
    assert_eq!(reader.candidates().unwrap().len(), 3);
}

#[test]
fn results_that_are_kept_for_a_tick_share_its_commit() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(3));
    let reader = Store::open(dir.path()).unwrap();
    recorder.note(&rejected(1), 0.0).unwrap();
    recorder.tick(0.0).unwrap();
    let end = End::Time;
    recorder.note(&Event::SearchEnded { end }, 0.0).unwrap();
    recorder.note(&rejected(2), 0.0).unwrap();
    assert!(reader.candidates().unwrap().is_empty());
    assert_eq!(reader.info().unwrap().ended, None);
    recorder.tick(0.0).unwrap();
    assert_eq!(reader.candidates().unwrap().len(), 2);
    assert_eq!(reader.info().unwrap().ended, Some(end.to_string()));
}

#[test]
fn directories_are_checked() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("a").join("run");
    assert!(message(Store::open(&run)).contains("holds no run"));
    assert!(message(Recorder::resume(&run)).contains("holds no run"));
    let recorder = create(&run, &settings(1));
    assert!(message(Recorder::resume(&run)).contains("in use by another process"));
    let new = NewRun {
        task: "toy",
        metric: "accuracy",
        settings: &settings(1),
        task_settings: "",
    };
    assert!(message(Recorder::create(&run, &new)).contains("already holds a run"));
    drop(recorder);
    assert!(Recorder::resume(&run).is_ok());
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(message(Recorder::create(&file, &new)).contains("file"));
}

#[test]
fn a_full_disk_is_named_and_loses_nothing_committed() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(1));
    recorder.commit_after(4);
    recorder.limit_pages(24);
    let mut error = None;
    let mut id = 0;
    while error.is_none() && id < 1000 {
        id += 1;
        error = recorder.record(&rejected(id), 0.0).err();
    }
    let text = error.expect("24 pages are soon full").to_string();
    assert!(
        text.contains("run.sqlite") && text.contains("the disk is full"),
        "{text}"
    );
    let committed = recorder.store().candidates().unwrap().len() as u64;
    assert_eq!(committed, id - 4);
    // With room again, the events that waited are written.
    recorder.limit_pages(10_000);
    recorder.commit().unwrap();
    assert_eq!(recorder.store().candidates().unwrap().len() as u64, id);
}

/// Makes it impossible to write beside a run, for every user.
#[cfg(unix)]
fn seal(dir: &Path) {
    let shared = dir.join(format!("{FILE}-shm"));
    let _ = std::fs::remove_file(&shared);
    std::os::unix::fs::symlink("missing/file", shared).unwrap();
}

#[cfg(unix)]
#[test]
fn a_run_that_ended_in_order_is_read_where_nothing_can_be_written() {
    let dir = TempDir::new().unwrap();
    // A name with characters that mean something in the name of a database.
    let run = dir.path().join("a run?immutable=0#%41");
    finished_file(&run);
    seal(&run);
    assert_eq!(Store::open(&run).unwrap().candidates().unwrap().len(), 199);
}

#[cfg(unix)]
#[test]
fn a_run_that_was_killed_is_not_read_where_nothing_can_be_written() {
    let dir = TempDir::new().unwrap();
    let (run, killed) = (dir.path().join("run"), dir.path().join("killed"));
    let mut recorder = create(&run, &settings(1));
    recorder.record(&rejected(1), 0.0).unwrap();
    recorder.commit().unwrap();
    std::fs::create_dir(&killed).unwrap();
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        std::fs::copy(run.join(&name), killed.join(&name)).unwrap();
    }
    seal(&killed);
    let said = message(Store::open(&killed));
    assert!(
        said.contains("the folder is read-only") && said.contains("copy the folder"),
        "{said}"
    );
    std::fs::remove_file(killed.join(format!("{FILE}-shm"))).unwrap();
    assert_eq!(Store::open(&killed).unwrap().candidates().unwrap().len(), 1);
}
