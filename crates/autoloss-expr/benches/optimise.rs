//! Milliseconds of a step of optimising predictions (gradient and Adam) for the formulas of
//! `benches/peers/formulas.txt`, beside other frameworks where their environment is installed (see the
//! README beside the list).
//!
//! `cargo bench -p autoloss-expr [-- --shape 5x21x128x128 --threads 2 --peers eager,compile,jax --only tanh]`
//!
//! On several threads each optimises by itself, as screening does: milliseconds a step are the
//! time of all steps divided by their number. The peers use all threads for one optimisation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use autoloss_expr::{Adam, Program, Shape, Tree, Workspace};

const FORMULAS: &str = include_str!("../../../benches/peers/formulas.txt");
const STEPS: usize = 500;

struct Options {
    shape: [usize; 4],
    threads: usize,
    peers: Vec<String>,
    /// Part of the formulas to time.
    only: String,
}

fn main() {
    let options = options(&std::env::args().skip(1).collect::<Vec<_>>());
    let [n, c, h, w] = options.shape;
    let shape = Shape::new(n, c, h, w);
    println!("{STEPS} steps on {shape}, threads: {}", options.threads);
    let only = &options.only;
    let formulas: Vec<&str> = FORMULAS
        .lines()
        .filter(|line| !line.is_empty() && line.contains(only))
        .collect();
    let own: Vec<f64> = formulas
        .iter()
        .map(|formula| {
            let ms = milliseconds_a_step(formula, shape, options.threads);
            let per_element = ms * 1e6 / shape.len() as f64;
            println!("{ms:9.3} ms a step {per_element:7.3} ns an element  {formula}");
            ms
        })
        .collect();
    println!("{:9.3} ms a step, geometric mean", geometric_mean(&own));
    for way in &options.peers {
        match peer(way, &options) {
            Ok(report) => compare(way, &report, &formulas, &own),
            Err(reason) => println!("{way}: not measured, {reason}"),
        }
    }
}

fn options(arguments: &[String]) -> Options {
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let numbers = value("--shape").unwrap_or_else(|| "5x21x128x128".to_owned());
    let numbers: Vec<usize> = numbers.split('x').filter_map(|n| n.parse().ok()).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        shape: numbers.try_into().expect("--shape NxCxHxW"),
        threads: value("--threads").map_or(cores, |n| n.parse().expect("--threads N")),
        peers: value("--peers")
            .unwrap_or_else(|| "eager".to_owned())
            .split(',')
            .map(str::to_owned)
            .collect(),
        only: value("--only").unwrap_or_default(),
    }
}

fn milliseconds_a_step(formula: &str, shape: Shape, threads: usize) -> f64 {
    let tree = Tree::parse(formula, &["yhat", "y"]).expect("a formula");
    let program = Program::new(&tree, &[("yhat", true), ("y", false)]).expect("inputs");
    let adam = Adam {
        steps: STEPS,
        ..Adam::default()
    };
    let work = || {
        let mut workspace = Workspace::new();
        let mut inputs = example(shape);
        // A formula that runs into a pole ends early: its time would be too short.
        program.optimise(&mut workspace, shape, &mut inputs, &adam)
    };
    let start = Instant::now();
    let finite = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .all(|thread| thread.join().is_ok_and(|result| result.is_ok()))
    });
    assert!(finite, "{formula} is not finite");
    start.elapsed().as_secs_f64() * 1e3 / (STEPS * threads) as f64
}

/// The fields that the script beside the list of formulas makes.
fn example(shape: Shape) -> [Vec<f32>; 2] {
    let wave = |i: usize, f: f32| 0.5 + 0.4 * (i as f32 * f).sin();
    [
        (0..shape.len()).map(|i| wave(i, 0.71)).collect(),
        (0..shape.len()).map(|i| wave(i, 1.37).round()).collect(),
    ]
}

fn peer(way: &str, options: &Options) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/peers");
    let python = std::env::var_os("PEERS_PYTHON")
        .map_or_else(|| folder.join(".venv/bin/python"), PathBuf::from);
    if !python.exists() {
        return Err(format!(
            "no {}; see benches/peers/README.md",
            python.display()
        ));
    }
    let shape = options.shape.map(|n| n.to_string()).join("x");
    let output = Command::new(python)
        .arg(folder.join("peers.py"))
        .args(["--only", &options.only])
        .args([
            "--plain",
            "--shape",
            &shape,
            "--threads",
            &options.threads.to_string(),
            way,
        ])
        .output()
        .map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Prints the ratios of a report: one line a formula, milliseconds a step and seconds to compile.
fn compare(way: &str, report: &str, formulas: &[&str], own: &[f64]) {
    println!("\n{way}: ms a step, how many times ours; with its compilation counted in");
    let mut ratios = Vec::new();
    let mut with_compilation = Vec::new();
    for ((line, formula), own) in report.lines().zip(formulas).zip(own) {
        let numbers: Vec<f64> = line
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        let [ms, compilation] = numbers[..] else {
            println!("{:>9}  {formula}: {line}", "-");
            continue;
        };
        let all = ms + compilation * 1e3 / STEPS as f64;
        ratios.push(ms / own);
        with_compilation.push(all / own);
        let (ratio, all) = (ms / own, all / own);
        println!("{ms:9.3} {ratio:7.1} × {all:7.1} ×  {formula}");
    }
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{way}: geometric mean {:.1} ×, least {least:.1} ×, with compilation {:.1} ×",
        geometric_mean(&ratios),
        geometric_mean(&with_compilation)
    );
}

fn geometric_mean(numbers: &[f64]) -> f64 {
    (numbers.iter().map(|x| x.ln()).sum::<f64>() / numbers.len() as f64).exp()
}
