//! Studies driven by hand: trials that end in any order, fail, are told twice, and runs that are cut anywhere.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::equivalence::Key;
use crate::event::{Candidate, Ended, Fate};
use crate::screening::Scratch;
use crate::store::CandidateRow;
use crate::task::{Interrupt, parse_loss};
use crate::toy::{Toy, unscreened};

/// Without rejection, so that candidates are found quickly.
fn settings(choices: usize, evaluations: u64) -> Settings {
    let mut settings = unscreened(evaluations);
    settings.search.initial = 4;
    settings.search.population = 6;
    settings.search.choices = choices;
    settings.search.equivalence = true;
    settings
}

fn plan() -> Plan {
    Plan {
        proxy: None,
        full: None,
        finalists: 0,
        comparison: 0,
        workers: 1,
    }
}

/// A score that follows from the formula alone.
fn outcome(trial: &Trial) -> TrialOutcome {
    let bytes = trial.loss.bytes().chain(trial.job.seed.to_le_bytes());
    let hash = bytes.fold(7_u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    if hash % 11 == 3 && trial.id != REFERENCE {
        return TrialOutcome::Failed(Failure {
            message: "out of luck".to_owned(),
            seconds: 0.0,
        });
    }
    TrialOutcome::Trained(Trained {
        fate: Fate::Scored,
        score: (hash % 1000) as f64 / 1000.0,
        reason: None,
        seconds: 0.0,
        curve: Vec::new(),
        metrics: Vec::new(),
        pictures: Vec::new(),
    })
}

/// The record of a run, as a store keeps it.
#[derive(Default)]
struct Log {
    rows: BTreeMap<u64, CandidateRow>,
    drawn: BTreeMap<u64, u64>,
    reference: Option<(String, f64)>,
    /// Trainings of each candidate that were given out.
    started: BTreeMap<u64, u32>,
    /// Candidates that waited for another one's score.
    parked: usize,
    /// Further trainings of leaders.
    repeats: Vec<Ended>,
}

impl Log {
    fn add(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Screened {
                    candidate, fate, ..
                } => self.row(candidate, fate, None, None),
                Event::Equivalent {
                    candidate,
                    to,
                    score,
                    joined,
                } => {
                    let id = candidate.id;
                    self.row(candidate, Fate::Equivalent, Some(score), Some(joined));
                    if let Some(row) = self.rows.get_mut(&id) {
                        row.equivalent_to = Some(to);
                    }
                }
                Event::Evaluated {
                    candidate,
                    fate,
                    score,
                    joined,
                    ..
                } => self.row(candidate, fate, Some(score), Some(joined)),
                Event::Failed { candidate, .. } => self.row(candidate, Fate::Failed, None, None),
                Event::Reference { training, .. } => {
                    self.reference = Some((training.name, training.score));
                }
                Event::Drawn {
                    proposal, drawn, ..
                } => *self.drawn.entry(proposal).or_default() += drawn,
                Event::Parked { .. } => self.parked += 1,
                Event::Repeated { ended, .. } => self.repeats.push(ended),
                Event::EvaluationStarted { id, .. } => *self.started.entry(id).or_default() += 1,
                _ => {}
            }
        }
    }

    fn row(&mut self, candidate: Candidate, fate: Fate, score: Option<f64>, joined: Option<u64>) {
        let row = CandidateRow {
            candidate: Candidate {
                seconds: 0.0,
                worker: 0,
                ..candidate
            },
            fate,
            reason: None,
            equivalent_to: None,
            score,
            first_score: score,
            trainings: 1,
            joined,
            training_seconds: None,
            metrics: Vec::new(),
            elapsed: None,
        };
        let before = self.rows.insert(row.candidate.id, row);
        assert!(before.is_none(), "two candidates of one number: {before:?}");
    }

    /// The study that a resumed run begins with; candidates of proposals without outcome are forgotten.
    fn restore(&mut self, task: &Toy, settings: &Settings, context: &Context) -> Study {
        let settled = self.rows.values().filter(|row| row.is_settled());
        let settled: BTreeSet<u64> = settled.map(|row| row.candidate.proposal).collect();
        self.rows
            .retain(|_, row| settled.contains(&row.candidate.proposal));
        self.drawn.retain(|proposal, _| settled.contains(proposal));
        self.started.retain(|id, _| self.rows.contains_key(id));
        let mut tally = Tally {
            drawn: self.drawn.values().sum(),
            reference: self.reference.clone(),
            repeated: self.repeats.len() as u64,
            ..Tally::default()
        };
        let rows: Vec<(CandidateRow, Loss)> = self
            .rows
            .values()
            .map(|row| {
                tally.count(&row.candidate, row.fate, row.score);
                let loss = parse_loss(task, &row.candidate.formula).unwrap();
                (row.clone(), loss)
            })
            .collect();
        let past = super::Record {
            rows,
            tally,
            repeats: self.repeats.clone(),
            ..super::Record::default()
        };
        Study::restore(task, settings, plan(), context, &past).unwrap()
    }

    /// Candidates and draws as text, in which numbers that are none are equal.
    fn shown(&self) -> String {
        format!("{:#?} {:?} {:?}", self.rows, self.drawn, self.repeats)
    }

    /// Holds for every run that came to its end.
    fn check(&self, evaluations: u64, workers: usize) {
        let trained = [Fate::Scored, Fate::Failed];
        let trained = self.rows.values().filter(|row| trained.contains(&row.fate));
        let made = trained.clone().count() + self.repeats.len();
        assert_eq!(made as u64, evaluations);
        let mut keys = BTreeSet::new();
        for row in trained.clone().filter(|row| row.fate == Fate::Scored) {
            let Some(key) = Key::new(&row.candidate.norms) else {
                continue;
            };
            assert!(
                keys.insert(format!("{key:?}")),
                "trained though equivalent: {}",
                row.candidate.formula
            );
        }
        for row in trained {
            assert_eq!(self.started[&row.candidate.id], 1, "given out once");
        }
        // Members join one after the other, and none is lost.
        let mut joined: Vec<u64> = self.rows.values().filter_map(|row| row.joined).collect();
        joined.sort_unstable();
        assert!(
            joined.iter().copied().eq(0..joined.len() as u64),
            "{joined:?}"
        );
        // No proposal has two outcomes.
        let settled = self.rows.values().filter(|row| row.is_settled());
        let proposals: Vec<u64> = settled.map(|row| row.candidate.proposal).collect();
        let distinct: BTreeSet<u64> = proposals.iter().copied().collect();
        assert_eq!(proposals.len(), distinct.len());
        // None is forgotten at a cut: only those that were out when the search ended have no outcome, and
        // candidates whose equivalent failed at the end.
        let last = distinct.last().copied().unwrap_or(0);
        let missing = (0..last)
            .filter(|number| !distinct.contains(number))
            .count();
        let out = workers + self.parked;
        assert!(missing < out, "{missing} proposals without an outcome");
    }
}

/// Drives a study to its end with a number of workers. Of the work that is out, `pick` says which is done next,
/// and now and then that the run is cut there and taken up again.
fn drive(settings: &Settings, workers: usize, pick: &mut dyn FnMut() -> u16, cuts: bool) -> Log {
    let task = Toy::new();
    let mut context = Context::new(&task, settings).unwrap();
    let mut study = Study::new(&task, settings, plan()).unwrap();
    let (mut scratch, interrupt) = (Scratch::default(), Interrupt::default());
    let mut record = Log::default();
    let mut out: Vec<Next> = Vec::new();
    // Cuts that are left: a run that is cut again and again comes to no end.
    let mut cuts = if cuts { 10 } else { 0 };
    loop {
        record.add(study.drain());
        let choice = usize::from(pick());
        if cuts > 0 && choice % 17 == 5 {
            cuts -= 1;
            out.clear();
            context = Context::new(&task, settings).unwrap();
            study = record.restore(&task, settings, &context);
        }
        while out.len() < workers {
            match study.propose(0.0, out.len()) {
                Next::Wait => break,
                Next::Done(end) => {
                    assert_eq!(
                        (end, out.len(), study.in_training()),
                        (End::Evaluations, 0, 0)
                    );
                    record.add(study.drain());
                    return record;
                }
                work => out.push(work),
            }
        }
        match out.swap_remove(choice % out.len()) {
            Next::Find(finder) => {
                let finding = finder.run(&context, &mut scratch, &interrupt);
                study.admit(finding, 0.0).unwrap();
            }
            Next::Train(trial) if cuts > 0 && choice % 13 == 7 => {
                cuts -= 1;
                let told = study.tell(trial.id, TrialOutcome::Interrupted, 0.0);
                assert_eq!(told.unwrap(), Told::Counted);
                // Its candidate is found again by a resumed run alone.
                out.clear();
                record.add(study.drain());
                context = Context::new(&task, settings).unwrap();
                study = record.restore(&task, settings, &context);
            }
            Next::Train(trial) => {
                let outcome = outcome(&trial);
                let told = study.tell(trial.id, outcome.clone(), 0.0).unwrap();
                assert_eq!(told, Told::Counted);
                let twice = study.tell(trial.id, outcome, 0.0).unwrap();
                assert_eq!(twice, Told::Unknown, "the first outcome counts");
            }
            Next::Wait | Next::Done(_) => unreachable!("neither is work"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_candidate_is_evaluated_once_whatever_the_order(
        picks in proptest::collection::vec(any::<u16>(), 64..256),
        workers in 1_usize..5,
        choices in prop_oneof![Just(1_usize), Just(3)],
        leader_trainings in 1_usize..4,
        cuts in any::<bool>(),
    ) {
        let mut picks = picks.into_iter().cycle();
        let mut settings = settings(choices, 12);
        settings.search.leader_trainings = leader_trainings;
        let record = drive(&settings, workers, &mut || picks.next().unwrap(), cuts);
        record.check(12, workers);
    }
}

#[test]
fn a_study_that_is_cut_anywhere_ends_as_one_that_is_not() {
    for (choices, leader_trainings) in [(1, 1), (3, 1), (3, 3)] {
        let mut settings = settings(choices, 15);
        settings.search.leader_trainings = leader_trainings;
        // Never a cut, and never a withdrawn trial.
        let whole = drive(&settings, 1, &mut || 0, false);
        whole.check(15, 1);
        assert_eq!(whole.repeats.is_empty(), leader_trainings == 1);
        for first in 0..40 {
            let mut asked = 0;
            let mut cut_once = || {
                asked += 1;
                // 5 is a cut and no more than that.
                if asked == first { 5 } else { 0 }
            };
            let cut = drive(&settings, 1, &mut cut_once, true);
            assert!(cut.shown() == whole.shown(), "cut at {first}");
        }
    }
}
