//! Trials a second through the driver, whose trainings take no time, and the process's memory meanwhile.
//!
//! ```sh
//! cargo run --release -p autoloss-search --example trials -- threads 4 20000
//! cargo run --release -p autoloss-search --example trials -- processes 4 5000
//! ```

#[path = "../tests/processes/task.rs"]
mod task;

use std::io::{BufReader, stdin, stdout};
use std::time::Instant;

use autoloss_search::toy::unscreened;
use autoloss_search::{
    Event, Interrupt, NewRun, ProcessSettings, Processes, Recorder, Runner, Task, Workers, serve,
};
use task::{Behaviour, Trivial};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "worker") {
        let open = |settings: &str| Trivial::open(settings).map(|task| Box::new(task) as Box<_>);
        return Ok(serve(open, BufReader::new(stdin()), stdout())?);
    }
    let usage = "usage: trials threads|processes WORKERS TRIALS [MILLISECONDS]";
    let [place, workers, trials, rest @ ..] = &arguments[..] else {
        return Err(usage.into());
    };
    let (workers, trials): (usize, u64) = (workers.parse()?, trials.parse()?);
    let behaviour = Behaviour {
        milliseconds: rest.first().map_or(Ok(0), |text| text.parse())?,
        ..Behaviour::default()
    };
    let task = Trivial::new(behaviour.clone());
    let processes = ProcessSettings {
        program: std::env::current_exe()?,
        arguments: vec!["worker".into()],
        folder: None,
        settings: vec![behaviour.to_text(); workers],
        fingerprint: task.fingerprint(),
        limit: None,
        shares_cores: true,
    };
    match place.as_str() {
        "threads" => measure(&task, Workers::Threads(workers), trials),
        "processes" => {
            let processes = Processes::start(processes)?;
            measure(&task, Workers::Processes(&processes), trials)
        }
        _ => Err(usage.into()),
    }
}

/// A search without screening and without the check of equivalence, whose every candidate is a trial.
fn measure(
    task: &Trivial,
    workers: Workers<'_>,
    trials: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let settings = unscreened(trials);
    let dir = tempfile::tempdir()?;
    let about = NewRun::of(task, &settings);
    let mut recorder = Recorder::create(&dir.path().join("run"), &about)?;
    let start = Instant::now();
    let (mut done, every) = (0, (trials / 5).max(1));
    let mut on_event = |event: &Event| {
        if matches!(event, Event::Evaluated { .. }) {
            done += 1;
            if done % every == 0 {
                let rate = done as f64 / start.elapsed().as_secs_f64();
                println!("{done} trials, {rate:.0} a second, memory {}", memory());
            }
        }
    };
    let runner = Runner {
        task,
        workers,
        plan: None,
        interrupt: &Interrupt::default(),
    };
    runner.run(&mut recorder, &mut on_event)?;
    Ok(())
}

/// Resident memory, where the system tells it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
