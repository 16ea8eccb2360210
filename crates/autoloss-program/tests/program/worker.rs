//! A program that is a task and misbehaves on request. It knows the messages from `docs/worker.md` alone.

use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::time::Duration;

use autoloss_program::npy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Predictions of one sample.
const POINTS: usize = 12;

/// Channels of the branch.
const CLASSES: usize = 3;

/// The behaviour of a program; numbers count its answers to a message of that kind, 0 is never.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Behaviour {
    pub(crate) version: u32,
    /// The task of its `ready`.
    pub(crate) task: Value,
    /// A line in place of `ready`.
    pub(crate) first: Option<String>,
    pub(crate) samples_too_few: bool,
    pub(crate) dies_at_score: u64,
    pub(crate) rubbish_at_score: u64,
    pub(crate) hangs_at_score: u64,
    pub(crate) scores_twice: bool,
    /// Scores no prediction after the first message, with an error.
    pub(crate) refuses_scores: bool,
    /// Gives targets a score of 0.
    pub(crate) lower_is_better: bool,
    pub(crate) trains_twice: bool,
    pub(crate) dies_at_training: u64,
    pub(crate) form: String,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            version: 3,
            task: json!({
                "name": "points", "metric": "certainty",
                "branches": [{"name": "class", "channels": CLASSES, "activation": "softmax"}],
                "baselines": ["zoo:cross_entropy"],
            }),
            first: None,
            samples_too_few: false,
            dies_at_score: 0,
            rubbish_at_score: 0,
            hangs_at_score: 0,
            scores_twice: false,
            refuses_scores: false,
            lower_is_better: false,
            trains_twice: false,
            dies_at_training: 0,
            form: "steps".to_owned(),
        }
    }
}

/// The score of a formula.
pub(crate) fn score(formula: &str) -> f64 {
    let hash = formula.bytes().fold(7_u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    (hash % 10_000) as f64 / 10_000.0
}

/// Answers until the input ends.
pub(crate) fn serve(behaviour: &Behaviour) {
    let mut counts = (0, 0);
    for line in stdin().lines() {
        let Ok(line) = line else { return };
        let message: Value = serde_json::from_str(&line).unwrap();
        if message.get("hello").is_some() {
            hello(behaviour);
        } else if let Some(asked) = message.get("samples") {
            samples(behaviour, asked);
        } else if let Some(asked) = message.get("score") {
            counts.0 += 1;
            scores(behaviour, asked, counts.0);
        } else if let Some(asked) = message.get("train") {
            counts.1 += 1;
            train(behaviour, asked, counts.1);
        }
    }
}

fn say(value: &Value) {
    write(&value.to_string());
}

fn write(line: &str) {
    let mut out = stdout().lock();
    // A search that has gone needs no answer.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn hello(behaviour: &Behaviour) {
    if let Some(first) = &behaviour.first {
        return write(first);
    }
    say(&json!({"ready": {
        "version": behaviour.version, "forms": [behaviour.form], "task": behaviour.task,
    }}));
}

/// The probabilities of a sample's points, and the classes.
fn points(sample: usize) -> (Vec<f32>, Vec<f32>) {
    let mut values = Vec::new();
    for point in 0..POINTS {
        let first = 0.2 + 0.6 * ((point * 7 + sample * 3) % 11) as f32 / 11.0;
        values.extend([first, (1.0 - first) * 0.6, (1.0 - first) * 0.4]);
    }
    let classes = (0..POINTS).map(|point| ((point + sample) % CLASSES) as f32);
    (values, classes.collect())
}

fn samples(behaviour: &Behaviour, asked: &Value) {
    let count = asked["count"].as_u64().unwrap() as usize;
    let folder = Path::new(asked["folder"].as_str().unwrap());
    let given = (0..count - usize::from(behaviour.samples_too_few)).map(|sample| {
        let (values, classes) = points(sample);
        let (prediction, target) = (format!("p{sample}.npy"), format!("t{sample}.npy"));
        for (name, shape, values) in [
            (&prediction, &[POINTS, CLASSES][..], &values),
            (&target, &[POINTS], &classes),
        ] {
            let mut file = std::fs::File::create(folder.join(name)).unwrap();
            npy::write(&mut file, shape, values).unwrap();
        }
        json!({"branches": [{"prediction": prediction, "target": target}]})
    });
    say(&json!({"samples": given.collect::<Vec<Value>>()}));
}

fn now(every: u64, count: u64) -> bool {
    every > 0 && count.is_multiple_of(every)
}

fn scores(behaviour: &Behaviour, asked: &Value, count: u64) {
    if now(behaviour.dies_at_score, count) {
        eprintln!("dead on request");
        std::process::exit(3);
    }
    if now(behaviour.rubbish_at_score, count) {
        write("no message");
    }
    if now(behaviour.hangs_at_score, count) {
        std::thread::sleep(Duration::from_secs(3600));
    }
    if behaviour.refuses_scores && count > 1 {
        return say(&json!({"error": {"message": "no score today"}}));
    }
    let predictions = asked["predictions"].as_array().unwrap();
    let score = |predicted: &Value| match behaviour.lower_is_better {
        true => 1.0 - certainty(predicted),
        false => certainty(predicted),
    };
    let scores: Vec<f64> = predictions.iter().map(score).collect();
    let answer = json!({"scores": {"id": asked["id"], "scores": scores}});
    say(&answer);
    if behaviour.scores_twice {
        say(&answer);
    }
}

/// Mean probability of the right class.
fn certainty(predicted: &Value) -> f64 {
    let (_, classes) = points(predicted["sample"].as_u64().unwrap() as usize);
    let array = npy::read(Path::new(predicted["files"][0].as_str().unwrap())).unwrap();
    assert_eq!(array.shape, [POINTS, CLASSES]);
    let right = classes.iter().zip(array.values.chunks(CLASSES));
    let right = right.map(|(class, values)| f64::from(values[*class as usize]));
    right.sum::<f64>() / POINTS as f64
}

fn train(behaviour: &Behaviour, asked: &Value, count: u64) {
    if now(behaviour.dies_at_training, count) {
        std::process::exit(4);
    }
    let loss = asked["loss"].as_str().unwrap();
    let outcome = match asked["forms"].get(&behaviour.form) {
        Some(_) => json!({"trained": {"score": score(loss)}}),
        None => json!({"failed": {"message": "the loss is not there in steps"}}),
    };
    let answer = json!({"done": {"id": asked["id"], "outcome": outcome}});
    say(&answer);
    if behaviour.trains_twice {
        say(&answer);
    }
}
