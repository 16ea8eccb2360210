//! A new or resumed run, to its end.

use std::path::Path;

use anyhow::Result;
use autoloss_search::{End, Plan, Recorder, RunReport, Runner, Task};

use crate::comparisons::ensure_scored;
use crate::crew::Crew;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::output::{print, say};
use crate::progress::Progress;
use crate::shell;
use crate::summary::{as_json, as_text};

/// Runs a new or resumed run to its end and prints its results.
pub(crate) fn go_on(
    dir: &Path,
    (task, plan): (&dyn Task, Option<&Plan>),
    crew: &Crew,
    mut recorder: Recorder,
    json: bool,
) -> Result<()> {
    let interrupt = interrupt_on_ctrl_c("nothing evaluated is lost")?;
    let info = recorder.store().info()?;
    let search = &info.settings.search;
    let mut progress = Progress::new(dir, &info, recorder.store().tally()?)?;
    let runner = Runner {
        task,
        workers: crew.workers(),
        plan,
        interrupt: &interrupt,
    };
    let report = runner.run(&mut recorder, &mut |event| progress.on_event(event));
    progress.finish(report.is_ok());
    if let Some(remark) = task.remark() {
        say!("warning: {remark}");
    }
    let report = report?;
    let store = recorder.store();
    let top = search.shown_losses();
    let result = match json {
        true => format!("{:#}\n", as_json(store, top)?),
        false => as_text(store, top)?,
    };
    let in_place = recorder.check_folder();
    // The run is whole and free for others before anybody reads the result.
    drop(recorder);
    print(&result)?;
    in_place?;
    ended(dir, &report)
}

fn ended(dir: &Path, report: &RunReport) -> Result<()> {
    let folder = shell::path(dir);
    anyhow::ensure!(
        report.end != End::Interrupted,
        "interrupted; go on with `autoloss resume {folder}`"
    );
    let best = match report.tally.best {
        Some(_) => {
            let loss = shell::word(&format!("@{}", dir.display()));
            format!("; the recommended loss is `--loss {loss}`")
        }
        None => String::new(),
    };
    say!("more: `autoloss show {folder}`{best}");
    ensure_scored(&report.comparisons)
}
