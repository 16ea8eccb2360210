use super::*;
use crate::event::FailedTraining;
use crate::executor::{Workers, train_all};
use crate::settings::Settings;
use crate::task::Interrupt;
use crate::toy::Toy;
use autoloss_expr::{Loss, Tree};

fn loss(number: usize) -> PanelLoss {
    let tree = Tree::parse(&format!("{number} * yhat - y"), &["yhat", "y"]).unwrap();
    PanelLoss {
        name: format!("l{number}"),
        loss: Loss::single("class", tree),
        kind: PanelKind::Random,
    }
}

fn training(name: &str, seed: u64, score: f64) -> Ended {
    Ok(Training {
        name: name.to_owned(),
        formula: String::new(),
        seed,
        set: EvaluationSet::Search,
        score,
        seconds: 2.0,
        note: None,
        curve: Vec::new(),
        metrics: vec![
            ("miou".to_owned(), score),
            ("bf1".to_owned(), -score),
            (SEARCH_SCORE.to_owned(), 0.5),
        ],
        pictures: Vec::new(),
    })
}

fn stopped(name: &str, seed: u64) -> Ended {
    let mut ended = training(name, seed, 0.0);
    if let Ok(training) = &mut ended {
        training.note = Some("not finite at update 3".to_owned());
        training.metrics = vec![("miou".to_owned(), 0.0)];
        training.seconds = 0.1;
    }
    ended
}

fn failed(name: &str, seed: u64) -> Ended {
    Err(FailedTraining {
        name: name.to_owned(),
        formula: String::new(),
        seed,
        message: "out of memory".to_owned(),
        seconds: 0.5,
    })
}

/// A panel of as many losses as there are scores, each with one training of a kind.
fn report(proxy: &[f64], full: &[f64]) -> FidelityReport {
    let panel: Vec<PanelLoss> = (0..proxy.len()).map(loss).collect();
    let trainings = |scores: &[f64]| -> Vec<Ended> {
        let numbered = scores.iter().enumerate();
        numbered
            .map(|(n, score)| training(&format!("l{n}"), 1, *score))
            .collect()
    };
    FidelityReport::new(&panel, &trainings(proxy), &trainings(full), 0)
}

fn line(count: u32) -> Vec<f64> {
    (1..=count).map(|n| f64::from(n) / 100.0).collect()
}

#[test]
fn a_proxy_that_ranks_as_full_training_does_is_faithful() {
    let same = report(&line(12), &line(12));
    let fidelity = same.fidelity().unwrap();
    assert_eq!(fidelity.spearman.value, Some(1.0));
    assert_eq!(fidelity.kendall.value, Some(1.0));
    assert_eq!(fidelity.regret, 0.0);
    assert_eq!(same.losses[0].name, "l11");
    let mut backwards = line(12);
    backwards.reverse();
    let opposite = report(&backwards, &line(12)).fidelity().unwrap();
    assert_eq!(opposite.spearman.value, Some(-1.0));
    // The proxy's first three have the scores 0.01 to 0.03, the best has 0.12.
    assert!((opposite.regret - 0.09).abs() < 1e-12);
}

#[test]
fn stopped_trainings_score_0_and_failed_ones_nothing() {
    let panel: Vec<PanelLoss> = (0..12).map(loss).collect();
    let mut proxy: Vec<Ended> = (0..12)
        .map(|n| training(&format!("l{n}"), 1, 0.1 + f64::from(n)))
        .collect();
    let mut full = proxy.clone();
    proxy[3] = failed("l3", 1);
    full[4] = failed("l4", 2);
    proxy[5] = stopped("l5", 1);
    full.push(failed("l6", 3));
    full.push(training("l2", 2, 2.1 + 1e-15));
    let report = FidelityReport::new(&panel, &proxy, &full, 0);
    assert_eq!(report.pairs().len(), 10);
    assert_eq!(report.trained().count(), 10);
    let scores = |name: &str| {
        report
            .losses
            .iter()
            .find(|t| t.name == name)
            .unwrap()
            .scores()
    };
    assert_eq!((scores("l3"), scores("l4")), (None, None));
    assert_eq!(scores("l5"), Some((0.0, 5.1)));
    // Means that differ by rounding alone are equal.
    assert_eq!(scores("l2"), Some((2.1, 2.1)));
    assert_eq!(scores("l6"), Some((6.1, 6.1)));
    // Losses without a score come last; a training that was stopped tells nothing of the cost.
    assert_eq!(report.losses.last().unwrap().name, "l4");
    assert_eq!(report.seconds(Schedule::Proxy), Some(2.0));
    assert_eq!(report.cost_ratio(), Some(1.0));
    assert!(report.fidelity().unwrap().spearman.value.unwrap() < 1.0);
}

#[test]
fn every_metric_of_the_trainings_is_measured() {
    let mut full = line(12);
    full.swap(10, 11);
    let by_metric = report(&line(12), &full).by_metric("miou");
    let [(name, fidelity)] = &by_metric[..] else {
        panic!("{by_metric:?}");
    };
    assert_eq!(name, "bf1");
    // The best by bf1 are the worst by mIoU, which both rank alike.
    assert_eq!(fidelity.regret, 0.0);
    let spearman = fidelity.spearman.value.unwrap();
    assert!((spearman - (1.0 - 6.0 * 2.0 / (12.0 * 143.0))).abs() < 1e-12);
}

#[test]
fn a_panel_that_does_not_train_is_refused_with_what_became_of_it() {
    // Five losses of twelve end above the score of a network that always predicts the same.
    let full: Vec<f64> = (0..12)
        .map(|n| if n < 7_i32 { 0.05 } else { f64::from(n) })
        .collect();
    let error = report(&line(12), &full).fidelity().unwrap_err();
    let want = FidelityError::Trained {
        trained: 5,
        all: 12,
        failed: 0,
        stopped: 0,
        constant: 7,
    };
    assert_eq!(error, want);
    let text = error.to_string();
    assert!(
        text.contains("only 5 of the 12 losses") && text.contains("task.full.training.steps"),
        "{text}"
    );
    // Eight are enough, and a lowest score that is alone is that of a network that has learned.
    assert!(report(&line(8), &line(8)).fidelity().is_ok());
    assert!(report(&line(7), &line(7)).fidelity().is_err());
    assert!(report(&line(8), &[0.0; 8]).fidelity().is_err());
}

#[test]
fn seeds_of_the_proxy_and_of_full_training_differ_and_stay() {
    let panel = [loss(0), loss(1)];
    let seeds = |entries: &[Entry]| entries.iter().map(|e| e.job.seed).collect::<Vec<u64>>();
    let few = Trainings::new(&panel, 0, (1, 2), &Job::default());
    let more = Trainings::new(&panel, 0, (3, 2), &Job::default());
    assert_eq!((few.proxy.len(), few.full.len()), (2, 4));
    assert_eq!(seeds(&few.full), seeds(&more.full));
    assert_eq!(seeds(&few.proxy)[0], seeds(&more.proxy)[0]);
    let proxy = seeds(&more.proxy);
    assert!(seeds(&more.full).iter().all(|seed| !proxy.contains(seed)));
    let job = &few.proxy[0].job;
    assert_eq!(
        (job.schedule, job.set),
        (Schedule::Proxy, EvaluationSet::Search)
    );
    let job = &few.full[0].job;
    assert_eq!(
        (job.schedule, job.set),
        (Schedule::Full, EvaluationSet::Validation)
    );
    assert_ne!(
        seeds(&few.full),
        seeds(&Trainings::new(&panel, 1, (1, 2), &Job::default()).full)
    );
}

#[test]
fn the_toy_task_from_its_panel_to_its_report() {
    let toy = Toy::new();
    let settings = Settings::from_toml(
        "[search]\nworkers = 1\n[screening]\nsteps = 60\nstep_size = 0.05\nthreshold = 0.3\nsamples = 3",
    );
    let interrupt = Interrupt::default();
    let settings = settings.unwrap();
    let panel = panel(
        &toy,
        &settings,
        (24, 0),
        Vec::new(),
        &interrupt,
        &mut |_, _| (),
    )
    .unwrap();
    let trainings = Trainings::new(&panel, 0, (1, 2), &Job::default());
    let train = |entries: &[Entry]| {
        train_all(&toy, entries, Workers::Threads(1), &interrupt, &mut |_| {
            Ok(())
        })
        .unwrap()
    };
    let report = FidelityReport::new(&panel, &train(&trainings.proxy), &train(&trainings.full), 0);
    // The toy task refuses losses that are no tree of operators.
    let natives = panel
        .iter()
        .filter(|l| l.loss.branches[0].tree.native().is_some())
        .count();
    assert_eq!(report.pairs().len(), 24 - natives);
    let fidelity = report.fidelity().unwrap();
    assert!(fidelity.regret >= 0.0 && fidelity.spearman.interval.is_some());
    // The metric of the toy's record is the share of errors, the score that of the others: the same order
    // backwards on either side.
    let by_metric = report.by_metric("accuracy");
    assert_eq!(by_metric.len(), 1);
    let spearman = |fidelity: &Fidelity| fidelity.spearman.value.unwrap();
    assert!((spearman(&by_metric[0].1) - spearman(&fidelity)).abs() < 1e-9);
}
