//! The search looks at the search set alone, and what a run reports is of the validation set.

use std::sync::Mutex;

use autoloss_expr::Loss;
use tempfile::TempDir;

use super::{create, resume, settings, whole};
use crate::toy::Toy;
use crate::*;

/// The toy task, which notes the set of each job.
#[derive(Default)]
struct Noting {
    toy: Toy,
    asked: Mutex<Vec<(EvaluationSet, u64)>>,
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
    fn evaluate(&self, loss: &Loss, job: &Job, stop: &Interrupt) -> Result<Evaluation, TaskError> {
        self.asked.lock().unwrap().push((job.set, job.seed));
        self.toy.evaluate(loss, job, stop)
    }
    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}

#[test]
fn candidates_are_scored_on_the_search_set_and_the_comparison_on_the_validation_set() {
    let dir = TempDir::new().unwrap();
    for choices in [1, 4] {
        let mut settings = settings(9);
        settings.search.choices = choices;
        let dir = dir.path().join(choices.to_string());
        let task = Noting::default();
        let (report, events) = whole(&task, &settings, &dir);
        let (searched, compared): (Vec<_>, Vec<_>) = task
            .asked
            .into_inner()
            .unwrap()
            .into_iter()
            .partition(|(set, _)| *set == EvaluationSet::Search);
        // The reference and the candidates; two baselines and two losses found, with two seeds each.
        assert_eq!((searched.len(), compared.len()), (1 + 9, 4 * 2));
        let seed = shared_seed(&searched);
        assert!(compared.iter().all(|(_, other)| *other != seed));
        for event in &events {
            match event {
                Event::Reference(training) => assert_eq!(training.set, EvaluationSet::Search),
                Event::Compared(ended) => {
                    assert_eq!(ended.as_ref().unwrap().set, EvaluationSet::Validation);
                }
                _ => {}
            }
        }
        let store = Store::open(&dir).unwrap();
        assert_eq!(store.info().unwrap().searched_on, EvaluationSet::Search);
        assert_eq!(
            store.reference().unwrap().unwrap().set,
            EvaluationSet::Search
        );
        let trainings = store.final_trainings().unwrap();
        let set = |ended: &Ended| ended.as_ref().unwrap().set;
        assert!(
            trainings
                .iter()
                .all(|t| set(t) == EvaluationSet::Validation)
        );
        assert_eq!(resume(&Toy::new(), &dir).comparisons, report.comparisons);
    }
}

/// The seed that all trainings of the search share.
fn shared_seed(searched: &[(EvaluationSet, u64)]) -> u64 {
    let seed = searched[0].1;
    assert!(searched.iter().all(|(_, other)| *other == seed));
    seed
}

#[test]
fn the_loss_that_a_run_gives_is_chosen_on_the_search_set() {
    let dir = TempDir::new().unwrap();
    let mut recorder = create(dir.path(), &settings(8));
    run(
        &Toy::new(),
        &mut recorder,
        &Interrupt::default(),
        &mut |_| {},
    )
    .unwrap();
    let best = |recorder: &Recorder| {
        let best = recorder.store().best_found().unwrap().unwrap();
        best.candidate.id
    };
    // The toy task says nothing of the search set in its comparison.
    let seen = recorder.store().top(2).unwrap();
    let [first, second] = [0, 1].map(|place| seen[place].candidate.id);
    assert_eq!(best(&recorder), first);
    // The second is better on the search set, the first on the validation set.
    for (id, searched, validated) in [(first, 0.5, 0.9), (second, 0.6, 0.1)] {
        for ended in recorder.store().final_trainings().unwrap() {
            let mut training = ended.unwrap();
            if training.name == format!("#{id}") {
                training.score = validated;
                training.metrics = vec![(SEARCH_SCORE.to_owned(), searched)];
                recorder
                    .record(&Event::Compared(Ok(training)), 0.0)
                    .unwrap();
            }
        }
    }
    let comparisons = recorder.store().comparisons().unwrap();
    let of = |id: u64| {
        comparisons
            .iter()
            .find(|c| c.name == format!("#{id}"))
            .unwrap()
    };
    assert_eq!(
        (of(first).mean, of(second).search_mean()),
        (Some(0.9), Some(0.6))
    );
    assert_eq!(best(&recorder), second);
}
