//! Runs of other versions of the format.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{finished_file, message};
use crate::event::Event;
use crate::store::{FILE, FORMAT, Recorder, Store, WorkerSummary};
use crate::task::{BranchSpec, EvaluationSet, InputSpec, Schedule};
use crate::tests::{create, settings};

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
fn a_run_before_reports_goes_on_with_them() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("run");
    drop(create(&run, &settings(4)));
    let earlier = rusqlite::Connection::open(run.join(FILE)).unwrap();
    let sql =
        "DROP TABLE report; DROP TABLE branch; DROP TABLE trial; PRAGMA user_version = 65539;";
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

#[test]
fn a_run_before_branches_has_none_until_it_goes_on() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("run");
    let branch = |name: &str, inputs| BranchSpec {
        name: name.to_owned(),
        inputs,
    };
    let branches = [
        branch("mask", InputSpec::probabilities_and_target()),
        branch("depth", InputSpec::numbers_and_target()),
    ];
    let mut recorder = create(&run, &settings(4));
    assert_eq!(recorder.store().branches().unwrap(), []);
    recorder.describe(&branches).unwrap();
    let known = recorder.store().branches().unwrap();
    let kinds: Vec<(&str, bool)> = known.iter().map(|b| (b.name.as_str(), b.softmax)).collect();
    assert_eq!(kinds, [("mask", true), ("depth", false)]);
    drop(recorder);
    let earlier = rusqlite::Connection::open(run.join(FILE)).unwrap();
    let sql = "DROP TABLE branch; DROP TABLE trial; PRAGMA user_version = 65541;";
    earlier.execute_batch(sql).unwrap();
    drop(earlier);
    assert_eq!(Store::open(&run).unwrap().branches().unwrap(), []);
    let mut recorder = Recorder::resume(&run).unwrap();
    recorder.describe(&branches).unwrap();
    recorder.describe(&branches).unwrap();
    assert_eq!(recorder.store().branches().unwrap(), known);
}

#[test]
fn a_run_before_trials_goes_on_with_them() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("run");
    drop(create(&run, &settings(4)));
    let earlier = rusqlite::Connection::open(run.join(FILE)).unwrap();
    let sql = "DROP TABLE trial; DROP TABLE branch; PRAGMA user_version = 65541;";
    earlier.execute_batch(sql).unwrap();
    drop(earlier);
    assert_eq!(Store::open(&run).unwrap().workers().unwrap(), []);
    let mut recorder = Recorder::resume(&run).unwrap();
    let lost = |worker, seconds| Event::Lost {
        id: 1,
        attempt: 1,
        reason: "it ended".to_owned(),
        worker,
        seconds,
    };
    recorder.record(&lost(3, 1.0), 2.0).unwrap();
    recorder.record(&lost(0, 3.0), 4.0).unwrap();
    recorder.commit().unwrap();
    let summary = |worker, busy| WorkerSummary {
        worker,
        trials: 0,
        busy,
        lost: 1,
    };
    let workers = recorder.store().workers().unwrap();
    assert_eq!(workers, [summary(0, 0.75), summary(3, 0.25)]);
}
