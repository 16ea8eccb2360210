use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::event::{Candidate, Event, Fate, Origin};
use crate::task::{EvaluationSet, Schedule};
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

fn finished_file(dir: &Path) -> std::path::PathBuf {
    let mut recorder = create(dir, &settings(1));
    for id in 1..200 {
        recorder.record(&rejected(id), 0.0).unwrap();
    }
    drop(recorder);
    dir.join(FILE)
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

#[test]
fn runs_of_earlier_formats_are_read_and_not_gone_on_with() {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let tables = || {
        let file = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'moment'";
        file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.info().unwrap().searched_on, EvaluationSet::Search);
    drop(store);
    let older = |minor: u32, change: &str| {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(change).unwrap();
        file.pragma_update(None, "user_version", (1 << 16) | minor)
            .unwrap();
    };
    for (minor, change, set, reason) in [
        (2, "", EvaluationSet::Search, "before full training"),
        (
            1,
            "",
            EvaluationSet::Validation,
            "before the training data were split",
        ),
        (
            0,
            "DROP TABLE moment; DROP TABLE picture",
            EvaluationSet::Validation,
            "before the training data were split",
        ),
    ] {
        older(minor, change);
        let store = Store::open(dir.path()).unwrap();
        let info = store.info().unwrap();
        assert_eq!((info.searched_on, info.compared_by), (set, Schedule::Proxy));
        let rows = store.candidates().unwrap();
        assert!(rows.len() == 199 && rows[198].candidate.id == 199);
        assert!(store.pictures("dice").unwrap().is_empty());
        let refused = message(Recorder::resume(dir.path()));
        assert!(refused.contains(reason), "{refused}");
    }
    // Reading changed nothing.
    assert_eq!(tables(), 0);
}

#[test]
fn failed_trainings_of_older_runs_have_no_score() {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let file = rusqlite::Connection::open(&path).unwrap();
    let older = "
        DROP TABLE failure;
        UPDATE candidate SET fate = 'failed', score = 0, joined = 0 WHERE id = 1;
        UPDATE candidate SET fate = 'equivalent', equivalent_to = 1, score = 0, joined = 1 WHERE id = 2;
        UPDATE candidate SET fate = 'scored', score = 0.5, joined = 2 WHERE id = 3;
        UPDATE candidate SET fate = 'equivalent', equivalent_to = 3, score = 0.5, joined = 3 WHERE id = 4;
        INSERT INTO training VALUES ('final', 'a', 'y', 1, 0, 1, 'out of memory', '[]', '[]');
        INSERT INTO training VALUES ('final', 'a', 'y', 2, 0, 1, 'not finite at update 1', '[]', '[]');
        INSERT INTO training VALUES ('final', 'a', 'y', 3, 0.5, 1, NULL, '[[1, 0.5]]', '[]');
        PRAGMA user_version = 65537;";
    file.execute_batch(older).unwrap();
    let store = Store::open(dir.path()).unwrap();
    let rows = store.candidates().unwrap();
    let scores: Vec<_> = rows[..5]
        .iter()
        .map(|row| (row.score, row.joined))
        .collect();
    let (none, half) = ((None, None), |n| (Some(0.5), Some(n)));
    assert_eq!(scores, [none, none, half(2), half(3), none]);
    let comparison = &store.comparisons().unwrap()[0];
    assert_eq!(
        (comparison.mean, comparison.trainings.len()),
        (Some(0.25), 2)
    );
    let failed = &comparison.failed[0];
    assert_eq!((failed.seed, failed.message.as_str()), (1, "out of memory"));
}

#[test]
fn other_format_versions_are_named() {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let set = |version: u32| {
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    set((2 << 16) | 3);
    let text = message(Store::open(dir.path()));
    assert!(
        text.contains("run format 2.3, this program understands 1.x"),
        "{text}"
    );
    set((FORMAT.0 << 16) | 9);
    assert!(Store::open(dir.path()).is_ok());
}

#[test]
fn a_run_from_before_there_was_a_choice_goes_on_without() {
    let dir = TempDir::new().unwrap();
    let path = finished_file(dir.path());
    let connection = Connection::open(&path).unwrap();
    let stored: String = connection
        .query_row("SELECT settings FROM run", [], |row| row.get(0))
        .unwrap();
    let older: Vec<&str> = stored
        .lines()
        .filter(|line| !line.starts_with("choices"))
        .collect();
    assert_eq!(older.len(), stored.lines().count() - 1);
    connection
        .execute("UPDATE run SET settings = ?", [older.join("\n")])
        .unwrap();
    let info = Store::open(dir.path()).unwrap().info().unwrap();
    assert_eq!(info.settings.search.choices, 1);
    assert_eq!(info.settings.search.initial, 6);
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
    // With room again, what waited is written.
    recorder.limit_pages(10_000);
    recorder.commit().unwrap();
    assert_eq!(recorder.store().candidates().unwrap().len() as u64, id);
}

/// What opening and reading all of a run says after a change to its file.
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

#[test]
fn a_run_before_reports_goes_on_with_them() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("run");
    drop(create(&run, &settings(4)));
    let earlier = rusqlite::Connection::open(run.join(FILE)).unwrap();
    let sql = "DROP TABLE report; PRAGMA user_version = 65539;";
    earlier.execute_batch(sql).unwrap();
    drop(earlier);
    assert_eq!(Store::open(&run).unwrap().reports().unwrap(), []);
    let mut recorder = Recorder::resume(&run).unwrap();
    let reported = Event::Reported {
        id: 1,
        share: 0.5,
        score: 0.25,
    };
    recorder.record(&reported, 1.0).unwrap();
    recorder.commit().unwrap();
    assert_eq!(recorder.store().reports().unwrap(), [(1, 0.5, 0.25)]);
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
