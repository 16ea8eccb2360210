//! The searches of a table, one after the other, each a run of its own that can be gone on with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use autoloss_search::{
    End, Event, Interrupt, NewRun, Recorder, Runner, SharedTraining, Store, Strategy, Task, adopt,
};
use toml::Value;

use super::plan::Search;
use crate::config::Config;
use crate::output::say;

/// Time between two reports of a search.
const EVERY: Duration = Duration::from_secs(30);

/// Folder of a search's run.
pub(super) fn folder(out: &Path, search: &Search) -> PathBuf {
    out.join("searches").join(&search.key)
}

/// Makes the searches that are not made yet, one after the other on all workers. Each begins with the
/// trainings of those before it in the same setup and with the same seed, scored by its own metric.
///
/// # Errors
/// An interrupt, or a search that cannot run; all evaluations are kept either way.
pub(super) fn run_all(
    searches: &[Search],
    out: &Path,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    for (place, search) in searches.iter().enumerate() {
        run_one(search, &searches[..place], out, workers, interrupt)?;
        if interrupt.is_set() {
            return Err(anyhow!("interrupted; the same command goes on"));
        }
    }
    Ok(())
}

/// The number of workers as a setting.
pub(super) fn worker_setting(workers: usize) -> (String, Value) {
    let workers = i64::try_from(workers).unwrap_or(1);
    ("search.workers".to_owned(), Value::Integer(workers))
}

fn run_one(
    search: &Search,
    before: &[Search],
    out: &Path,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    let dir = folder(out, search);
    let mut settings = search.settings.clone();
    settings.push(worker_setting(workers));
    let config = search.setup.config(&settings)?;
    let key = &search.key;
    let task = config.open_task()?;
    let crew = config.crew(&*task)?;
    let mut recorder = opened(&dir, &*task, &config)?;
    let metric = task.metric().to_owned();
    let learns = config.search.search.strategy == Strategy::Evolution;
    if learns && recorder.store().candidates()?.is_empty() {
        let mut made = Vec::new();
        for earlier in before
            .iter()
            .filter(|earlier| earlier.shares_trainings(search))
        {
            made.extend(SharedTraining::of_run(
                &Store::open(&folder(out, earlier))?,
                &metric,
            )?);
        }
        let adopted = adopt(&*task, &config.search, &mut recorder, &made)?;
        if adopted > 0 {
            say!("{key}: begins with {adopted} trainings of the searches before");
        }
    }
    let mut reported = Instant::now();
    let (mut evaluations, mut best) = (0_u64, f64::NEG_INFINITY);
    let runner = Runner {
        task: &*task,
        workers: crew.workers(),
        plan: None,
        interrupt,
    };
    let report = runner.run(&mut recorder, &mut |event| {
        if let Event::Evaluated { score, .. } = event {
            evaluations += 1;
            best = best.max(*score);
            if reported.elapsed() >= EVERY {
                reported = Instant::now();
                say!("{key}: {evaluations} evaluations, best {best:.4}");
            }
        }
    });
    let report = report.with_context(|| format!("search {key}"))?;
    if report.end == End::Interrupted {
        interrupt.set();
        return Ok(());
    }
    let tally = recorder.store().tally()?;
    say!(
        "{key}: {} drawn, {} evaluated, best {:.4}",
        tally.drawn,
        tally.evaluations,
        recorder.store().best()?.map_or(0.0, |best| best.score)
    );
    Ok(())
}

/// The run of a search, begun where it is not there yet.
fn opened(dir: &Path, task: &dyn Task, config: &Config) -> Result<Recorder> {
    let recorder = match dir.join("run.sqlite").exists() {
        true => Recorder::resume(dir)?,
        false => Recorder::create(
            dir,
            &NewRun {
                task: task.name(),
                metric: task.metric(),
                settings: &config.search,
                task_settings: &config.task.to_toml(),
            },
        )?,
    };
    let info = recorder.store().info()?;
    let mut stored = info.settings.clone();
    // A machine with other cores may go on with a run.
    stored.search.workers = config.search.search.workers;
    let same = stored == config.search && info.task_settings == config.task.to_toml();
    anyhow::ensure!(
        same,
        "{}: was made with other settings; name another folder with --out, or delete it",
        dir.display()
    );
    Ok(recorder)
}
