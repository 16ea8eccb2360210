//! Whole runs on the toy task.

mod adopted;
mod continuation;
mod course;
mod failures;
mod faulty;
mod learned;
mod sets;

use std::path::Path;

use crate::*;

pub(crate) fn settings(evaluations: u64) -> Settings {
    let mut settings = Settings::default();
    settings.search.seed = 7;
    settings.search.workers = 1;
    settings.search.evaluations = Some(evaluations);
    settings.search.initial = 6;
    settings.search.choices = 1;
    settings.search.final_losses = 2;
    settings.search.final_seeds = 2;
    settings.screening.samples = 2;
    settings.screening.steps = 40;
    settings.screening.step_size = 0.05;
    // In so few steps only free predictions get far enough.
    settings.screening.predictions = Predictions::Free;
    settings.screening.early_share = 0.0;
    settings
}

pub(crate) fn create(dir: &Path, settings: &Settings) -> Recorder {
    let about = NewRun {
        task: "toy",
        metric: "accuracy",
        settings,
        task_settings: "size = 6\n",
    };
    Recorder::create(dir, &about).unwrap()
}

/// Runs to the end and gives the report with the events.
fn whole(task: &dyn Task, settings: &Settings, dir: &Path) -> (RunReport, Vec<Event>) {
    let mut recorder = create(dir, settings);
    let mut events = Vec::new();
    let report = run(task, &mut recorder, &Interrupt::default(), &mut |event| {
        events.push(event.clone());
    });
    (report.unwrap(), events)
}

fn contents(dir: &Path) -> Contents {
    let store = Store::open(dir).unwrap();
    let mut rows = store.candidates().unwrap();
    for row in &mut rows {
        row.candidate.seconds = 0.0;
        row.training_seconds = row.training_seconds.map(|_| 0.0);
        row.elapsed = row.elapsed.map(|_| 0.0);
        // NaN is not equal to itself.
        row.candidate
            .norms
            .iter_mut()
            .filter(|x| x.is_nan())
            .for_each(|x| *x = -1.0);
    }
    let mut trainings = store.trainings_of(FinalStage::Finalists).unwrap();
    trainings.extend(store.trainings_of(FinalStage::Comparison).unwrap());
    trainings.extend(store.reference().unwrap().map(Ok));
    trainings.extend(store.repeats().unwrap());
    for ended in &mut trainings {
        match ended {
            Ok(training) => training.seconds = 0.0,
            Err(failed) => failed.seconds = 0.0,
        }
    }
    let tally = store.tally().unwrap();
    (rows, tally, trainings, store.info().unwrap().ended)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["run.sqlite", "run.sqlite-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

fn resume(task: &dyn Task, dir: &Path) -> RunReport {
    let mut recorder = Recorder::resume(dir).unwrap();
    run(task, &mut recorder, &Interrupt::default(), &mut |_| {}).unwrap()
}

/// Everything in a store that does not depend on time.
type Contents = (Vec<CandidateRow>, Tally, Vec<Ended>, Option<String>);
