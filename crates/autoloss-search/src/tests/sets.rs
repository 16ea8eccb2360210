//! Candidates are scored by the proxy on the search set, results are of full training on the validation set.

use std::sync::Mutex;

use autoloss_expr::Loss;
use tempfile::TempDir;

use super::{create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

/// The toy task, which notes the loss and the job of each training.
#[derive(Default)]
pub(super) struct Noting {
    toy: Toy,
    pub(super) asked: Mutex<Vec<(String, Job)>>,
}

impl Task for Noting {
    fn name(&self) -> &str {
        self.toy.name()
    }
    fn metric(&self) -> &str {
        self.toy.metric()
    }
    fn branches(&self) -> &[BranchSpec] {
        self.toy.branches()
    }
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.toy.samples(count, seed)
    }
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        stop: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let asked = (loss.to_string(), job.clone());
        self.asked.lock().unwrap().push(asked);
        self.toy.evaluate_reporting(loss, job, stop, report)
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}

#[test]
fn the_search_uses_the_proxy_and_results_are_of_full_training() {
    let dir = TempDir::new().unwrap();
    for choices in [1, 4] {
        let mut settings = settings(9);
        settings.search.choices = choices;
        let dir = dir.path().join(choices.to_string());
        let task = Noting::default();
        let (report, events) = whole(&task, &settings, &dir);
        let asked = task.asked.into_inner().unwrap();
        let of = |schedule: Schedule, set: EvaluationSet| -> Vec<u64> {
            let jobs = asked.iter().map(|(_, job)| job);
            let jobs = jobs.filter(|job| (job.schedule, job.set) == (schedule, set));
            jobs.map(|job| job.seed).collect()
        };
        let searched = of(Schedule::Proxy, EvaluationSet::Search);
        let chosen = of(Schedule::Full, EvaluationSet::Search);
        let compared = of(Schedule::Full, EvaluationSet::Validation);
        // The reference and the candidates; two finalists and two baselines with the one chosen, two seeds each.
        assert_eq!(
            (searched.len(), chosen.len(), compared.len()),
            (1 + 9, 2 * 2, 3 * 2)
        );
        assert_eq!(asked.len(), 20);
        // No seed that a loss was chosen by proves anything.
        assert!(searched.iter().all(|seed| *seed == searched[0]));
        assert!(!chosen.contains(&searched[0]));
        assert!(
            compared
                .iter()
                .all(|seed| *seed != searched[0] && !chosen.contains(seed))
        );
        for event in &events {
            match event {
                Event::Reference { training, .. } => {
                    assert_eq!(training.set, EvaluationSet::Search);
                }
                Event::Trained { stage, ended } => {
                    assert_eq!(ended.as_ref().unwrap().set, stage.set());
                }
                _ => {}
            }
        }
        let store = Store::open(&dir).unwrap();
        let info = store.info().unwrap();
        assert_eq!(
            (info.searched_on, info.compared_by),
            (EvaluationSet::Search, Schedule::Full)
        );
        for stage in [FinalStage::Finalists, FinalStage::Comparison] {
            for ended in store.trainings_of(stage).unwrap() {
                assert_eq!(ended.unwrap().set, stage.set());
            }
        }
        assert_eq!(resume(&Toy::new(), &dir).comparisons, report.comparisons);
    }
}

/// The toy task, in which full training on the search set turns the order of the finalists round.
struct Turned(Toy);

impl Task for Turned {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn metric(&self) -> &str {
        self.0.metric()
    }
    fn branches(&self) -> &[BranchSpec] {
        self.0.branches()
    }
    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.0.samples(count, seed)
    }
    fn evaluate_reporting(
        &self,
        loss: &Loss,
        job: &Job,
        stop: &Interrupt,
        report: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let mut evaluation = self.0.evaluate_reporting(loss, job, stop, report)?;
        if (job.schedule, job.set) == (Schedule::Full, EvaluationSet::Search) {
            let proxy = Job {
                schedule: Schedule::Proxy,
                seed: seed::evaluation_seed(7),
                ..job.clone()
            };
            evaluation.score = 1.0 - self.0.evaluate_reporting(loss, &proxy, stop, report)?.score;
        }
        Ok(evaluation)
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        self.0.baselines()
    }
}

#[test]
fn the_loss_that_a_run_gives_is_chosen_by_full_training_on_the_search_set() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(8));
    let task = Turned(Toy::new());
    let report = run(&task, &mut recorder, &Interrupt::default(), &mut |_| {}).unwrap();
    let store = recorder.store();
    let [first, second] = [0, 1].map(|place| report.best[place].candidate.id);
    let chosen = store.best_found().unwrap().unwrap().candidate.id;
    assert_eq!(chosen, second, "not #{first}, the best by the proxy");
    let names: Vec<&str> = report.comparisons.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        ["cross entropy", "squared error", &format!("#{second}")]
    );
    let conclusion = store.conclusion().unwrap().unwrap();
    assert_eq!(conclusion.found, format!("#{second}"));
    let (name, _) = store.recommended().unwrap().unwrap();
    assert_eq!(name, conclusion.recommended().0);
}

#[test]
fn finalists_are_no_relatives_of_each_other_as_long_as_there_are_others() {
    let formulas = [
        "-(y * log(yhat))",
        "yhat - y * log(yhat)",
        "square(yhat - y)",
    ];
    let finalists = |losses: &[&str]| {
        let dir = TempDir::new().unwrap();
        let mut settings = settings(losses.len() as u64);
        settings.search.start = losses.iter().map(|loss| (*loss).to_owned()).collect();
        settings.search.start_screened = false;
        let mut recorder = create(dir.path(), &settings);
        run(
            &Toy::new(),
            &mut recorder,
            &Interrupt::default(),
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(recorder.store().top(9).unwrap().len(), losses.len());
        let finalists = recorder.store().finalists().unwrap().into_iter();
        finalists.map(|c| c.formula).collect::<Vec<_>>()
    };
    let of_three = finalists(&formulas);
    assert_eq!(of_three.len(), 2);
    assert!(
        of_three.iter().any(|f| f.contains("square")),
        "{of_three:?}"
    );
    assert_eq!(finalists(&formulas[..2]).len(), 2);
    let relatives = [formulas[0], formulas[1], "yhat + yhat - y * log(yhat)"];
    assert_eq!(finalists(&relatives).len(), 2);
}

#[test]
fn a_limit_of_time_that_holds_no_evaluation_is_refused_before_anything_is_trained() {
    struct Slow(Noting);
    impl Task for Slow {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn metric(&self) -> &str {
            self.0.metric()
        }
        fn branches(&self) -> &[BranchSpec] {
            self.0.branches()
        }
        fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
            self.0.samples(count, seed)
        }
        fn evaluate_reporting(
            &self,
            loss: &Loss,
            job: &Job,
            stop: &Interrupt,
            report: Reporter<'_>,
        ) -> Result<Evaluation, TaskError> {
            self.0.evaluate_reporting(loss, job, stop, report)
        }
        fn expected_seconds(&self, schedule: Schedule) -> Result<Option<f64>, TaskError> {
            Ok(Some(match schedule {
                Schedule::Proxy => 10.0,
                Schedule::Full => 100.0,
            }))
        }
        fn baselines(&self) -> Vec<(String, Loss)> {
            self.0.baselines()
        }
    }
    let dir = TempDir::new().unwrap();
    let mut settings = settings(8);
    // One proxy training, 2 × 2 of finalists, 3 × 2 of the comparison.
    settings.search.time = Some(1009.0);
    let task = Slow(Noting::default());
    let mut recorder = create(dir.path(), &settings);
    let error = run(&task, &mut recorder, &Interrupt::default(), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, SearchError::Budget { needed, .. } if needed == 1010.0),
        "{error}"
    );
    assert!(task.0.asked.into_inner().unwrap().is_empty());
}
