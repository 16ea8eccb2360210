//! Searches whose task is a program that dies, hangs, prints rubbish, and answers twice. This test is the program.

mod worker;

use std::io::{stdin, stdout};
use std::path::Path;
use std::time::Instant;

use autoloss_program::{ProgramSettings, ProgramTask, serve};
use autoloss_search::toy::Toy;
use autoloss_search::{
    Fate, Interrupt, NewRun, ProcessSettings, Processes, Recorder, Runner, SearchError, Settings,
    Store, Task, Workers,
};
use serde_json::json;
use worker::Behaviour;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, behaviour] = &arguments[..]
        && first == "program"
    {
        return worker::serve(&serde_json::from_str(behaviour).unwrap());
    }
    if arguments == ["toy"] {
        let open = |_: &str| Ok(Box::new(Toy::new()) as Box<dyn Task>);
        let settings = "[screening]\nthreshold = 0.25".parse().unwrap();
        return serve(open, settings, stdin().lock(), stdout()).unwrap();
    }
    let all: [(&str, fn()); 6] = [
        ("a_task_is_served_as_it_is", served),
        ("a_search_trains_and_scores_by_a_program", searched),
        ("a_program_that_misbehaves_costs_nothing", misbehaving),
        ("a_program_that_scores_nothing_is_told", unscored),
        ("trainings_are_told_once", trainings),
        ("what_is_no_task_is_named", refused),
    ];
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    for (name, test) in all {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            let start = Instant::now();
            test();
            let seconds = start.elapsed().as_secs_f64();
            println!("test {name} ... ok ({seconds:.1} s)");
        }
    }
}

/// This program with that behaviour.
fn settings(behaviour: &Behaviour) -> ProgramSettings {
    let own = std::env::current_exe().unwrap();
    let behaviour = serde_json::to_string(behaviour).unwrap();
    ProgramSettings {
        command: shell_words::join([own.to_str().unwrap(), "program", &behaviour]),
        folder: None,
        answer_time: 2.0,
    }
}

fn open(behaviour: &Behaviour) -> Result<ProgramTask, String> {
    ProgramTask::open(&settings(behaviour)).map_err(|error| error.to_string())
}

fn of_search(evaluations: u64) -> Settings {
    let text = format!(
        "[search]\nevaluations = {evaluations}\nworkers = 1\nfinal_losses = 0\nfinal_seeds = 0\ninitial = 4\n\
         choices = 1\n[screening]\nsteps = 60\nstep_size = 0.05\nsamples = 3\nthreshold = 0.3\nnormalise = true"
    );
    Settings::from_toml(&text).unwrap()
}

/// Formulas and their scores.
type Found = Vec<(String, f64)>;

/// Formulas and scores of a search with a program, and the remark on its failures.
fn found(behaviour: &Behaviour, evaluations: u64) -> Result<(Found, Option<String>), SearchError> {
    let dir = tempfile::tempdir().unwrap();
    let (task, settings) = (open(behaviour).unwrap(), of_search(evaluations));
    let command = self::settings(behaviour).command().unwrap();
    let processes = Processes::start(ProcessSettings {
        program: command[0].clone().into(),
        arguments: command[1..].iter().map(Into::into).collect(),
        folder: None,
        settings: vec![String::new()],
        fingerprint: task.fingerprint(),
        limit: None,
        shares_cores: true,
    })?;
    let dir = dir.path().join("run");
    let about = NewRun::of(&task, &settings);
    let mut recorder = Recorder::create(&dir, &about).unwrap();
    let runner = Runner {
        task: &task,
        workers: Workers::Processes(&processes),
        plan: None,
        interrupt: &Interrupt::default(),
    };
    runner.run(&mut recorder, &mut |_| ())?;
    Ok((scored(&dir), task.remark()))
}

fn scored(dir: &Path) -> Found {
    let mut rows = Store::open(dir).unwrap().candidates().unwrap();
    rows.retain(|row| row.fate == Fate::Scored);
    rows.sort_by_key(|row| row.joined);
    let pair = |row: autoloss_search::CandidateRow| (row.candidate.formula, row.score.unwrap());
    rows.into_iter().map(pair).collect()
}

fn searched() {
    let (found, remark) = found(&Behaviour::default(), 12).unwrap();
    assert_eq!(found.len(), 12);
    assert_eq!(remark, None);
    for (formula, score) in &found {
        assert_eq!(*score, worker::score(formula), "{formula}");
    }
    let task = open(&Behaviour::default()).unwrap();
    assert_eq!((task.name(), task.metric()), ("points", "certainty"));
    assert_eq!(task.baselines()[0].0, "cross_entropy");
    assert_eq!(task.fingerprint(), "points certainty class");
}

fn served() {
    let own = std::env::current_exe().unwrap();
    let task = ProgramTask::open(&ProgramSettings {
        command: shell_words::join([own.to_str().unwrap(), "toy"]),
        folder: None,
        answer_time: 20.0,
    })
    .unwrap();
    let toy = Toy::new();
    assert_eq!((task.name(), task.metric()), (toy.name(), toy.metric()));
    assert_eq!(task.branches(), toy.branches());
    assert_eq!(task.fingerprint(), toy.fingerprint());
    let losses = |task: &dyn Task| -> Vec<_> {
        let baselines = task.baselines().into_iter();
        baselines.map(|(_, loss)| loss).collect()
    };
    assert_eq!(losses(&task), losses(&toy));
    let settings = Settings::from_table(task.search_settings().clone()).unwrap();
    assert_eq!(settings.screening.threshold, 0.25);

    let (given, own) = (task.samples(3, 5).unwrap(), toy.samples(3, 5).unwrap());
    for (given, own) in given.iter().zip(&own) {
        let (branch, own_branch) = (&given.branches[0], &own.branches[0]);
        assert_eq!(branch.shape, own_branch.shape);
        assert_eq!(branch.inputs, own_branch.inputs);
        for prediction in &own_branch.inputs {
            assert_eq!((given.scorer)(&[prediction]), (own.scorer)(&[prediction]));
        }
    }
}

fn misbehaving() {
    let (calm, _) = found(&Behaviour::default(), 8).unwrap();
    let behaviours = [
        Behaviour {
            dies_at_score: 7,
            ..Behaviour::default()
        },
        Behaviour {
            rubbish_at_score: 9,
            ..Behaviour::default()
        },
        Behaviour {
            hangs_at_score: 60,
            ..Behaviour::default()
        },
        Behaviour {
            scores_twice: true,
            ..Behaviour::default()
        },
    ];
    for behaviour in behaviours {
        // Each score is asked for again, so that the search is the same.
        let (found, remark) = found(&behaviour, 8).unwrap();
        assert_eq!(found, calm, "{behaviour:?}");
        assert_eq!(remark, None, "{behaviour:?}");
    }
}

fn unscored() {
    let behaviour = Behaviour {
        refuses_scores: true,
        ..Behaviour::default()
    };
    let task = open(&behaviour).unwrap();
    let samples = task.samples(2, 1).unwrap();
    let prediction = samples[0].branches[0].inputs[0].as_slice();
    for _ in 0..3 {
        assert!((samples[0].scorer)(&[prediction]).is_nan());
    }
    let remark = task.remark().unwrap();
    assert!(remark.contains("failed 3 times"), "{remark}");
    assert!(remark.contains("no score today"), "{remark}");
}

fn trainings() {
    let calm = found(&Behaviour::default(), 10).unwrap().0;
    let behaviours = [
        Behaviour {
            trains_twice: true,
            ..Behaviour::default()
        },
        Behaviour {
            dies_at_training: 3,
            ..Behaviour::default()
        },
    ];
    for behaviour in behaviours {
        assert_eq!(found(&behaviour, 10).unwrap().0, calm, "{behaviour:?}");
    }
    let unknown = Behaviour {
        form: "fortran".to_owned(),
        ..Behaviour::default()
    };
    let said = found(&unknown, 2).unwrap_err().to_string();
    assert!(said.contains("\"fortran\""), "{said}");
}

fn refused() {
    let task = |task: serde_json::Value| Behaviour {
        task,
        ..Behaviour::default()
    };
    let first = |line: &str| Behaviour {
        first: Some(line.to_owned()),
        ..Behaviour::default()
    };
    let branch = |name: &str| json!({"name": name, "channels": 2});
    let with = |branches: serde_json::Value| {
        task(json!({"name": "a", "metric": "b", "branches": branches}))
    };
    for (behaviour, expected) in [
        (
            Behaviour {
                version: 2,
                ..Behaviour::default()
            },
            "version 2 of the messages, expected 3",
        ),
        (first("hi"), "it wrote \"hi\", which is no message"),
        (first(r#"{"refused":{"reason":"no data"}}"#), "no data"),
        (
            first(r#"{"samples":[]}"#),
            "it answered `samples`, expected `ready`",
        ),
        (
            first(r#"{"ready":{"version":3}}"#),
            "its `ready` has no `task`",
        ),
        (task(json!({"name": "a"})), "missing field `metric`"),
        (with(json!([])), "no branches"),
        (with(json!([branch("a b")])), "expected a name of letters"),
        (
            with(json!([branch("a"), branch("a")])),
            "two branches are named `a`",
        ),
        (
            with(json!([branch("a"), branch("b")])),
            "screened by itself",
        ),
        (with(json!([{"name": "a", "channels": 0}])), "0 channels"),
        (
            task(
                json!({"name": "a", "metric": "b", "branches": [branch("a")], "baselines": ["zoo:none"]}),
            ),
            "its baselines",
        ),
    ] {
        let said = open(&behaviour).err().unwrap();
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(said.contains("the program `"), "{said}");
    }
    let few = Behaviour {
        samples_too_few: true,
        ..Behaviour::default()
    };
    let error = open(&few).unwrap().samples(3, 0).err().unwrap().to_string();
    assert!(
        error.contains("it gave 2 screening samples, expected 3"),
        "{error}"
    );
    let downwards = Behaviour {
        lower_is_better: true,
        ..Behaviour::default()
    };
    let error = open(&downwards).unwrap().samples(3, 0).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("higher is better"), "{error}");
    for (command, expected) in [
        ("no-such-program --x", "no-such-program cannot be started"),
        ("", "expected a program"),
        ("a 'b", "task.command: `a 'b`"),
        ("sh -c 'echo broken >&2; exit 3'", "broken"),
        ("sleep 60", "did not answer within 2 s"),
    ] {
        let settings = ProgramSettings {
            command: command.to_owned(),
            folder: None,
            answer_time: 2.0,
        };
        let said = ProgramTask::open(&settings).err().unwrap().to_string();
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
