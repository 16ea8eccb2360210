//! Trainings that fail, and runs that cannot be made.

use std::sync::atomic::{AtomicUsize, Ordering};

use autoloss_expr::Loss;
use tempfile::TempDir;

use super::faulty::{Altered, Faulty, is_unlucky, scored};
use super::{contents, create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

#[test]
fn failures_are_the_candidates_fate_and_not_the_runs() {
    let dir = TempDir::new().unwrap();
    let task = Faulty::new(|call| match call {
        1 | 2 => None,
        3 => Some(scored(f64::NAN, Outcome::Finished)),
        4 => Some(scored(
            0.9,
            Outcome::Stopped {
                update: 2,
                what: "a gradient is not finite".to_owned(),
            },
        )),
        _ => Some(scored(0.5, Outcome::Finished)),
    });
    let (report, _) = whole(&task, &settings(8), dir.path());
    assert_eq!((report.tally.failed, report.tally.stopped), (3, 1));
    let rows = contents(dir.path()).0;
    let of_trainings = rows
        .iter()
        .filter(|row| row.training_seconds.is_some() && row.reason.is_some());
    let reasons: Vec<_> = of_trainings
        .clone()
        .map(|row| (row.fate, row.score, row.reason.as_deref().unwrap()))
        .collect();
    let not_finite = "a gradient is not finite at update 2";
    assert_eq!(
        reasons,
        [
            (Fate::Failed, None, "the task panicked: a bug of the task"),
            (Fate::Failed, None, "out of memory"),
            (
                Fate::Failed,
                None,
                "the score is NaN, expected a finite number"
            ),
            (Fate::Stopped, Some(0.0), not_finite),
        ]
    );
    assert!(
        of_trainings
            .clone()
            .all(|row| row.joined.is_some() == (row.fate == Fate::Stopped))
    );
    let store = Store::open(dir.path()).unwrap();
    let id = rows
        .iter()
        .rev()
        .find(|row| row.fate == Fate::Scored)
        .unwrap()
        .candidate
        .id;
    let curve = store.curve(id).unwrap();
    assert!(curve[0].1.is_nan() && curve[1] == (2, f64::INFINITY));
}

#[test]
fn a_failure_is_no_score_of_equivalents_and_no_member() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(40);
    settings.search.depth = 2;
    let task = Altered::failing(is_unlucky);
    let (report, _) = whole(&task, &settings, dir.path());
    let rows = contents(dir.path()).0;
    let failed: Vec<&CandidateRow> = rows.iter().filter(|row| row.fate == Fate::Failed).collect();
    assert_eq!(report.tally.failed, failed.len() as u64);
    let key = |row: &CandidateRow| Key::new(&row.candidate.norms);
    let trained = [Fate::Scored, Fate::Failed];
    // Equivalents of a failed loss are trained themselves, and none has it as its parent or source.
    let again = failed.iter().filter(|row| {
        let mut later = rows
            .iter()
            .filter(|other| other.candidate.id > row.candidate.id);
        later.any(|other| key(other) == key(row) && trained.contains(&other.fate))
    });
    assert!(again.count() > 0, "no equivalent of a failed loss");
    let ids: Vec<u64> = failed.iter().map(|row| row.candidate.id).collect();
    for row in &rows {
        let used = [row.candidate.parent, row.equivalent_to];
        assert!(used.iter().flatten().all(|id| !ids.contains(id)), "{row:?}");
        assert_eq!(row.score.is_some(), row.joined.is_some(), "{row:?}");
    }
}

#[test]
fn those_that_wait_for_a_training_that_fails_are_settled_by_themselves() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(12);
    settings.search.depth = 2;
    settings.search.workers = 2;
    let (parked, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // After the reference the first training fails as soon as a candidate waits for it.
    let task = Altered::failing(|_: &Loss, job: &Job| {
        let first = job.pictures == 0 && failed.fetch_add(1, Ordering::SeqCst) == 1;
        while first && parked.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        first.then(|| "out of memory".to_owned())
    });
    let mut recorder = create(dir.path(), &settings);
    let report = run(&task, &mut recorder, &Interrupt::default(), &mut |event| {
        if let Event::Parked { id, .. } = event {
            let _ = parked.compare_exchange(0, *id as usize, Ordering::SeqCst, Ordering::SeqCst);
        }
    });
    assert_eq!(report.unwrap().tally.failed, 1);
    drop(recorder);
    let id = parked.load(Ordering::SeqCst) as u64;
    let store = Store::open(dir.path()).unwrap();
    let waited = store.candidate(id).unwrap().expect("it has a fate");
    assert!(
        waited.joined.is_some() && waited.score.is_some(),
        "{waited:?}"
    );
}

#[test]
fn a_final_training_that_fails_is_told_and_tried_again() {
    let dir = TempDir::new().unwrap();
    let settings = settings(8);
    let bad = seed::final_seeds(settings.search.seed, 2)[1];
    let fails = |loss: &Loss, job: &Job| {
        let fails = job.seed == bad || loss.to_string().contains("square(yhat - y)");
        fails.then(|| "cannot read img7.png".to_owned())
    };
    let (report, events) = whole(&Altered::failing(fails), &settings, dir.path());
    let told = events.iter().any(|event| {
        event.to_string()
            == format!("compared cross entropy with seed {bad} failed: cannot read img7.png")
    });
    assert!(told && report.end == End::Evaluations);
    let [entropy, squared, ..] = report.comparisons.as_slice() else {
        panic!("the baselines come first");
    };
    assert_eq!((entropy.trainings.len(), entropy.failed.len()), (1, 1));
    assert_eq!(entropy.mean, Some(entropy.trainings[0].score));
    assert_eq!(
        (squared.mean, squared.std, squared.failed.len()),
        (None, None, 2)
    );
    assert_eq!(squared.against(entropy), None);
    let stored = Store::open(dir.path()).unwrap().comparisons().unwrap();
    assert_eq!(stored.last(), Some(squared));
    assert_eq!(stored.iter().map(|c| c.failed.len()).sum::<usize>(), 4);
    // With the fault mended the same run goes on.
    let report = resume(&Toy::new(), dir.path());
    assert!(report.comparisons.iter().all(|c| c.trainings.len() == 2));
    let stored = Store::open(dir.path()).unwrap().comparisons().unwrap();
    assert!(stored.iter().all(|c| c.failed.is_empty()));
}

#[test]
fn a_task_that_never_works_ends_the_run() {
    let dir = TempDir::new().unwrap();
    let error = |task: &dyn Task, name: &str| {
        let mut recorder = create(&dir.path().join(name), &settings(20));
        let result = run(task, &mut recorder, &Interrupt::default(), &mut |_| {});
        result.unwrap_err().to_string()
    };
    assert_eq!(
        error(&Faulty::new(|_| None), "a"),
        "the first 5 evaluations all failed; the last one: the task panicked: a bug of the task"
    );
    let task = Faulty::new(|call| {
        assert!(call > 0, "no network");
        None
    });
    assert_eq!(
        error(&task, "b"),
        "training the baseline `cross entropy` failed: the task panicked: no network"
    );
}

#[test]
fn a_threshold_that_nothing_passes_is_said() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(5);
    settings.screening.threshold = 1.0;
    settings.search.max_draws = 300;
    let mut recorder = create(dir.path(), &settings);
    let error = run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| {},
    )
    .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("none of the 300 candidates"), "{message}");
    assert!(message.contains("0 of 300 drawn passed"), "{message}");
    assert!(message.contains("lower `screening.threshold`"), "{message}");
    drop(recorder);
    assert_eq!(contents(dir.path()).1.drawn, 300);
}

#[test]
fn a_strategy_that_does_not_fit_the_task_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(5);
    settings.search.strategy = Strategy::Asl;
    let mut recorder = create(dir.path(), &settings);
    let refused = run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| {},
    );
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("has no surrogate with curves"), "{said}");
}

#[test]
fn another_task_is_refused() {
    let dir = TempDir::new().unwrap();
    let settings = settings(1);
    let about = NewRun {
        task: "pose",
        metric: "oks",
        settings: &settings,
        task_settings: "",
    };
    let mut recorder = Recorder::create(dir.path(), &about).unwrap();
    let error = run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "the run is of task `pose`, not `toy`");
}
