//! Seconds to read and to score a made-up COCO data set: 5,000 images, 36,000 objects, 100 detections an
//! image.
//!
//! ```text
//! cargo bench -p autoloss-metrics -- [--threads 1] [box] [mask] [keypoints]
//! PEERS_PYTHON=benches/peers/.venv/bin/python cargo bench -p autoloss-metrics
//! ```
//!
//! The data set is made by `benches/peers/coco.py`, once, in `target/coco` or the folder COCO_DATA.
//! With PEERS_PYTHON, a Python with pycocotools, its time on the same files is measured as well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use autoloss_metrics::coco::{Annotations, Kind, Results, Summary, evaluate};
use serde_json::Value;

/// Number of runs, of which the fastest is printed.
const RUNS: usize = 3;

fn main() {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let mut threads = 1;
    if let Some(place) = arguments
        .iter()
        .position(|argument| argument == "--threads")
    {
        arguments.remove(place);
        threads = arguments
            .remove(place)
            .parse()
            .expect("a number of threads");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.expect("threads");
    let folder = data();
    for (name, kind) in [
        ("box", Kind::Box),
        ("mask", Kind::Mask),
        ("keypoints", Kind::Keypoints),
    ] {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        let ours = (0..RUNS).map(|_| pool.install(|| time(&folder, name, kind)));
        let [read, score, all] = ours
            .min_by(|a, b| a[2].total_cmp(&b[2]))
            .expect("at least one run");
        println!(
            "{name:9}  {threads} threads: read {read:.3} s, score {score:.3} s, both {all:.3} s"
        );
        if let Some(python) = std::env::var_os("PEERS_PYTHON") {
            let peer = peer(&python.into(), &folder, name);
            let (read, score) = (number(&peer["read_s"]), number(&peer["score_s"]));
            let summary = run(&folder, name, kind).0;
            println!(
                "{:9}  pycocotools: read {read:.3} s, score {score:.3} s, both {:.3} s: {:.1} times as long; numbers differ by {:e}",
                "",
                read + score,
                (read + score) / all,
                difference(&summary, &peer["stats"])
            );
        }
    }
}

/// Seconds of reading, of scoring, of both.
fn time(folder: &Path, name: &str, kind: Kind) -> [f64; 3] {
    let (_, read, score) = run(folder, name, kind);
    [read, score, read + score]
}

fn run(folder: &Path, name: &str, kind: Kind) -> (Summary, f64, f64) {
    let start = Instant::now();
    let file = |name: &str| std::fs::read(folder.join(format!("{name}.json"))).expect("a file");
    let annotations = Annotations::from_json(&file("target"), kind).expect("annotations");
    let results = Results::from_json(&file(name), &annotations).expect("results");
    let read = start.elapsed().as_secs_f64();
    let summary = evaluate(&annotations, &results).expect("numbers");
    (summary, read, start.elapsed().as_secs_f64() - read)
}

fn script() -> PathBuf {
    root().join("benches/peers/coco.py")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the data set, which is made if there is none.
fn data() -> PathBuf {
    let folder = std::env::var_os("COCO_DATA").map_or(root().join("target/coco"), PathBuf::from);
    if !folder.join("keypoints.json").exists() {
        let python = std::env::var_os("PEERS_PYTHON").unwrap_or("python3".into());
        let status = Command::new(python)
            .arg(script())
            .arg("make")
            .arg(&folder)
            .status();
        assert!(
            status.expect("Python").success(),
            "the data set is not made"
        );
    }
    folder
}

fn peer(python: &PathBuf, folder: &Path, name: &str) -> Value {
    let mut command = Command::new(python);
    let output = command
        .arg(script())
        .arg("time")
        .arg(folder)
        .arg(name)
        .output();
    let output = output.expect("Python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// The largest difference of two numbers.
fn difference(ours: &Summary, stats: &Value) -> f64 {
    let stats = stats.as_array().expect("numbers").iter().map(number);
    let differences = ours
        .rows()
        .zip(stats)
        .map(|((_, ours), theirs)| (ours - theirs).abs());
    differences.fold(0.0, f64::max)
}
