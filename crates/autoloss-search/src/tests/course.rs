//! The course of a search: draws, choices, trainings, events, and the end.

use tempfile::TempDir;

use super::faulty::{Faulty, scored};
use super::{contents, settings, whole};
use crate::toy::Toy;
use crate::*;

#[test]
fn the_log_of_a_seeded_run() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(56);
    settings.search.depth = 2;
    let (report, events) = whole(&Toy::new(), &settings, dir.path());
    assert!(report.tally.best.is_some());
    let mut log: Vec<String> = events.iter().map(ToString::to_string).collect();
    let candidates = events
        .iter()
        .filter(|event| {
            matches!(
                event,
                Event::Screened { .. } | Event::Evaluated { .. } | Event::Equivalent { .. }
            )
        })
        .count();
    assert!(candidates >= 200, "{candidates}");
    log.push(format!("{candidates} candidates reached screening"));
    insta::assert_snapshot!(log.join("\n"));
}

#[test]
fn one_seed_is_one_run_and_another_another() {
    let dir = TempDir::new().unwrap();
    let settings = settings(15);
    let run = |name: &str, seed| {
        let mut settings = settings.clone();
        settings.search.seed = seed;
        let dir = dir.path().join(name);
        let (report, _) = whole(&Toy::new(), &settings, &dir);
        let contents = contents(&dir);
        assert_eq!(report.tally, contents.1);
        contents
    };
    let first = run("a", 1);
    assert_eq!(first, run("b", 1));
    assert_ne!(first.0, run("c", 2).0);
}

#[test]
fn without_rungs_nothing_is_reported() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(10);
    let (_, events) = whole(&Toy::new(), &settings, &dir.path().join("without"));
    let reports = |events: &[Event]| {
        let reported = |event: &&Event| matches!(event, Event::Reported { .. });
        events.iter().filter(reported).count()
    };
    assert_eq!(reports(&events), 0);
    settings.search.rungs = vec![0.5];
    // All go on: each training but the reference reports once.
    settings.search.rung_share = 1.0;
    let (report, events) = whole(&Toy::new(), &settings, &dir.path().join("with"));
    assert_eq!((reports(&events), report.tally.pruned), (10, 0));
    let kept = Store::open(&dir.path().join("with"))
        .unwrap()
        .reports()
        .unwrap();
    assert!(kept.len() == 10 && kept.iter().all(|(_, share, _)| *share == 0.5));
}

#[test]
fn a_run_without_a_final_comparison_tells_what_it_found() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(12);
    settings.search.final_losses = 0;
    let (report, _) = whole(&Toy::new(), &settings, dir.path());
    assert!(report.comparisons.is_empty());
    assert_eq!(report.best.len(), 3);
    let best = report.tally.best.unwrap();
    assert_eq!(
        (report.best[0].candidate.id, report.best[0].score),
        (best.id, Some(best.score))
    );
    let key = |row: &CandidateRow| {
        (
            Key::new(&row.candidate.norms),
            row.candidate.canonical.clone(),
        )
    };
    for (place, row) in report.best.iter().enumerate() {
        let others = &report.best[..place];
        assert!(
            others
                .iter()
                .all(|o| key(o).0 != key(row).0 && key(o).1 != key(row).1)
        );
        assert!(others.iter().all(|o| o.score >= row.score));
    }
}

#[test]
fn several_workers_make_exactly_the_evaluations_asked_for() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(25);
    settings.search.workers = 4;
    let (report, events) = whole(&Toy::new(), &settings, dir.path());
    assert_eq!(report.tally.evaluations, 25);
    let begun = events
        .iter()
        .filter(|event| matches!(event, Event::EvaluationStarted { .. }))
        .count();
    assert_eq!(begun, 25);
    let (rows, tally, ..) = contents(dir.path());
    assert_eq!(tally, report.tally);
    let mut joined: Vec<u64> = rows.iter().filter_map(|row| row.joined).collect();
    joined.sort_unstable();
    assert_eq!(joined, (0..joined.len() as u64).collect::<Vec<_>>());
    for row in rows.iter().filter(|row| row.fate == Fate::Equivalent) {
        let other = rows
            .iter()
            .find(|other| Some(other.candidate.id) == row.equivalent_to);
        assert_eq!(other.unwrap().score, row.score);
    }
}

#[test]
fn a_space_without_news_ends_the_search() {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(1000);
    settings.search.operators = vec!["abs".to_owned(), "add".to_owned(), "neg".to_owned()];
    settings.search.depth = 2;
    settings.search.restart = 1.0;
    settings.search.max_draws = 400;
    settings.screening.threshold = 0.1;
    let (report, _) = whole(&Toy::new(), &settings, dir.path());
    assert_eq!(report.end, End::NothingNew);
    assert!(report.tally.evaluations < 200);
}

#[test]
fn the_time_is_kept_for_the_final_comparison() {
    let dir = TempDir::new().unwrap();
    // Each training says it takes 150 s: one more, the 4 of the finalists and the 6 of the comparison are
    // 1650 s.
    let end = |time: f64| {
        let mut settings = settings(3);
        settings.search.time = Some(time);
        let task = Faulty::new(|_| {
            Some(Evaluation {
                seconds: 150.0,
                ..scored(0.5, Outcome::Finished)
            })
        });
        let (report, _) = whole(&task, &settings, &dir.path().join(time.to_string()));
        (
            report.end,
            report.tally.evaluations,
            report.comparisons.len(),
        )
    };
    assert_eq!(end(1600.0), (End::Time, 0, 2));
    assert_eq!(end(100_000.0), (End::Evaluations, 3, 3));
}

#[test]
fn the_ablations_run() {
    let dir = TempDir::new().unwrap();
    let changes: [fn(&mut Settings); 5] = [
        |s| s.search.strategy = Strategy::Random,
        |s| s.search.strategy = Strategy::Cse,
        |s| s.screening.rejection = false,
        |s| s.search.equivalence = false,
        |s| {
            s.search.stop_on_invalid = false;
            s.screening.rejection = false;
            s.search.equivalence = false;
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut settings = settings(12);
        change(&mut settings);
        let (report, events) = whole(&Toy::new(), &settings, &dir.path().join(number.to_string()));
        assert_eq!(report.tally.evaluations, 12);
        if !settings.screening.rejection {
            assert_eq!(report.tally.structural + report.tally.rejected, 0);
        }
        if !settings.search.equivalence {
            assert_eq!(report.tally.equivalent, 0);
        }
        let parents = events.iter().any(|event| {
            matches!(event, Event::Evaluated { candidate, .. } if candidate.parent.is_some())
        });
        assert!(settings.search.strategy != Strategy::Random || !parents);
    }
}

#[test]
fn of_several_candidates_one_is_trained() {
    let dir = TempDir::new().unwrap();
    for choices in [1, 20] {
        let mut settings = settings(10);
        settings.search.choices = choices;
        settings.search.depth = 2;
        let dir = dir.path().join(choices.to_string());
        let (report, _) = whole(&Toy::new(), &settings, &dir);
        let rows = contents(&dir).0;
        let count = |fate| rows.iter().filter(|row| row.fate == fate).count() as u64;
        let tally = &report.tally;
        assert_eq!(tally.evaluations, 10);
        assert_eq!(tally.not_chosen, count(Fate::NotChosen));
        assert_eq!(tally.equivalent, count(Fate::Equivalent));
        assert_eq!(tally.not_chosen > 10, choices > 1);
        // Whatever is trained has passed screening, the unchosen need not have been judged.
        let trained = rows.iter().filter(|row| row.fate == Fate::Scored);
        let threshold = settings.screening.threshold;
        assert!(trained.clone().count() > 5);
        assert!(
            trained
                .into_iter()
                .all(|row| row.candidate.g.unwrap() >= threshold)
        );
    }
}

#[test]
fn the_local_search_mutates_candidates_that_are_not_trained() {
    let dir = TempDir::new().unwrap();
    for share in [0.0, 0.6, 1.0] {
        let mut settings = settings(25);
        settings.search.depth = 2;
        settings.search.choices = 10;
        settings.search.local_search = share;
        // All others are random.
        (settings.search.copy, settings.search.restart) = (0.0, 1.0);
        let dir = dir.path().join(share.to_string());
        whole(&Toy::new(), &settings, &dir);
        let rows = contents(&dir).0;
        let mutated = |row: &&CandidateRow| matches!(row.candidate.origin, Origin::Mutation(_));
        let mutated: Vec<&CandidateRow> = rows.iter().filter(mutated).collect();
        assert_eq!(mutated.is_empty(), share == 0.0, "{share}");
        // They descend from random losses.
        assert!(mutated.iter().all(|row| row.candidate.parent.is_none()));
        let trained = mutated.iter().filter(|row| row.fate == Fate::Scored);
        assert_eq!(trained.count() == 0, share == 0.0, "{share}");
    }
}

#[test]
fn copies_and_restarts_have_their_shares_whether_there_is_a_choice_or_not() {
    let dir = TempDir::new().unwrap();
    let strategies = [Strategy::Evolution, Strategy::Random];
    let shares = [(0.0, 0.0), (0.4, 0.5), (0.4, 1.0), (1.0, 0.5)];
    let all = strategies
        .iter()
        .flat_map(|s| shares.map(|share| (*s, share)));
    for (number, (strategy, (copy, restart))) in all.enumerate() {
        for choices in [1, 8] {
            let mut settings = settings(25);
            settings.search.depth = 2;
            settings.search.max_draws = 300;
            settings.search.strategy = strategy;
            settings.search.choices = choices;
            settings.search.local_search = 0.0;
            (settings.search.copy, settings.search.restart) = (copy, restart);
            let dir = dir.path().join(format!("{number}-{choices}"));
            let (report, _) = whole(&Toy::new(), &settings, &dir);
            let rows = contents(&dir).0;
            let first = settings.search.initial as u64;
            let of_parents = rows.iter().filter(|row| row.candidate.proposal >= first);
            let count = |of: &dyn Fn(&Origin) -> bool| {
                let all = of_parents.clone().map(|row| &row.candidate.origin);
                all.filter(|origin| of(origin)).count()
            };
            let joined = of_parents.clone().filter(|row| row.joined.is_some());
            let copies = joined
                .clone()
                .filter(|row| row.candidate.origin == Origin::Copy);
            let (joined, copies) = (joined.count() as f64, copies.count() as f64);
            let with_parents = strategy == Strategy::Evolution;
            let expected = if with_parents { copy } else { 0.0 };
            let chance = 4.0 * (expected * (1.0 - expected) / joined).sqrt();
            let what = format!("{strategy:?} {choices} {copy} {restart}: {copies} of {joined}");
            assert!((copies / joined - expected).abs() <= chance, "{what}");
            // Every copy joins at once.
            assert_eq!(count(&|o| *o == Origin::Copy) as f64, copies, "{what}");
            let random = count(&|o| *o == Origin::Random);
            let mutated = count(&|o| matches!(o, Origin::Mutation(_)));
            let makes_new = !with_parents || copy < 1.0;
            assert_eq!(
                random > 0,
                makes_new && (!with_parents || restart > 0.0),
                "{what}"
            );
            assert_eq!(
                mutated > 0,
                makes_new && with_parents && restart < 1.0,
                "{what}"
            );
            assert_eq!(
                report.tally.not_chosen > 0,
                choices > 1 && makes_new,
                "{what}"
            );
        }
    }
}
