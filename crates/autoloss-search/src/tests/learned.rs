//! Runs that predict from the trainings of an earlier one.

use tempfile::TempDir;

use super::{contents, copy, create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

/// An earlier run, and a run that has learned from it and made nothing yet.
fn taught(dir: &TempDir, choices: usize) -> (usize, std::path::PathBuf) {
    let earlier = dir.path().join("earlier");
    whole(&Toy::new(), &settings(12), &earlier);
    let earlier = Earlier::of_run(&earlier, &Toy::new()).unwrap();
    let count = earlier.count();
    let mut settings = settings(14);
    settings.search.choices = choices;
    let path = dir.path().join("taught");
    let mut recorder = create(&path, &settings);
    earlier.teach(&mut recorder).unwrap();
    (count, path)
}

#[test]
fn a_run_predicts_from_an_earlier_one_and_goes_on_with_it() {
    let dir = TempDir::new().unwrap();
    let (count, path) = taught(&dir, 4);
    let store = Store::open(&path).unwrap();
    let learned = store.learned().unwrap();
    assert!(count > 5 && learned.len() == count);
    let part = dir.path().join("part");
    copy(&path, &part);
    resume(&Toy::new(), &path);
    // Interrupted after some evaluations, it knows them still.
    let mut recorder = Recorder::resume(&part).unwrap();
    let interrupt = Interrupt::default();
    let mut evaluated = 0;
    let report = run(&Toy::new(), &mut recorder, &interrupt, &mut |event| {
        evaluated += u64::from(matches!(event, Event::Evaluated { .. }));
        if evaluated == 9 {
            interrupt.set();
        }
    });
    assert_eq!(report.unwrap().end, End::Interrupted);
    drop(recorder);
    resume(&Toy::new(), &part);
    assert_eq!(contents(&part), contents(&path));
    // It is not the run that knows nothing.
    let alone = dir.path().join("alone");
    let mut settings = settings(14);
    settings.search.choices = 4;
    whole(&Toy::new(), &settings, &alone);
    assert_ne!(contents(&alone).0, contents(&path).0);
}

#[test]
fn a_run_that_teaches_nothing_is_named() {
    let dir = TempDir::new().unwrap();
    let empty = dir.path().join("empty");
    drop(create(&empty, &settings(12)));
    let said = Earlier::of_run(&empty, &Toy::new())
        .unwrap_err()
        .to_string();
    assert!(said.contains("has trained no loss"), "{said}");
    let missing = Earlier::of_run(&dir.path().join("missing"), &Toy::new());
    assert!(matches!(
        missing,
        Err(SearchError::Store(StoreError::NoRun(_)))
    ));
}

#[test]
fn the_quality_of_predictions_is_told() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run");
    let mut settings = settings(40);
    settings.search.choices = 4;
    whole(&Toy::new(), &settings, &path);
    let store = Store::open(&path).unwrap();
    let quality = prediction_quality(&Toy::new(), &store).unwrap().unwrap();
    assert!(
        quality.losses >= 30 && quality.spearman > 0.2,
        "{quality:?}"
    );
    let few = dir.path().join("few");
    whole(&Toy::new(), &super::settings(7), &few);
    let store = Store::open(&few).unwrap();
    assert_eq!(prediction_quality(&Toy::new(), &store).unwrap(), None);
}
