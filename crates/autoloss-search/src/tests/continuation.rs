//! Runs that are cut or interrupted go on as if they had not been.

use tempfile::TempDir;

use super::faulty::{Altered, Faulty, is_unlucky};
use super::{Contents, contents, copy, create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

#[test]
fn a_run_cut_anywhere_goes_on_as_if_it_had_not_been() {
    for (batch, choices) in [(1, 1), (256, 1), (1, 4)] {
        let mut settings = settings(14);
        settings.search.depth = 2;
        settings.search.choices = choices;
        let uncut = cut_every(9, &Toy::new(), &settings, batch);
        assert!(uncut.2.len() > 5);
        let uncut = cut_every(9, &Altered::failing(is_unlucky), &settings, batch);
        assert!(uncut.1.failed > 2, "{}", uncut.1.failed);
    }
}

#[test]
fn climbs_end_and_a_cut_run_goes_on_as_if_it_had_not_been() {
    let mut settings = settings(20);
    settings.search.depth = 2;
    settings.search.choices = 4;
    settings.search.initial = 3;
    settings.search.patience = 4;
    let (rows, ..) = cut_every(9, &Toy::new(), &settings, 1);
    let mut joined: Vec<_> = rows.iter().filter(|row| row.joined.is_some()).collect();
    joined.sort_by_key(|row| row.joined);
    // Each climb begins with random losses.
    let begins = |rows: &[&CandidateRow]| {
        let origins = rows.iter().map(|row| row.candidate.origin);
        origins.eq([Origin::Random; 3])
    };
    let later = joined[4..].windows(3).filter(|rows| begins(rows)).count();
    assert!(later > 0, "{joined:#?}");
}

#[test]
fn trainings_end_at_rungs_and_a_cut_run_goes_on_as_if_it_had_not_been() {
    for choices in [1, 4] {
        let mut settings = settings(30);
        settings.search.choices = choices;
        settings.search.rungs = vec![0.25, 0.5];
        let (rows, tally, _, _) = cut_every(9, &Toy::new(), &settings, 1);
        let pruned: Vec<_> = rows.iter().filter(|row| row.fate == Fate::Pruned).collect();
        let trained = pruned.iter().filter(|row| row.training_seconds.is_some());
        assert!(
            tally.pruned > 2 && tally.pruned == trained.count() as u64,
            "{tally:?}"
        );
        assert_eq!(tally.evaluations, 30);
        assert!(
            pruned
                .iter()
                .all(|row| row.score.is_none() && row.joined.is_none())
        );
        // The best one was never ended.
        assert!(tally.best.is_some());
    }
}

#[test]
fn leaders_are_trained_again_and_a_cut_run_goes_on_as_if_it_had_not_been() {
    for choices in [1, 4] {
        let mut settings = settings(30);
        settings.search.choices = choices;
        settings.search.leader_trainings = 3;
        settings.search.crossover = 0.3;
        settings.search.constants = 0.3;
        settings.search.tuning = 0.2;
        settings.search.balance = true;
        let (rows, tally, _, _) = cut_every(9, &Toy::new(), &settings, 1);
        assert!(tally.repeated > 2, "{tally:?}");
        assert_eq!(tally.evaluations + tally.repeated, 30);
        // The two that lead have all their trainings, and the best is best by its mean.
        let mut trained: Vec<_> = rows.iter().filter(|row| row.fate == Fate::Scored).collect();
        trained.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap());
        let leaders = trained[..2].iter().map(|row| row.trainings);
        assert!(leaders.filter(|n| *n == 3).count() >= 1, "{trained:#?}");
        let best = tally.best.unwrap();
        assert_eq!(
            (Some(best.score), best.id),
            (trained[0].score, trained[0].candidate.id)
        );
        // Every branch that is trained has its factor, and none has two.
        for row in &trained {
            let formula = &row.candidate.formula;
            let factors = formula
                .split(" * ")
                .take_while(|part| part.parse::<f64>().is_ok());
            assert!(factors.count() <= 1, "{formula}");
        }
    }
}

#[test]
fn a_candidate_that_overflows_while_it_is_optimised_is_known_after_a_resume_too() {
    let mut settings = settings(10);
    settings.search.initial = 3;
    settings.search.operators = ["exp", "square", "mul", "neg", "add", "mean_c"]
        .map(str::to_owned)
        .to_vec();
    // Squares of predictions so far away are infinite.
    settings.screening.step_size = 1e20;
    settings.screening.threshold = 0.45;
    settings.search.final_losses = 0;
    let uncut = cut_every(1, &Toy::new(), &settings, 1);
    let overflows = |row: &&CandidateRow| {
        let reason = row.reason.as_deref().unwrap_or_default();
        row.fate == Fate::Invalid && reason.contains("at step")
    };
    assert!(uncut.0.iter().filter(overflows).count() > 3);
}

/// Cuts a run after each of several numbers of events and lets each part go on to its end; all must give the same,
/// which is returned.
fn cut_every(events: usize, task: &dyn Task, settings: &Settings, batch: usize) -> Contents {
    let dir = TempDir::new().unwrap();
    let main = dir.path().join("main");
    let mut recorder = create(&main, settings);
    recorder.commit_after(batch);
    let mut cuts = Vec::new();
    let mut count = 0;
    run(task, &mut recorder, &Interrupt::default(), &mut |_| {
        if count % events == 0 {
            let cut = dir.path().join(format!("cut{count}"));
            copy(&main, &cut);
            cuts.push(cut);
        }
        count += 1;
    })
    .unwrap();
    drop(recorder);
    let uncut = contents(&main);
    assert!(cuts.len() > 5);
    for cut in cuts {
        resume(task, &cut);
        let resumed = contents(&cut);
        assert_eq!(resumed.0, uncut.0, "{}", cut.display());
        assert_eq!(resumed, uncut, "{}", cut.display());
    }
    uncut
}

#[test]
fn an_interrupt_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let settings = settings(12);
    whole(&Toy::new(), &settings, &dir.path().join("whole"));
    let part = dir.path().join("part");
    let mut recorder = create(&part, &settings);
    let mut task = Faulty::new(|_| None);
    task.interrupts_at = 6;
    let report = run(&task, &mut recorder, &task.interrupt, &mut |_| {}).unwrap();
    assert_eq!(report.end, End::Interrupted);
    assert_eq!(report.tally.evaluations, 5);
    drop(recorder);
    let report = resume(&Toy::new(), &part);
    assert_eq!(report.end, End::Evaluations);
    assert_eq!(contents(&part), contents(&dir.path().join("whole")));
}

#[test]
fn a_search_ends_when_whoever_is_told_of_it_panics() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(1_000_000);
    settings.search.workers = 2;
    let mut recorder = create(dir.path(), &settings);
    let start = std::time::Instant::now();
    let panics = std::panic::AssertUnwindSafe(|| {
        run(
            &Toy::new(),
            &mut recorder,
            &Interrupt::default(),
            &mut |event| {
                assert!(!matches!(event, Event::Evaluated { .. }), "nobody reads");
            },
        )
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(start.elapsed().as_secs() < 20);
    drop(recorder);
    // Recorded before it was told, so that nothing is lost.
    assert!(!contents(dir.path()).0.is_empty());
}

#[test]
fn a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room() {
    let dir = TempDir::new().unwrap();
    let settings = settings(12);
    let (_, events) = whole(&Toy::new(), &settings, &dir.path().join("whole"));
    let part = dir.path().join("part");
    let mut recorder = create(&part, &settings);
    recorder.limit_pages(9);
    let mut told = 0;
    let result = run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| told += 1,
    );
    let message = result.unwrap_err().to_string();
    assert!(message.contains("the disk is full"), "{message}");
    assert!(told > 2 && told < events.len(), "{told}");
    drop(recorder);
    resume(&Toy::new(), &part);
    assert_eq!(contents(&part), contents(&dir.path().join("whole")));
}

#[test]
fn a_finished_run_does_nothing_more() {
    let dir = TempDir::new().unwrap();
    let (first, _) = whole(&Toy::new(), &settings(8), dir.path());
    let before = contents(dir.path());
    let again = resume(&Toy::new(), dir.path());
    assert_eq!(contents(dir.path()), before);
    assert_eq!(again.comparisons, first.comparisons);
}

#[test]
fn a_run_of_several_workers_cut_anywhere_goes_on() {
    for choices in [1, 3] {
        cut_anywhere_with_several_workers(choices);
    }
}

fn cut_anywhere_with_several_workers(choices: usize) {
    let dir = TempDir::new().unwrap();
    let main = dir.path().join("main");
    let mut settings = settings(20);
    settings.search.workers = 3;
    settings.search.choices = choices;
    let mut recorder = create(&main, &settings);
    let (mut cuts, mut count) = (Vec::new(), 0);
    run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| {
            count += 1;
            if count % 40 == 0 {
                let cut = dir.path().join(format!("cut{count}"));
                copy(&main, &cut);
                cuts.push(cut);
            }
        },
    )
    .unwrap();
    for cut in cuts {
        let before: Vec<CandidateRow> = contents(&cut).0;
        let report = resume(&Toy::new(), &cut);
        assert_eq!(report.tally.evaluations, 20);
        let after = contents(&cut).0;
        for row in before.iter().filter(|row| row.joined.is_some()) {
            assert!(after.contains(row));
        }
    }
}

#[test]
fn an_interrupt_during_full_training_is_no_end_and_resume_completes_it() {
    let dir = TempDir::new().unwrap();
    // Of the 4 trainings of the finalists, and of the 6 of the comparison after them.
    for made in [2, 4 + 3] {
        let dir = &dir.path().join(made.to_string());
        let mut recorder = create(dir, &settings(8));
        let mut task = Faulty::new(|_| None);
        task.interrupts_at = 1 + 8 + made;
        let report = run(&task, &mut recorder, &task.interrupt, &mut |_| {});
        assert_eq!(report.unwrap().end, End::Interrupted);
        drop(recorder);
        let before = contents(dir);
        assert_eq!(before.2.len(), 1 + made);
        let report = resume(&Toy::new(), dir);
        assert_eq!(report.end, End::Evaluations);
        let compared = report.comparisons.iter().map(|c| c.trainings.len());
        assert_eq!(compared.sum::<usize>(), 6);
        let after = contents(dir);
        assert_eq!(after.2.len(), 1 + 4 + 6);
        assert_eq!(after.0, before.0, "the search itself must not go on");
    }
}

#[test]
fn a_larger_budget_goes_on_and_an_invalid_one_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let toy = Toy::new();
    whole(&toy, &settings(8), dir);
    let mut recorder = Recorder::resume(dir).unwrap();
    assert!(recorder.change_settings(&settings(0)).is_err());
    recorder.change_settings(&settings(11)).unwrap();
    drop(recorder);
    assert_eq!(resume(&toy, dir).tally.evaluations, 11);
}
