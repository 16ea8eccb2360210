//! A search that begins with the trainings of another one.

use tempfile::TempDir;

use super::sets::Noting;
use super::{create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

#[test]
fn trainings_of_another_search_are_members_with_the_score_of_this_metric() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(9);
    settings.search.final_losses = 0;
    let first = dir.path().join("first");
    whole(&Toy::new(), &settings, &first);
    let store = Store::open(&first).unwrap();
    let made = SharedTraining::of_run(&store, "error").unwrap();
    let rows = store.candidates().unwrap();
    let scored = rows.iter().filter(|row| row.fate == Fate::Scored);
    assert_eq!(made.len(), scored.count());
    assert!(
        SharedTraining::of_run(&store, "no such metric")
            .unwrap()
            .is_empty()
    );

    settings.search.evaluations = Some(20);
    let second = dir.path().join("second");
    let mut recorder = create(&second, &settings);
    // The same twice is adopted once.
    let twice = [&made[..], &made[..]].concat();
    let adopted = adopt(&Toy::new(), &settings, &mut recorder, &twice).unwrap();
    assert!((3..=made.len() as u64).contains(&adopted), "{adopted}");
    let task = Noting::default();
    let report = run(&task, &mut recorder, &Interrupt::default(), &mut |_| {}).unwrap();
    assert_eq!(report.tally.evaluations, 20);
    drop(recorder);
    let asked = task.asked.into_inner().unwrap();
    let trained: Vec<String> = asked.into_iter().map(|(loss, _)| loss).collect();
    // The reference and the rest of the evaluations.
    assert_eq!(trained.len() as u64, 1 + 20 - adopted);
    let rows = Store::open(&second).unwrap().candidates().unwrap();
    for (place, row) in (0..adopted).zip(&rows) {
        let formula = &row.candidate.formula;
        let of = made.iter().find(|made| made.formula == *formula).unwrap();
        assert_eq!((row.score, row.joined), (Some(of.score), Some(place)));
        assert!(!trained.contains(formula));
    }
    assert_eq!(resume(&Toy::new(), &second).tally.evaluations, 20);
}
