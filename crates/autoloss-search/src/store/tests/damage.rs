//! Files that are no runs, and values that no run holds.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{finished_file, message};
use crate::store::{FILE, Recorder, Store};

fn with_content(content: &[u8]) -> String {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join(FILE), content).unwrap();
    let resumed = message(Recorder::resume(dir.path()));
    assert_eq!(message(Store::open(dir.path())), resumed);
    assert!(resumed.contains("run.sqlite"), "{resumed}");
    resumed
}

#[test]
fn files_that_are_no_runs_are_named() {
    assert!(with_content(b"").contains("empty"));
    let text = "not a database, but long enough to be one. ".repeat(100);
    assert!(with_content(text.as_bytes()).contains("no SQLite database"));
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("other");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE a (b)").unwrap();
    drop(other);
    let content = std::fs::read(&path).unwrap();
    assert!(with_content(&content).contains("of another program"));
}

#[test]
fn a_damaged_file_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let mut content = std::fs::read(&path).unwrap();
    let end = content.len();
    content[4096..end].fill(0x5A);
    std::fs::write(&path, &content).unwrap();
    let store = Store::open(dir.path());
    let message = message(store.and_then(|store| store.info().and_then(|_| store.candidates())));
    assert!(message.contains("damaged"), "{message}");
}

/// Errors of opening and reading all of a run after a change to its file.
fn changed(sql: &str) -> String {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let file = Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA writable_schema = ON").unwrap();
    file.execute_batch(sql).unwrap();
    drop(file);
    let read = |store: Store| {
        store.info()?;
        store.candidates()?;
        store.tally()?;
        store.curve(1)?;
        store.reference()?;
        store.pictures("a")?;
        store.comparisons()
    };
    let said = message(Store::open(dir.path()).and_then(read));
    assert!(said.contains("run.sqlite"), "{said}");
    said
}

#[test]
fn values_that_no_run_holds_are_named_with_what_was_expected() {
    let training = |score: &str, curve: &str| {
        format!(
            "INSERT INTO training VALUES ('final', 'a', 'y', 1, {score}, 1, NULL, {curve}, '[]')"
        )
    };
    let seconds = "expected seconds from 0 to 10000000000";
    for (sql, what) in [
        (
            "UPDATE run SET elapsed = -5",
            format!("table `run`: `elapsed` is -5, {seconds}"),
        ),
        (
            "UPDATE run SET elapsed = 9e999",
            format!("`elapsed` is inf, {seconds}"),
        ),
        (
            "UPDATE run SET elapsed = 'x'",
            format!("`elapsed` is \"x\", {seconds}"),
        ),
        (
            "UPDATE run SET cores = -1",
            "`cores` is -1, expected a whole number from 0".to_owned(),
        ),
        (
            "UPDATE run SET task = CAST(x'ff41' AS TEXT)",
            "`task` is \"\u{fffd}A\", expected text in UTF-8".to_owned(),
        ),
        (
            "DELETE FROM run",
            "table `run` is empty, expected one row".to_owned(),
        ),
        (
            "UPDATE candidate SET norms = '[1, 2' WHERE id = 7",
            "table `candidate` 7: `norms` is \"[1, 2\", expected a list as JSON".to_owned(),
        ),
        (
            "UPDATE candidate SET fate = 'eaten' WHERE id = 7",
            "table `candidate` 7: `fate` is \"eaten\"".to_owned(),
        ),
        (
            "UPDATE candidate SET origin = x'00' WHERE id = 7",
            "table `candidate` 7: `origin` is 1 bytes".to_owned(),
        ),
        (
            "UPDATE candidate SET proposal = -3 WHERE id = 7",
            "table `candidate` 7: `proposal` is -3".to_owned(),
        ),
        (
            "UPDATE candidate SET fate = 'scored' WHERE id = 7",
            "table `candidate` 7: `score` or `joined` is missing".to_owned(),
        ),
        (
            "UPDATE candidate SET screening_seconds = -1 WHERE id = 7",
            "`screening_seconds` is -1".to_owned(),
        ),
        (
            "INSERT INTO drawn VALUES (3, -1, 0, 0)",
            "table `drawn` 3: `drawn` is -1".to_owned(),
        ),
        (
            "INSERT INTO curve VALUES (1, -1, 0.5)",
            "table `curve` 1: `number` is -1".to_owned(),
        ),
        (
            &training("9e999", "'[]'"),
            "table `training` \"a\": `score` is inf, expected a finite number".to_owned(),
        ),
        (
            &training("0.5", "'[[1]]'"),
            "`curve` is \"[[1]]\"".to_owned(),
        ),
        (
            "INSERT INTO picture VALUES ('a', 0, 5)",
            "table `picture` \"a\": `png` is 5".to_owned(),
        ),
    ] {
        let said = changed(sql);
        assert!(
            said.contains("the file is damaged") && said.contains(&what),
            "{sql}: {said}"
        );
        assert!(
            said.ends_with("; restore it from a copy, or begin a new run"),
            "{said}"
        );
    }
    let said = changed("UPDATE run SET settings = '[search]' || char(10) || 'depth = 99'");
    assert!(
        said.contains("`search.depth` is 99, expected a depth from 1 to 7"),
        "{said}"
    );
    // SQLite's own words come with ours.
    let said = changed("DROP TABLE training");
    assert!(
        said.contains("its tables are not those of a run (no such table"),
        "{said}"
    );
}

#[test]
fn what_a_newer_minor_version_wrote_is_shown_or_its_version_named() {
    let newer = "PRAGMA user_version = 65545;";
    for sql in [
        "UPDATE run SET settings = replace(settings, 'seed =', 'newkey = 1' || char(10) || 'seed =')",
        "UPDATE candidate SET fate = 'dreamt' WHERE id = 7",
    ] {
        let said = changed(&format!("{newer} {sql}"));
        assert!(
            said.contains("written by a newer version (run format 1.9, this program knows 1."),
            "{said}"
        );
        assert!(
            said.contains("newkey") || said.contains("`fate` is \"dreamt\""),
            "{said}"
        );
    }
}
