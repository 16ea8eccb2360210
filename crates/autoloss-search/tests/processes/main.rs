//! Searches whose trainings run in child processes that die, hang, and print rubbish. The program is its own
//! worker process.

mod task;

use std::io::{BufReader, stdin, stdout};
use std::path::Path;
use std::time::{Duration, Instant};

use autoloss_search::toy::unscreened;
use autoloss_search::{
    Entry, Event, Fate, Interrupt, Job, NewRun, ProcessSettings, Processes, Recorder, RunReport,
    Runner, SearchError, Settings, Store, Task, Workers, serve, train_all,
};
use task::{Behaviour, Trivial};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        let open = |settings: &str| Trivial::open(settings).map(|task| Box::new(task) as Box<_>);
        // A search that has gone needs no worker.
        let _ = serve(open, BufReader::new(stdin()), stdout());
        return;
    }
    let all: [(&str, fn()); 7] = [
        (
            "a_search_is_the_same_on_threads_and_processes",
            same_on_both,
        ),
        ("each_trial_is_told_once_though_workers_die", workers_die),
        (
            "rubbish_and_hanging_lose_a_trial_and_no_more",
            rubbish_and_hanging,
        ),
        ("a_trial_that_is_always_lost_is_given_up", always_lost),
        (
            "a_worker_that_refuses_ends_the_search_before_it_begins",
            refused,
        ),
        ("an_interrupt_ends_processes_in_time", interrupted),
        ("a_list_of_trainings_survives_its_workers", batch),
    ];
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    for (name, test) in all {
        if wanted
            .as_ref()
            .is_none_or(|wanted| name.contains(wanted.as_str()))
        {
            let start = Instant::now();
            test();
            println!(
                "test {name} ... ok ({:.1} s)",
                start.elapsed().as_secs_f64()
            );
        }
    }
}

/// Processes of this program that behave so.
fn processes(count: usize, behaviour: &Behaviour) -> ProcessSettings {
    ProcessSettings {
        program: std::env::current_exe().unwrap(),
        arguments: vec!["worker".into()],
        folder: None,
        settings: vec![behaviour.to_text(); count],
        fingerprint: Trivial::new(Behaviour::default()).fingerprint(),
        limit: None,
        shares_cores: true,
    }
}

fn search(
    dir: &Path,
    settings: &Settings,
    workers: Workers<'_>,
    interrupt: &Interrupt,
    on_event: &mut dyn FnMut(&Event),
) -> Result<RunReport, SearchError> {
    let task = Trivial::new(Behaviour::default());
    let about = NewRun::of(&task, settings);
    let mut recorder = Recorder::create(dir, &about).unwrap();
    let runner = Runner {
        task: &task,
        workers,
        plan: None,
        interrupt,
    };
    runner.run(&mut recorder, on_event)
}

/// Formulas and scores of a run in the order in which they joined, after checks that hold for every run.
fn told_once(dir: &Path, evaluations: u64) -> Vec<(String, Option<f64>)> {
    let store = Store::open(dir).unwrap();
    let mut rows = store.candidates().unwrap();
    let trained = [Fate::Scored, Fate::Failed, Fate::Lost];
    rows.retain(|row| trained.contains(&row.fate));
    assert_eq!(rows.len() as u64, evaluations);
    let mut proposals: Vec<u64> = rows.iter().map(|row| row.candidate.proposal).collect();
    proposals.sort_unstable();
    proposals.dedup();
    assert_eq!(
        proposals.len() as u64,
        evaluations,
        "a proposal has one outcome"
    );
    for row in &rows {
        // The score follows from the formula: none is another one's.
        let score = (row.fate == Fate::Scored).then(|| task::score(&row.candidate.formula));
        assert_eq!(row.score, score, "{}", row.candidate.formula);
    }
    rows.sort_by_key(|row| row.joined);
    let told = |row: autoloss_search::CandidateRow| (row.candidate.formula, row.score);
    rows.into_iter().map(told).collect()
}

fn same_on_both() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("threads"), dir.path().join("processes"));
    let (settings, go_on) = (unscreened(40), Interrupt::default());
    search(&one, &settings, Workers::Threads(1), &go_on, &mut |_| ()).unwrap();
    let processes = Processes::start(processes(1, &Behaviour::default())).unwrap();
    let workers = Workers::Processes(&processes);
    search(&other, &settings, workers, &go_on, &mut |_| ()).unwrap();
    assert_eq!(told_once(&one, 40), told_once(&other, 40));
}

/// Kills one of this process's children.
#[cfg(target_os = "linux")]
fn kill_a_child(number: usize) {
    let mut children = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let list = std::fs::read_to_string(thread.path().join("children"));
        children.extend(
            list.unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
    }
    if let Some(child) = children.get(number % children.len().max(1)) {
        let _ = std::process::Command::new("kill")
            .args(["-9", child])
            .status();
    }
}

#[cfg(not(target_os = "linux"))]
fn kill_a_child(_: usize) {}

fn workers_die() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("run");
        let behaviour = Behaviour {
            dies_every: 40,
            ..Behaviour::default()
        };
        let mut processes = processes(4, &behaviour);
        // Finders beside the trainings, or in turn with them.
        processes.shares_cores = round % 2 == 0;
        let processes = Processes::start(processes).unwrap();
        let (mut lost, mut done) = (0, 0);
        let go_on = Interrupt::default();
        let mut on_event = |event: &Event| match event {
            Event::Lost { .. } => lost += 1,
            Event::Evaluated { .. } => {
                done += 1;
                if done % 60 == 30 {
                    kill_a_child(done + round);
                }
            }
            _ => {}
        };
        let workers = Workers::Processes(&processes);
        search(&dir, &unscreened(200), workers, &go_on, &mut on_event).unwrap();
        let told = told_once(&dir, 200);
        assert!(
            lost > 0 && told.iter().all(|(_, score)| score.is_some()),
            "{lost}"
        );
        // Each trial is one of its worker's, and the reference is one, too.
        let workers = Store::open(&dir).unwrap().workers().unwrap();
        let trials: u64 = workers.iter().map(|worker| worker.trials).sum();
        let gone: u64 = workers.iter().map(|worker| worker.lost).sum();
        assert_eq!((trials, gone), (201, lost));
        assert!(
            workers.iter().all(|worker| worker.busy <= 1.01),
            "{workers:?}"
        );
    }
}

fn rubbish_and_hanging() {
    let dir = tempfile::tempdir().unwrap();
    for (name, behaviour) in [
        (
            "rubbish",
            Behaviour {
                rubbish_every: 10,
                ..Behaviour::default()
            },
        ),
        (
            "hanging",
            Behaviour {
                hangs_every: 15,
                ..Behaviour::default()
            },
        ),
    ] {
        let dir = dir.path().join(name);
        let mut processes = processes(2, &behaviour);
        processes.limit = (name == "hanging").then_some(Duration::from_millis(400));
        let processes = Processes::start(processes).unwrap();
        let mut reasons = Vec::new();
        let mut on_event = |event: &Event| {
            if let Event::Lost { reason, .. } = event {
                reasons.push(reason.clone());
            }
        };
        let (workers, go_on) = (Workers::Processes(&processes), Interrupt::default());
        search(&dir, &unscreened(40), workers, &go_on, &mut on_event).unwrap();
        told_once(&dir, 40);
        let said = match name {
            "rubbish" => "it wrote \"no message\"",
            _ => "it took longer than search.trial_time allows",
        };
        assert!(
            !reasons.is_empty() && reasons.iter().all(|r| r.contains(said)),
            "{reasons:?}"
        );
    }
}

fn always_lost() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("run");
    let behaviour = Behaviour {
        dies_at: Some("square".to_owned()),
        ..Behaviour::default()
    };
    let processes = Processes::start(processes(2, &behaviour)).unwrap();
    let (workers, go_on) = (Workers::Processes(&processes), Interrupt::default());
    let report = search(&dir, &unscreened(30), workers, &go_on, &mut |_| ()).unwrap();
    let rows = Store::open(&dir).unwrap().candidates().unwrap();
    let lost: Vec<_> = rows.iter().filter(|row| row.fate == Fate::Lost).collect();
    assert!(report.tally.lost > 0 && report.tally.lost == lost.len() as u64);
    assert_eq!(report.tally.evaluations, 30);
    for row in lost {
        let reason = row.reason.as_deref().unwrap();
        assert!(
            reason.contains("lost 5 times") && reason.contains("dead on request"),
            "{reason}"
        );
        assert!(
            row.candidate.formula.contains("square") && row.score.is_none() && row.joined.is_none()
        );
    }
}

fn refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = processes(2, &Behaviour::default());
    other.fingerprint = "other data".to_owned();
    let mut missing = processes(1, &Behaviour::default());
    missing.program = dir.path().join("missing");
    let mut silent = processes(1, &Behaviour::default());
    (silent.program, silent.arguments) = ("true".into(), Vec::new());
    for (processes, said) in [
        (other, "the task is another one here"),
        (missing, "cannot be started"),
        (silent, "it ended without a word"),
    ] {
        let error = Processes::start(processes).err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
    }
}

fn interrupted() {
    let dir = tempfile::tempdir().unwrap();
    // One that ends when it is asked to, and one that hears nothing.
    for behaviour in [
        Behaviour {
            milliseconds: 60_000,
            ..Behaviour::default()
        },
        Behaviour {
            hangs_every: 1,
            ..Behaviour::default()
        },
    ] {
        let run = dir
            .path()
            .join(behaviour.to_text().replace(['"', ':', ',', '{', '}'], "_"));
        let processes = Processes::start(processes(2, &behaviour)).unwrap();
        let interrupt = Interrupt::default();
        let mut asked = None;
        std::thread::scope(|scope| {
            let timer = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(500));
                interrupt.set();
                Instant::now()
            });
            let workers = Workers::Processes(&processes);
            let report = search(&run, &unscreened(40), workers, &interrupt, &mut |_| ());
            assert_eq!(report.unwrap().end, autoloss_search::End::Interrupted);
            asked = timer.join().ok();
        });
        let took = asked.unwrap().elapsed();
        // Measured: 1.6 s at most. The trainings would take a minute and an hour.
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

fn batch() {
    let behaviour = Behaviour {
        dies_every: 7,
        ..Behaviour::default()
    };
    let processes = Processes::start(processes(3, &behaviour)).unwrap();
    let task = Trivial::new(Behaviour::default());
    let (name, loss) = task.baselines().swap_remove(0);
    let entry = |seed| Entry {
        name: name.clone(),
        loss: loss.clone(),
        job: Job {
            seed,
            ..Job::default()
        },
    };
    let entries: Vec<Entry> = (0..60).map(entry).collect();
    let (workers, go_on) = (Workers::Processes(&processes), Interrupt::default());
    let mut told = 0;
    // A training that is broken off at the end of a stage is no news in the next one.
    let broken = train_all(&task, &entries, workers, &go_on, &mut |_| {
        Err(SearchError::Worker("enough".to_owned()))
    });
    assert!(broken.is_err());
    let made = train_all(&task, &entries, workers, &go_on, &mut |_| {
        told += 1;
        Ok(())
    });
    let seeds: Vec<u64> = made
        .unwrap()
        .into_iter()
        .map(|ended| ended.unwrap().seed)
        .collect();
    assert!(told == 60 && seeds.iter().copied().eq(0..60));
}
