//! `autoloss retrain`: full training with one loss.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use autoloss_search::{Job, Outcome};
use serde_json::json;

use super::{interrupt_on_ctrl_c, print, print_json};
use crate::args::Retrain;
use crate::config::Config;
use crate::exit::usage;
use crate::files::write_aside;
use crate::formula::for_task;
use crate::table::Table;

/// How often progress is reported.
const EVERY: Duration = Duration::from_secs(10);

pub(crate) fn retrain(arguments: &Retrain) -> Result<()> {
    let config = Config::read(&arguments.task, Vec::new())?;
    let task = config.open_task()?;
    let named = for_task(&arguments.loss, &*task)?;
    let dir = &arguments.out;
    if dir.exists() {
        return Err(usage(format!(
            "--out {}: exists already; name a new folder",
            dir.display()
        )));
    }
    let interrupt = interrupt_on_ctrl_c("checkpoints stay")?;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let steps = config.task.training().steps;
    let every = arguments
        .checkpoint_every
        .unwrap_or(steps.div_ceil(10))
        .max(1);
    let job = Job {
        seed: arguments.seed,
        stop_on_invalid: config.search.search.stop_on_invalid,
        ..Job::default()
    };
    let start = Instant::now();
    let mut reported = Instant::now();
    let mut on_update = |update: usize, loss_value: f64| {
        if reported.elapsed() >= EVERY || update == steps {
            reported = Instant::now();
            let seconds = start.elapsed().as_secs();
            eprintln!("update {update} of {steps}: loss value {loss_value:.5}, {seconds} s");
        }
    };
    let evaluation = task.retrain(&named.loss, &job, (dir, every), &interrupt, &mut on_update)?;
    if let Outcome::Stopped { update, what } = &evaluation.outcome {
        anyhow::bail!("the training was stopped at update {update}: {what}");
    }

    let metrics: serde_json::Map<String, serde_json::Value> = evaluation
        .metrics
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let result = json!({
        "loss": named.loss.to_string(),
        "seed": arguments.seed,
        "seconds": evaluation.seconds,
        "metrics": metrics,
        "curve": evaluation.curve,
        "settings": config.task.to_toml(),
    });
    write_aside(&dir.join("result.json"), |file| {
        Ok(file.write_all(format!("{result:#}\n").as_bytes())?)
    })?;
    if arguments.json {
        return print_json(&result);
    }
    let mut table = Table::new(&["metric", ">score"]);
    for (name, value) in &evaluation.metrics {
        table.row([name.clone(), format!("{value:.4}")]);
    }
    print(&format!(
        "{}\n\n{table}\nnetwork.safetensors, result.json in {}\n",
        named.loss,
        dir.display()
    ))
}
